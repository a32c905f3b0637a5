#include "gc/cron.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::TimeZone Zone(const char* name) {
  absl::TimeZone zone;
  EXPECT_TRUE(absl::LoadTimeZone(name, &zone)) << name;
  return zone;
}

absl::Time At(const char* text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, &error))
      << error;
  return time;
}

// The first `count` instants after `after`.
std::vector<std::string> Runs(const char* cron, const char* zone,
                              const char* after, int count) {
  const auto parsed = Cron::Parse(cron);
  EXPECT_THAT(parsed, IsOk()) << cron;
  std::vector<std::string> runs;
  absl::Time at = At(after);
  for (int i = 0; parsed.ok() && i < count; ++i) {
    at = parsed->Next(at, Zone(zone));
    runs.push_back(absl::FormatTime("%Y-%m-%dT%H:%M%Ez", at, Zone(zone)));
  }
  return runs;
}

TEST(CronTest, FieldsListsRangesAndSteps) {
  EXPECT_THAT(Runs("*/20 8-9 * * *", "UTC", "2026-01-02T09:30:00Z", 3),
              ElementsAre("2026-01-02T09:40+00:00", "2026-01-03T08:00+00:00",
                          "2026-01-03T08:20+00:00"));
  EXPECT_THAT(Runs("5 4 * * sun", "UTC", "2026-01-02T00:00:00Z", 2),
              ElementsAre("2026-01-04T04:05+00:00", "2026-01-11T04:05+00:00"));
  EXPECT_THAT(Runs("0 0 29 2 *", "UTC", "2026-01-02T00:00:00Z", 1),
              ElementsAre("2028-02-29T00:00+00:00"));
  EXPECT_THAT(Runs("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1),
              ElementsAre("2104-02-29T00:00+00:00"));
  EXPECT_THAT(Runs("0 12 * * 7", "UTC", "2026-01-02T00:00:00Z", 1),
              ElementsAre("2026-01-04T12:00+00:00"));
  EXPECT_THAT(Runs("0 12 * * sat-sun", "UTC", "2026-01-02T00:00:00Z", 2),
              ElementsAre("2026-01-03T12:00+00:00", "2026-01-04T12:00+00:00"));
  for (const char* sunday :
       {"0 12 * * 0-0", "0 12 * * sun-sun", "0 12 * * 7-7", "0 12 * * sun-0"}) {
    EXPECT_THAT(Runs(sunday, "UTC", "2026-01-02T00:00:00Z", 2),
                ElementsAre("2026-01-04T12:00+00:00", "2026-01-11T12:00+00:00"))
        << sunday;
  }
  EXPECT_THAT(Runs("@hourly", "UTC", "2026-01-02T00:00:00Z", 1),
              ElementsAre("2026-01-02T01:00+00:00"));
}

TEST(CronTest, TwoRestrictedDaysAreEither) {
  // The 13th, and each Friday.
  EXPECT_THAT(Runs("0 0 13 * fri", "UTC", "2026-01-02T00:00:00Z", 3),
              ElementsAre("2026-01-09T00:00+00:00", "2026-01-13T00:00+00:00",
                          "2026-01-16T00:00+00:00"));
}

TEST(CronTest, WhatIsWrongIsNamed) {
  const auto refused = [](const char* cron, const char* why) {
    EXPECT_THAT(Cron::Parse(cron),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)))
        << cron;
  };
  refused("* * * *", "five fields");
  refused("60 * * * *", "minute");
  refused("* 24 * * *", "hour");
  refused("* * 0 * *", "day of the month");
  refused("* * * 13 *", "month");
  refused("* * * * 8", "day of the week");
  refused("*/0 * * * *", "minute");
  refused("5-1 * * * *", "minute");
  refused("1,,2 * * * *", "minute");
  refused("-1 * * * *", "minute");
  refused("0 0 31 2 *", "never comes");
  refused("0 0 31 feb,apr,jun *", "never comes");
  EXPECT_THAT(Cron::Parse("0 0 31 2 mon"), IsOk());  // Mondays come
}

TEST(CronTest, ATimeThatDoesNotExistIsDueRightAfter) {
  // Berlin: 2026-03-29 02:00 becomes 03:00.
  EXPECT_THAT(Runs("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
              ElementsAre("2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00",
                          "2026-03-30T02:30+02:00"));
  // Several of them are one run.
  EXPECT_THAT(
      Runs("*/30 2-3 * * *", "Europe/Berlin", "2026-03-29T00:59:00Z", 3),
      ElementsAre("2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00",
                  "2026-03-30T02:00+02:00"));
}

TEST(CronTest, ATimeThatComesTwiceIsDueOnce) {
  // Berlin: 2026-10-25 03:00 becomes 02:00.
  EXPECT_THAT(Runs("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
              ElementsAre("2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"));
  // Asked in the second of the two hours.
  EXPECT_THAT(Runs("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1),
              ElementsAre("2026-10-25T03:00+01:00"));
}

TEST(CronTest, ADayThatAZoneLeavesOut) {
  // Samoa had no 2011-12-30.
  EXPECT_THAT(Runs("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1),
              ElementsAre("2011-12-31T00:00+14:00"));
}

TEST(GridTest, RunsAreAtTheAnchorAndMultiples) {
  const absl::Time anchor = At("2026-01-02T00:00:00Z");
  EXPECT_EQ(NextOnGrid(anchor, absl::Hours(6), anchor),
            anchor + absl::Hours(6));
  EXPECT_EQ(NextOnGrid(anchor, absl::Hours(6), anchor + absl::Hours(13)),
            anchor + absl::Hours(18));
  EXPECT_EQ(NextOnGrid(anchor, absl::Hours(6), anchor - absl::Hours(100)),
            anchor + absl::Hours(6));
}

TEST(TimeWindowTest, HoldsAndOpens) {
  const auto night = TimeWindow::Parse("22:00-06:00");
  ASSERT_THAT(night, IsOk());
  const absl::TimeZone utc = absl::UTCTimeZone();
  EXPECT_EQ(night->EndAt(At("2026-01-02T23:00:00Z"), utc),
            At("2026-01-03T06:00:00Z"));
  EXPECT_EQ(night->EndAt(At("2026-01-03T05:59:59Z"), utc),
            At("2026-01-03T06:00:00Z"));
  EXPECT_EQ(night->EndAt(At("2026-01-03T06:00:00Z"), utc), std::nullopt);
  EXPECT_EQ(night->NextOpening(At("2026-01-03T06:00:00Z"), utc),
            At("2026-01-03T22:00:00Z"));
  const auto weekend = TimeWindow::Parse("sat-sun 00:00-24:00");
  ASSERT_THAT(weekend, IsOk());
  EXPECT_EQ(weekend->EndAt(At("2026-01-02T23:59:00Z"), utc), std::nullopt);
  EXPECT_EQ(weekend->EndAt(At("2026-01-03T00:00:00Z"), utc),
            At("2026-01-04T00:00:00Z"));
  EXPECT_EQ(weekend->NextOpening(At("2026-01-05T00:00:00Z"), utc),
            At("2026-01-10T00:00:00Z"));
  for (const char* text :
       {"", "22:00", "22-06", "25:00-26:00", "xyz 1:00-2:00",
        "01:00-02:00 mon tue", "22:00-22:00", "sat 24:00-24:00"}) {
    EXPECT_THAT(TimeWindow::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

}  // namespace
}  // namespace reclaim::gc
