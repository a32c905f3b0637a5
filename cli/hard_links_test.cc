// Files that have other names, and second copies: what the command line calls
// free is what the disk gives.

#include <filesystem>
#include <string>
#include <vector>

#include "cli/command_fixture.h"
#include "cli/commands.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::cli {
namespace {

namespace fs = std::filesystem;

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHeld[] =
    "more leave the store and stay on the disk: their files have other names";

class HardLinksTest : public CommandFixture {
 protected:
  // As `cp -al` does it.
  void LinkEverything() {
    fs::copy(folder_.path(), Copy(),
             fs::copy_options::recursive | fs::copy_options::create_hard_links);
  }
  std::string Copy() const { return elsewhere_.path() + "/copy"; }
  void Prune(const std::string& store) {
    ASSERT_EQ(Run({"prune", "--store", store, "-f", "--allow-large"}), kDone)
        << err_;
  }
  void Purge(const std::string& store) {
    ASSERT_EQ(Run({"purge", "--store", store, "--now", "-f"}), kDone) << err_;
  }

  store::TempFolder elsewhere_;
};

TEST_F(HardLinksTest, WhatABackupHasIsNotFreed) {
  AddAndScan();
  LinkEverything();
  ASSERT_EQ(Run({"plan"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("would free 0B"));
  EXPECT_THAT(out_, HasSubstr(kHeld));
  EXPECT_THAT(out_, HasSubstr("other names of its file keep the bytes"));
  Prune("hub");
  EXPECT_THAT(out_, HasSubstr("Total reclaimed space: 0B"));
  EXPECT_THAT(err_, HasSubstr(kHeld));
  Purge("hub");
  EXPECT_THAT(out_, ContainsRegex("Freed [1-9][0-9]* items, 0B"));
  EXPECT_THAT(out_, HasSubstr(kHeld));
}

TEST_F(HardLinksTest, DfCallsNothingReclaimableThatABackupHas) {
  LinkEverything();
  AddAndScan();
  ASSERT_EQ(Run({"df", "--format", "{{.Type}} {{.Reclaimable}}"}), kDone);
  EXPECT_THAT(out_, HasSubstr("Images 0B"));
  EXPECT_THAT(out_, HasSubstr("Other Content 0B"));
  Prune("hub");
  ASSERT_EQ(Run({"df", "--format", "{{.Type}} {{.Reclaimable}}"}), kDone);
  EXPECT_THAT(out_, HasSubstr("Quarantine 0B"));
  ASSERT_EQ(Run({"df", "--format", "{{.Type}} {{.TotalCount}}"}), kDone);
  EXPECT_THAT(out_, HasSubstr("Quarantine 4\n")) << "the files are no others";
}

TEST_F(HardLinksTest, AnImageHasNothingOfItsOwnThatABackupHas) {
  AddAndScan();
  ASSERT_EQ(Run({"image", "ls", "--format", "unique {{.UniqueSize}}"}), kDone);
  EXPECT_THAT(out_, Not(HasSubstr("unique 0B"))) << out_;
  LinkEverything();
  ASSERT_EQ(Run({"scan", "--from-nothing"}), kDone) << err_;
  ASSERT_EQ(Run({"image", "ls", "--format", "unique {{.UniqueSize}}"}), kDone);
  EXPECT_EQ(out_, "unique 0B\nunique 0B\n");
  ASSERT_EQ(Run({"image", "ls", "--format", "shared {{.SharedSize}}"}), kDone);
  EXPECT_THAT(out_, Not(HasSubstr("shared 0B"))) << out_;
}

TEST_F(HardLinksTest, OfTwoStoresTheSecondFreesWhatBothHad) {
  AddAndScan();
  ASSERT_EQ(Run({"plan"}), kDone) << err_;
  const std::string all = WordAfter("would free ");
  LinkEverything();
  ASSERT_EQ(Run({"store", "add", "registry:" + Copy(), "--name", "twin",
                 "--descriptor-cache", "none", "--write-duration", "0s"}),
            kDone)
      << err_;
  Prune("hub");
  EXPECT_THAT(out_, HasSubstr("Total reclaimed space: 0B"));
  Purge("hub");
  EXPECT_THAT(out_, HasSubstr(" items, 0B"));
  Prune("twin");
  EXPECT_THAT(out_, HasSubstr("Total reclaimed space: " + all + "\n"));
  EXPECT_THAT(err_, Not(HasSubstr(kHeld)));
  Purge("twin");
  EXPECT_THAT(out_, HasSubstr(" items, " + all + " ("));
  EXPECT_THAT(out_, Not(HasSubstr(kHeld)));
}

TEST_F(HardLinksTest, ASecondCopyInQuarantineIsShownUntilItIsPurged) {
  AddAndScan();
  Prune("hub");
  ASSERT_EQ(Run({"df", "--format", "{{.Type}} {{.Size}}"}), kDone);
  const std::string row = "Quarantine " + WordAfter("Quarantine ");
  ASSERT_NE(row, "Quarantine 0B");
  tree_.Image("app", "", {"base", "old"});
  tree_.Blob("nothing names me");
  ASSERT_EQ(Run({"scan"}), kDone) << err_;
  ASSERT_EQ(Run({"df", "--format", "{{.Type}} {{.Size}}"}), kDone);
  EXPECT_THAT(out_, HasSubstr(row + "\n"));
  EXPECT_EQ(Run({"verify", "--read-data"}), kDone) << out_;
  Purge("hub");
  EXPECT_THAT(out_, Not(HasSubstr(" items, 0B")));
  ASSERT_EQ(Run({"df", "--format", "{{.Type}} {{.Size}}"}), kDone);
  EXPECT_THAT(out_, HasSubstr("Quarantine 0B"));
}

// As it was before the store was given the same again: there, and not to be
// freed.
TEST_F(HardLinksTest, ASecondCopyThatABackupHasCountsAndIsNotReclaimable) {
  AddAndScan();
  LinkEverything();
  Prune("hub");
  const std::vector<std::string> df = {
      "df", "--format", "{{.Type}} {{.Size}} of which {{.Reclaimable}}"};
  ASSERT_EQ(Run(df), kDone);
  const std::string row = "Quarantine " + WordAfter("Quarantine ");
  ASSERT_NE(row, "Quarantine 0B");
  EXPECT_THAT(out_, HasSubstr(row + " of which 0B"));
  tree_.Image("app", "", {"base", "old"});
  tree_.Blob("nothing names me");
  ASSERT_EQ(Run({"scan"}), kDone) << err_;
  ASSERT_EQ(Run(df), kDone);
  EXPECT_THAT(out_, HasSubstr(row + " of which 0B"));
  EXPECT_EQ(Run({"verify"}), kDone) << out_;
  Purge("hub");
  EXPECT_THAT(out_, HasSubstr(" items, 0B"));
  EXPECT_THAT(out_, HasSubstr(kHeld));
  ASSERT_EQ(Run(df), kDone);
  EXPECT_THAT(out_, HasSubstr("Quarantine 0B of which 0B"));
  EXPECT_EQ(Run({"verify"}), kDone) << out_;
}

}  // namespace
}  // namespace reclaim::cli
