#include "server/state_folder.h"

#include <sys/stat.h>

#include <string>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::server {
namespace {

using ::reclaim::base::IsOk;
using ::testing::HasSubstr;

mode_t ModeOf(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
  return st.st_mode & 0777;
}

TEST(StateFolderTest, NobodyElseLooksIntoIt) {
  const store::TempFolder folder;
  const std::string path = folder.path() + "/a/b";
  ASSERT_THAT(MakeStateFolders(path), IsOk());
  EXPECT_EQ(ModeOf(path), 0700u);
  EXPECT_EQ(ModeOf(path + "/graph"), 0700u);
  ASSERT_EQ(chmod((path + "/graph").c_str(), 0755), 0);
  ASSERT_THAT(MakeStateFolders(path), IsOk()) << "a second start";
  EXPECT_EQ(ModeOf(path + "/graph"), 0700u);
}

TEST(StateFolderTest, AFolderThatWasThereKeepsItsMode) {
  const store::TempFolder folder;
  ASSERT_EQ(chmod(folder.path().c_str(), 0755), 0);
  ASSERT_THAT(MakeStateFolders(folder.path()), IsOk());
  EXPECT_EQ(ModeOf(folder.path()), 0755u);
  EXPECT_EQ(ModeOf(folder.path() + "/graph"), 0700u);
}

TEST(StateFolderTest, WhatCannotBeMadeIsNamed) {
  const store::TempFolder folder;
  folder.Write("file", "");
  const std::string path = folder.path() + "/file/below";
  const absl::Status status = MakeStateFolders(path);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
}

TEST(StateFolderTest, ADamagedDatabaseIsKept) {
  const store::TempFolder folder;
  folder.Write("graph/CURRENT", "x");
  const std::string path = folder.path() + "/graph";
  const absl::Time now = absl::FromUnixSeconds(1700000000);
  const auto aside = MoveAside(path, now);
  ASSERT_THAT(aside, IsOk());
  EXPECT_EQ(*aside, path + ".damaged-20231114T221320Z");
  EXPECT_EQ(folder.Read("graph.damaged-20231114T221320Z/CURRENT"), "x");
  EXPECT_THAT(std::string(MoveAside(path, now).status().message()),
              HasSubstr(*aside));
}

TEST(StateFolderTest, TellsWhetherThereWasADatabase) {
  const store::TempFolder folder;
  EXPECT_EQ(TraceOfDatabase(folder.path() + "/none"), "");
  EXPECT_EQ(TraceOfDatabase(folder.path()), "");
  ASSERT_THAT(MakeStateFolders(folder.path()), IsOk());
  folder.Write("ballast", "x");
  EXPECT_EQ(TraceOfDatabase(folder.path()), "") << "a first start makes these";
  folder.Write("graph-mark", "x");
  EXPECT_EQ(TraceOfDatabase(folder.path()), "its mark is there");
  folder.Remove("graph-mark");
  folder.Write("stores", "x");
  EXPECT_EQ(TraceOfDatabase(folder.path()), "its list of stores is there");
  folder.Write("audit/0", "x");
  EXPECT_EQ(TraceOfDatabase(folder.path()), "its audit is there");
  folder.Write("graph.damaged-1/CURRENT", "x");
  EXPECT_EQ(TraceOfDatabase(folder.path()),
            "a damaged one is kept as graph.damaged-1");
  EXPECT_THAT(TraceOfDatabase(folder.path() + "/ballast"),
              HasSubstr("cannot be listed"));
}

}  // namespace
}  // namespace reclaim::server
