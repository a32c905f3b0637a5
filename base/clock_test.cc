#include "base/clock.h"

#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

TEST(SystemClockTest, MonotonicNeverGoesBack) {
  const absl::Duration first = SystemClock()->Monotonic();
  EXPECT_GE(SystemClock()->Monotonic(), first);
  EXPECT_GT(SystemClock()->Now(), absl::FromUnixSeconds(1700000000));
}

TEST(SimulatedClockTest, MovesOnlyWhenTold) {
  SimulatedClock clock;
  const absl::Time start = clock.Now();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(absl::Hours(2));
  EXPECT_EQ(clock.Now(), start + absl::Hours(2));
  EXPECT_EQ(clock.Monotonic(), absl::Hours(2));
}

TEST(SimulatedClockTest, AJumpDoesNotMoveMonotonicTime) {
  SimulatedClock clock;
  clock.Advance(absl::Seconds(5));
  clock.Jump(absl::UnixEpoch());
  EXPECT_EQ(clock.Now(), absl::UnixEpoch());
  EXPECT_EQ(clock.Monotonic(), absl::Seconds(5));
}

}  // namespace
}  // namespace reclaim::base
