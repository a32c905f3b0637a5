#include "base/byte_size.h"

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

TEST(FormatBytesTest, HasDockersShape) {
  EXPECT_EQ(FormatBytes(0), "0B");
  EXPECT_EQ(FormatBytes(999), "999B");
  EXPECT_EQ(FormatBytes(1000), "1kB");
  EXPECT_EQ(FormatBytes(77820000), "77.82MB");
  EXPECT_EQ(FormatBytes(1084000000), "1.084GB");
  EXPECT_EQ(FormatBytes(16426453), "16.43MB");
  EXPECT_EQ(FormatBytes(uint64_t{5} << 60), "5.765EB");
}

TEST(ParseBytesTest, ReadsUnits) {
  EXPECT_THAT(ParseBytes("1024"), IsOkAndHolds(1024u));
  EXPECT_THAT(ParseBytes("10GB"), IsOkAndHolds(10000000000u));
  EXPECT_THAT(ParseBytes("512MiB"), IsOkAndHolds(512u << 20));
  EXPECT_THAT(ParseBytes("1.5k"), IsOkAndHolds(1500u));
  EXPECT_THAT(ParseBytes("7B"), IsOkAndHolds(7u));
}

TEST(ParseBytesTest, RefusesTheRest) {
  for (const char* text :
       {"", "GB", "-1", "1.2.3", "5XB", "1iB", "9EiBB", "10 GB", "16EiB"}) {
    EXPECT_THAT(ParseBytes(text), StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(FormatAgeTest, HasDockersShape) {
  EXPECT_EQ(FormatAge(absl::Milliseconds(10)), "Less than a second");
  EXPECT_EQ(FormatAge(absl::Seconds(1)), "1 second");
  EXPECT_EQ(FormatAge(absl::Seconds(59)), "59 seconds");
  EXPECT_EQ(FormatAge(absl::Seconds(61)), "About a minute");
  EXPECT_EQ(FormatAge(absl::Minutes(59)), "59 minutes");
  EXPECT_EQ(FormatAge(absl::Minutes(61)), "About an hour");
  EXPECT_EQ(FormatAge(absl::Hours(47)), "47 hours");
  EXPECT_EQ(FormatAge(absl::Hours(48)), "2 days");
  EXPECT_EQ(FormatAge(absl::Hours(24 * 15)), "2 weeks");
  EXPECT_EQ(FormatAge(absl::Hours(24 * 61)), "2 months");
  EXPECT_EQ(FormatAge(absl::Hours(24 * 800)), "2 years");
}

TEST(ByteSizeTest, PercentagesAreRoundedDown) {
  EXPECT_EQ(Percent(0, 0), 0);
  EXPECT_EQ(Percent(5, 0), 0);
  EXPECT_EQ(Percent(999, 1000), 99);
  EXPECT_EQ(Percent(1000, 1000), 100);
  EXPECT_EQ(Percent(1001, 1000), 100);
  EXPECT_EQ(Percent(UINT64_MAX - 1, UINT64_MAX), 99);
}

}  // namespace
}  // namespace reclaim::base
