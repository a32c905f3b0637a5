#include "gc/time_value.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1767323045);

TEST(TimeValueTest, UnderstandsTheFormsOfRuleThree) {
  const auto parse = [](const char* text) {
    return ParseTimeValue(text, kNow, absl::UTCTimeZone());
  };
  EXPECT_EQ(*parse("10m"), kNow - absl::Minutes(10));
  EXPECT_EQ(*parse("1h30m"), kNow - absl::Minutes(90));
  EXPECT_EQ(*parse("0m"), kNow);
  EXPECT_EQ(*parse("0"), absl::UnixEpoch());
  EXPECT_EQ(*parse("1767323045.5"), kNow + absl::Milliseconds(500));
  EXPECT_EQ(*parse("2026-01-02T03:04:05Z"), kNow);
  EXPECT_EQ(*parse("2026-01-02T04:04:05+01:00"), kNow);
  EXPECT_EQ(*parse("2026-01-02T03:04:05.5"), kNow + absl::Milliseconds(500));
  EXPECT_EQ(*parse("2026-01-02"), kNow - absl::Seconds(3 * 3600 + 245));
  EXPECT_EQ(*parse("2026-01-02T03"), kNow - absl::Seconds(245));
  for (const char* text :
       {"", "-1h", "yesterday", "2026-13-01", "1.", "1.123456789012345678901",
        "-5", "1h-", "inf", "12-", "infinite-future", "infinite-past", "+1h",
        "26-01-02", "-2026-01-02"}) {
    EXPECT_THAT(parse(text), StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(TimeValueTest, ABareDateIsInTheGivenZone) {
  EXPECT_EQ(*ParseTimeValue("2026-01-02", kNow, absl::FixedTimeZone(3600)),
            *ParseTimeValue("2026-01-01T23:00:00Z", kNow, absl::UTCTimeZone()));
}

TEST(TimeValueTest, AnErrorSaysWhatIsUnderstood) {
  EXPECT_THAT(
      ParseTimeValue("tomorrow", kNow, absl::UTCTimeZone()),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("RFC 3339")));
}

}  // namespace
}  // namespace reclaim::gc
