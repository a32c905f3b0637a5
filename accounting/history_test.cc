#include "accounting/history.h"

#include <string>
#include <utility>
#include <vector>

#include "accounting/history_store.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"

namespace reclaim::accounting {
namespace {

using ::reclaim::base::IsOk;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kGigabyte = 1'000'000'000;

class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() { clock.Jump(absl::FromUnixSeconds(1767225600)); }

  void Sample(uint64_t stored_bytes, const std::string& store = "a") {
    UsageSample sample;
    sample.time = clock.Now();
    sample.live = {stored_bytes / 2, stored_bytes};
    sample.capacity.emplace();
    sample.capacity->capacity_bytes = 1000 * kGigabyte;
    sample.capacity->available_bytes = 1000 * kGigabyte - stored_bytes;
    ASSERT_THAT(history.Add(store, sample), IsOk());
  }
  std::vector<UsageBucket> All(Resolution resolution) {
    const auto buckets = history.List("a", resolution, absl::UnixEpoch());
    EXPECT_THAT(buckets, IsOk());
    return buckets.ok() ? *buckets : std::vector<UsageBucket>();
  }
  // Ascending, each bucket once, none ahead of the clock.
  void ExpectOrdered() {
    for (const Resolution resolution : kResolutions) {
      const std::vector<UsageBucket> all = All(resolution);
      for (size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i].begin, BucketOf(resolution, all[i].last.time));
        EXPECT_LE(all[i].begin, clock.Now());
        EXPECT_TRUE(i == 0 || all[i - 1].begin < all[i].begin);
      }
    }
  }

  index::MemoryEngine engine;
  HistoryStore history{&engine};
  base::SimulatedClock clock;
};

TEST_F(HistoryTest, ABucketKeepsItsLastSampleAndItsPeak) {
  Sample(100);
  clock.Advance(absl::Minutes(1));
  Sample(900);
  clock.Advance(absl::Minutes(1));
  Sample(300);
  const auto buckets = All(Resolution::kFiveMinutes);
  ASSERT_THAT(buckets, SizeIs(1));
  EXPECT_EQ(buckets[0].last.stored_bytes(), 300u);
  EXPECT_EQ(buckets[0].last.live.logical_bytes, 150u);
  EXPECT_EQ(buckets[0].least_stored_bytes, 100u);
  EXPECT_EQ(buckets[0].most_stored_bytes, 900u);
  EXPECT_EQ(buckets[0].sample_count, 3u);
  EXPECT_EQ(buckets[0].last.time, clock.Now());
  ASSERT_TRUE(buckets[0].last.capacity.has_value());
}

TEST_F(HistoryTest, FourYearsTakeTheRoomOfThree) {
  // Every day, then every hour for 32 days, then every five minutes for one.
  for (const auto& [step, count] :
       {std::make_pair(absl::Hours(24), 1428),
        std::make_pair(absl::Hours(1), 32 * 24),
        std::make_pair(absl::Minutes(5), 24 * 12)}) {
    for (int i = 0; i < count; ++i) {
      Sample(static_cast<uint64_t>(i) * 1000);
      clock.Advance(step);
    }
  }
  EXPECT_THAT(All(Resolution::kFiveMinutes), SizeIs(24 * 12));
  EXPECT_THAT(All(Resolution::kHour), SizeIs(31 * 24));
  EXPECT_THAT(All(Resolution::kDay), SizeIs(1096));
  ExpectOrdered();
}

TEST_F(HistoryTest, TimeWithoutSamplesIsAGap) {
  Sample(10);
  clock.Advance(absl::Hours(5));
  // The daemon comes back: another store object on the same engine.
  HistoryStore again(&engine);
  UsageSample sample;
  sample.time = clock.Now();
  ASSERT_THAT(again.Add("a", sample), IsOk());
  const auto buckets = All(Resolution::kFiveMinutes);
  ASSERT_THAT(buckets, SizeIs(2));
  EXPECT_EQ(buckets[1].begin - buckets[0].begin, absl::Hours(5));
}

TEST_F(HistoryTest, AClockSetBackDropsWhatWasNeverMeasured) {
  Sample(10);
  clock.Jump(clock.Now() + absl::Hours(24 * 400));
  Sample(20);
  ExpectOrdered();
  // The leap had made the first sample too old for the finer steps.
  EXPECT_THAT(All(Resolution::kFiveMinutes), SizeIs(1));
  EXPECT_THAT(All(Resolution::kDay), SizeIs(2));
  clock.Jump(clock.Now() - absl::Hours(24 * 399));
  Sample(30);
  ExpectOrdered();
  EXPECT_THAT(All(Resolution::kFiveMinutes), SizeIs(1));
  EXPECT_THAT(All(Resolution::kDay), SizeIs(2));
  EXPECT_EQ(All(Resolution::kDay)[1].last.stored_bytes(), 30u);
}

TEST_F(HistoryTest, StoresDoNotSeeEachOther) {
  Sample(10, "a");
  Sample(20, "ab");
  EXPECT_THAT(All(Resolution::kDay), SizeIs(1));
  EXPECT_EQ(All(Resolution::kDay)[0].last.stored_bytes(), 10u);
  EXPECT_THAT(*history.List("b", Resolution::kDay, absl::UnixEpoch()),
              IsEmpty());
}

TEST_F(HistoryTest, GrowthIsTheMedianOfSlopes) {
  // A gigabyte a day, with a prune of 20 in the middle and a spike.
  for (int day = 0; day < 30; ++day) {
    uint64_t stored = static_cast<uint64_t>(100 + day) * kGigabyte;
    if (day >= 26) stored -= 20 * kGigabyte;
    if (day == 7) stored += 300 * kGigabyte;
    Sample(stored);
    clock.Advance(absl::Hours(24));
  }
  const Outlook outlook = MakeOutlook(All(Resolution::kDay));
  ASSERT_TRUE(outlook.growth_bytes_per_day.has_value());
  EXPECT_NEAR(*outlook.growth_bytes_per_day / kGigabyte, 1.0, 0.01);
  ASSERT_TRUE(outlook.time_until_full.has_value());
  // 109 are in use at the end.
  EXPECT_NEAR(absl::ToDoubleHours(*outlook.time_until_full) / 24, 891, 10);
}

TEST_F(HistoryTest, WhatDoesNotGrowIsNeverFull) {
  for (int hour = 0; hour < 10; ++hour) {
    Sample(static_cast<uint64_t>(100 - hour) * kGigabyte);
    clock.Advance(absl::Hours(1));
  }
  const Outlook outlook = MakeOutlook(All(Resolution::kHour));
  EXPECT_NEAR(*outlook.growth_bytes_per_day / kGigabyte, -24, 0.01);
  EXPECT_FALSE(outlook.time_until_full.has_value());
}

TEST_F(HistoryTest, TooLittleGivesNoOutlook) {
  EXPECT_FALSE(MakeOutlook({}).growth_bytes_per_day.has_value());
  for (int i = 0; i < 5; ++i) {
    Sample(10);
    clock.Advance(absl::Minutes(5));
  }
  EXPECT_FALSE(MakeOutlook(All(Resolution::kFiveMinutes))
                   .growth_bytes_per_day.has_value());
}

TEST(ResolutionTest, TheFinestThatReachesBack) {
  EXPECT_EQ(ResolutionFor(absl::Hours(24)), Resolution::kFiveMinutes);
  EXPECT_EQ(ResolutionFor(absl::Hours(25)), Resolution::kHour);
  EXPECT_EQ(ResolutionFor(absl::Hours(24 * 32)), Resolution::kDay);
  EXPECT_EQ(ResolutionFor(absl::Hours(24 * 9999)), Resolution::kDay);
}

}  // namespace
}  // namespace reclaim::accounting
