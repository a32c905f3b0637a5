#include "server/state_folder.h"

#include <sys/stat.h>

#include <string>

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

}  // namespace
}  // namespace reclaim::server
