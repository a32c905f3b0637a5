// Moving files of a tree that others write to.

#include "store/quarantine_folder.h"

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/quarantine_journal.h"
#include "store/rooted_dir.h"
#include "store/testing/quarantine_alone.h"
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
  ASSERT_THAT(QuarantineAlone(kRun, removal_, paths_, &quarantine), IsOk());
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
  EXPECT_THAT(QuarantineAlone(kRun, removal_, paths_, &quarantine),
              StatusIs(absl::StatusCode::kNotFound));
  const auto held = quarantine.List();
  ASSERT_THAT(held, IsOk());
  EXPECT_TRUE(held->empty());
  EXPECT_THAT(quarantine.Restore(kRun, removal_),
              StatusIs(absl::StatusCode::kNotFound));
}

// A disk that takes milliseconds for each sync would else be what a prune waits
// for.
TEST_F(QuarantineFolderTest, ABatchSyncsEachFolderOnce) {
  QuarantineFolder quarantine(root_.get());
  std::vector<QuarantineFolder::Departure> batch(40);
  for (size_t i = 0; i < batch.size(); ++i) {
    const std::string path = absl::StrCat("top/blobs/aa/", i);
    folder_.Write(path + "/data", "text");
    folder_.Write("top/blobs/aa/other", "stays");
    batch[i].removal = removal_;
    batch[i].removal.digest = oci::Digest::Sha256Of(path);
    batch[i].paths = {{path}, "top"};
  }
  base::ScopedErrno calls(EIO, 1 << 30, false);
  quarantine.Remember(kRun, absl::MakeSpan(batch));
  for (QuarantineFolder::Departure& departure : batch) {
    quarantine.Move(kRun, &departure);
  }
  quarantine.Finish(kRun, absl::MakeSpan(batch));
  for (const QuarantineFolder::Departure& departure : batch) {
    EXPECT_THAT(departure.status, IsOk());
    EXPECT_EQ(departure.bytes.metadata.logical_bytes > 0, true);
  }
  // Of the run's folder and those above, of the journal, of those above where
  // they go to, where they went to and where they were.
  EXPECT_EQ(calls.reached()["sync.fsync"], 3 + 1 + 3 + 1 + 1);
  EXPECT_EQ(calls.reached()["write.fsync"], 1);
  EXPECT_TRUE(folder_.Exists("top/blobs/aa/other"));
  EXPECT_FALSE(folder_.Exists("top/blobs/aa/0"));
}

// Whichever sync fails: who has not been told that all is well may still find
// all of it, and who has been finds it in quarantine.
TEST_F(QuarantineFolderTest, WhatIsNotDurableHasNotGone) {
  int failed_count = 0;
  for (int pass = 0;; ++pass) {
    SCOPED_TRACE(pass);
    QuarantineFolder quarantine(root_.get());
    ASSERT_THAT(quarantine.Tidy(), IsOk());
    std::vector<QuarantineFolder::Departure> batch(3);
    for (size_t i = 0; i < batch.size(); ++i) {
      const std::string path = absl::StrCat("top/", i % 2, "/", i);
      folder_.Write(path + "/data", "text");
      batch[i].removal = removal_;
      batch[i].removal.digest = oci::Digest::Sha256Of(path);
      batch[i].paths = {{path}, "top"};
    }
    int failures = 0;
    {
      base::ScopedErrno calls(EIO, pass, false);
      quarantine.Remember(kRun, absl::MakeSpan(batch));
      for (QuarantineFolder::Departure& departure : batch) {
        quarantine.Move(kRun, &departure);
      }
      quarantine.Finish(kRun, absl::MakeSpan(batch));
      for (const auto& [site, count] : calls.failed()) failures += count;
    }
    for (const QuarantineFolder::Departure& departure : batch) {
      const std::string& path = departure.paths.paths[0];
      const std::string moved = QuarantineFolder::MovedPath(kRun, path);
      EXPECT_NE(folder_.Exists(path + "/data"),
                folder_.Exists(moved + "/data"));
      if (departure.status.ok()) {
        EXPECT_TRUE(folder_.Exists(moved + "/data"));
      } else {
        ++failed_count;
        EXPECT_THAT(departure.status,
                    ::testing::Not(StatusIs(absl::StatusCode::kNotFound)));
      }
    }
    // As a sweep undoes what has failed.
    for (const QuarantineFolder::Departure& departure : batch) {
      quarantine.Restore(kRun, departure.removal).IgnoreError();
      EXPECT_TRUE(folder_.Exists(departure.paths.paths[0] + "/data"));
    }
    quarantine.Settle(kRun).IgnoreError();
    if (failures == 0) break;
  }
  EXPECT_GT(failed_count, 20);
}

// What is freed lies elsewhere: a folder that others have written to since
// keeps the time that says so.
TEST_F(QuarantineFolderTest, APurgeLeavesTheTimesOfFoldersAlone) {
  folder_.Write("top/link/file", "text");
  folder_.Write("top/link/other", "text");
  paths_.paths = {"top/link/file"};
  QuarantineFolder quarantine(root_.get());
  ASSERT_THAT(QuarantineAlone(kRun, removal_, paths_, &quarantine), IsOk());
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

// Lines of a journal that we do not write.  Whoever may write to the store may
// have written them.
std::vector<std::string> StrangeLines(const Removal& removal) {
  std::vector<std::string> lines;
  for (const std::string& path :
       {std::string(), std::string("."), std::string(".."),
        std::string("../../../../top/live"), std::string("top/../top/link"),
        std::string("/top/link"), std::string("top//link"),
        std::string("top/link/"), std::string("top/link\0", 9)}) {
    lines.push_back(JournalLine(removal, {path}));
  }
  const std::string rest =
      absl::StrCat(R"(,"repository":"app","digest":")",
                   removal.digest->ToString(), R"("},"paths":["top/link"]})");
  for (const char* members :
       {R"("kind":"2")", R"("kind":2.5)", R"("kind":0)", R"("kind":6)",
        R"("kind":258)", R"("kind":-1)", R"("kind":1e300)", R"("x":2)",
        R"("kind":2,"place":7)", R"("kind":2,"tag":{})"}) {
    lines.push_back(absl::StrCat(R"({"removal":{)", members, rest));
  }
  for (const char* line :
       {R"({"removal":{"kind":3,"repository":"app"},"paths":["top/link"]})",
        R"({"removal":{"kind":3,"digest":"md5:0"},"paths":["top/link"]})",
        R"({"removal":7,"paths":["top/link"]})", R"({"removal":{}})",
        R"({"removal":{"kind":5,"upload":"u"},"paths":[7]})", R"({"folder":7})",
        R"({"folder":"..","mode":511})", R"({"folder":"top","mode":"rwx"})",
        "[]", "7", "{"}) {
    lines.emplace_back(line);
  }
  return lines;
}

TEST_F(QuarantineFolderTest, OfAJournalOnlyWhatWeWriteCounts) {
  const std::string run = absl::StrCat(kReclaimFolder, "/quarantine/", kRun);
  folder_.Write("top/live", "text");
  folder_.Write(run + "/tree/top/link", "moved");
  for (const std::string& line : StrangeLines(removal_)) {
    SCOPED_TRACE(line);
    folder_.Write(run + "/journal", line + "\n");
    QuarantineFolder quarantine(root_.get());
    const auto held = quarantine.List();
    ASSERT_THAT(held, IsOk());
    EXPECT_TRUE(held->empty());
    EXPECT_THAT(quarantine.Restore(kRun, removal_),
                StatusIs(absl::StatusCode::kNotFound));
    EXPECT_THAT(quarantine.Purge(kRun, removal_),
                StatusIs(absl::StatusCode::kNotFound));
    quarantine.RestoreTimes(kRun);
  }
  EXPECT_EQ(folder_.Read("top/live"), "text");
  EXPECT_EQ(folder_.Read(run + "/tree/top/link"), "moved");
  // And what we write does.
  folder_.Write(run + "/journal", JournalLine(removal_, {"top/link"}));
  QuarantineFolder quarantine(root_.get());
  ASSERT_THAT(quarantine.Restore(kRun, removal_), IsOk());
  EXPECT_EQ(folder_.Read("top/link"), "moved");
}

}  // namespace
}  // namespace reclaim::store
