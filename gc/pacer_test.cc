#include "gc/pacer.h"

#include <limits>

#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

TEST(PacerTest, KeepsToTheBudget) {
  EXPECT_EQ(PaceDelay(1000, 500, absl::ZeroDuration()),
            absl::Milliseconds(500));
  EXPECT_EQ(PaceDelay(1000, 500, absl::Milliseconds(200)),
            absl::Milliseconds(300));
}

TEST(PacerTest, WhatTookLongEnoughNeedsNoDelay) {
  EXPECT_EQ(PaceDelay(1000, 500, absl::Seconds(1)), absl::ZeroDuration());
  EXPECT_EQ(PaceDelay(1000, 0, absl::ZeroDuration()), absl::ZeroDuration());
}

TEST(PacerTest, ZeroIsNoLimit) {
  EXPECT_EQ(PaceDelay(0, uint64_t{1} << 40, absl::ZeroDuration()),
            absl::ZeroDuration());
}

TEST(PacerTest, NoDelayIsForEver) {
  EXPECT_EQ(
      PaceDelay(1, std::numeric_limits<uint64_t>::max(), absl::ZeroDuration()),
      absl::Hours(1));
}

TEST(PacerTest, ACancelledRunDoesNotWait) {
  int polls = 0;
  KeepPace(absl::Hours(1), [&] {
    ++polls;
    return true;
  });
  EXPECT_EQ(polls, 1);
}

}  // namespace
}  // namespace reclaim::gc
