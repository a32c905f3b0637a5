// What retains most, from the command line.

#include "cli/command_fixture.h"

namespace reclaim::cli {
namespace {

using ::testing::HasSubstr;

class SharesTest : public CommandFixture {};

TEST_F(SharesTest, TopListsWhatRetainsMost) {
  AddAndScan();
  ASSERT_EQ(Run({"top"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("repository   app"));
  EXPECT_THAT(out_, HasSubstr("tag          app:v1"));
  ASSERT_EQ(Run({"top", "--kind", "layer", "-n", "1", "--format", "{{.Kind}}"}),
            kDone);
  EXPECT_THAT(out_, HasSubstr("layer"));
}

TEST_F(SharesTest, WhatIfTakesSeveral) {
  AddAndScan();
  ASSERT_EQ(Run({"what-if", "app:v1", old_.ToString()}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Would stay: 0 blobs"));
  EXPECT_EQ(Run({"what-if", "nothing:here"}), kNotFound);
}

}  // namespace
}  // namespace reclaim::cli
