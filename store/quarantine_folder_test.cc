// Moving files of a tree that others write to.

#include "store/quarantine_folder.h"

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/rooted_dir.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

constexpr char kRun[] = "0123456789abcdef";

class QuarantineFolderTest : public ::testing::Test {
 protected:
  QuarantineFolderTest() {
    auto root = RootedDir::Open(folder_.path());
    EXPECT_THAT(root, IsOk());
    root_ = *std::move(root);
    removal_.kind = RemovalKind::kRevisionLink;
    removal_.repository = "app";
    removal_.digest = oci::Digest::Sha256Of("image");
    paths_.floor = "top";
  }

  TempFolder folder_;
  std::unique_ptr<RootedDir> root_;
  Removal removal_;
  RemovalPaths paths_;
};

// A registry that untags an image takes the tag's history away, which is a part
// of what goes with the image's link.
TEST_F(QuarantineFolderTest, WhatAWriterTakesAwayIsLeftOut) {
  folder_.Write("top/link/file", "text");
  paths_.paths = {"top/tags/v1/index/gone", "top/link"};
  QuarantineFolder quarantine(root_.get());
  ASSERT_THAT(quarantine.Quarantine(kRun, removal_, paths_, ""), IsOk());
  EXPECT_FALSE(folder_.Exists("top/link"));
  ASSERT_THAT(quarantine.Measure({{removal_, paths_}}), IsOk());
  ASSERT_THAT(quarantine.Restore(kRun, removal_), IsOk());
  EXPECT_EQ(folder_.Read("top/link/file"), "text");
  EXPECT_FALSE(folder_.Exists("top/tags"));
}

TEST_F(QuarantineFolderTest, OfWhichNothingIsThereNothingIsHeld) {
  folder_.Write("top/other", "text");
  paths_.paths = {"top/tags/v1/index/gone", "top/gone"};
  QuarantineFolder quarantine(root_.get());
  EXPECT_THAT(quarantine.Quarantine(kRun, removal_, paths_, ""),
              StatusIs(absl::StatusCode::kNotFound));
  const auto held = quarantine.List();
  ASSERT_THAT(held, IsOk());
  EXPECT_TRUE(held->empty());
  EXPECT_THAT(quarantine.Restore(kRun, removal_),
              StatusIs(absl::StatusCode::kNotFound));
}

// What is freed lies elsewhere: a folder that others have written to since
// keeps the time that says so.
TEST_F(QuarantineFolderTest, APurgeLeavesTheTimesOfFoldersAlone) {
  folder_.Write("top/link/file", "text");
  folder_.Write("top/link/other", "text");
  paths_.paths = {"top/link/file"};
  QuarantineFolder quarantine(root_.get());
  ASSERT_THAT(quarantine.Quarantine(kRun, removal_, paths_, ""), IsOk());
  auto stat = root_->Stat("top/link");
  ASSERT_THAT(stat, IsOk());
  stat->modified = absl::FromUnixSeconds(1700000000);
  ASSERT_THAT(root_->SetAttributes("top/link", *stat), IsOk());
  ASSERT_THAT(quarantine.Purge(kRun, removal_), IsOk());
  ASSERT_THAT(quarantine.Settle(kRun), IsOk());
  EXPECT_EQ(root_->Stat("top/link")->modified,
            absl::FromUnixSeconds(1700000000));
  EXPECT_FALSE(folder_.Exists(kReclaimFolder));
}

}  // namespace
}  // namespace reclaim::store
