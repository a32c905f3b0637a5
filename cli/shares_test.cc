// What retains most and usage over time, from the command line.

#include <string>

#include "accounting/history.h"
#include "accounting/history_store.h"
#include "base/status_matchers.h"
#include "cli/command_fixture.h"
#include "cli/share_commands.h"

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

TEST_F(SharesTest, HistoryHasASparklineAndPoints) {
  AddAndScan();
  ASSERT_EQ(Run({"df", "--history"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("nothing has been noted yet"));
  for (int i = 0; i < 20; ++i) {
    accounting::UsageSample sample;
    sample.time = clock_.Now();
    sample.live = {1, 1'000'000 * static_cast<uint64_t>(i)};
    ASSERT_THAT(history_->Add("hub", sample), base::IsOk());
    clock_.Advance(absl::Minutes(10));
  }
  ASSERT_EQ(Run({"df", "--history"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("▁"));
  EXPECT_THAT(out_, HasSubstr("█"));
  EXPECT_THAT(out_, HasSubstr("hub: 19MB on disk now, 0B to 19MB"));
  EXPECT_THAT(out_, HasSubstr("Grows by 144MB a day"));
  ASSERT_EQ(Run({"df", "--history=30d", "--format", "json"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("19000000"));
}

TEST(SparklineTest, GoesFromTheLeastToTheMost) {
  EXPECT_EQ(Sparkline({}), "");
  EXPECT_EQ(Sparkline({5}), "▁");
  EXPECT_EQ(Sparkline({0, -1, 7, 8}), "▁ ██");
  EXPECT_EQ(Sparkline({0, 1, 2, 3, 4, 5, 6, 7}), "▁▂▃▄▅▆▇█");
}

}  // namespace
}  // namespace reclaim::cli
