#include "base/leap_clock.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

constexpr absl::Duration kSecond = absl::Seconds(1);
constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kYear = absl::Hours(365 * 24);

// The clock of a machine that has been up for an hour.
class LeapClockTest : public testing::Test {
 protected:
  LeapClockTest() {
    machine_.Advance(absl::Hours(1));
    Start(std::nullopt);
  }

  void Start(const std::optional<LeapState>& earlier) {
    clock_ = std::make_unique<LeapClock>(
        &machine_, [this] { return machine_.Monotonic() + booted_; });
    clock_->Begin(boot_id_, earlier);
  }
  // The daemon stops and starts.
  void Restart() { Start(clock_->State()); }
  // The machine as well; it is off for `off`, and its wall says `wall`.
  void Reboot(absl::Duration off, absl::Time wall) {
    const LeapState earlier = clock_->State();
    machine_.Advance(off);
    boot_id_ += "+";
    booted_ = absl::Seconds(20) - machine_.Monotonic();
    machine_.Jump(wall);
    Start(earlier);
  }
  void Leap(absl::Duration by) { machine_.Jump(machine_.Now() + by); }
  // As the daemon looks each second.
  void Pass(absl::Duration time, absl::Duration step = absl::Minutes(1)) {
    const absl::Duration end = machine_.Monotonic() + time;
    while (machine_.Monotonic() < end) {
      machine_.Advance(std::min(step, end - machine_.Monotonic()));
      clock_->Now();
    }
  }
  absl::Duration Behind() const { return machine_.Now() - clock_->Now(); }
  absl::Duration Ahead() const {
    return clock_->latest()->Now() - clock_->Now();
  }

  SimulatedClock machine_;
  std::string boot_id_ = "one";
  absl::Duration booted_;
  std::unique_ptr<LeapClock> clock_;
};

TEST_F(LeapClockTest, BeforeItBeginsTheWallIsBelieved) {
  LeapClock clock(&machine_, [] { return kDay; });
  Leap(kYear);
  EXPECT_EQ(clock.Now(), machine_.Now());
  EXPECT_EQ(clock.latest()->Now(), machine_.Now());
  EXPECT_EQ(clock.HeldBack(), absl::ZeroDuration());
}

TEST_F(LeapClockTest, WhoSleepsBetweenTheTwoClocksReadsThemAgain) {
  int call = 0;
  LeapClock clock(&machine_, [&] {
    // The second of the look below: the wall was read an hour ago.
    if (++call == 4) machine_.Advance(absl::Hours(1));
    return machine_.Monotonic();
  });
  clock.Begin("one", std::nullopt);
  const absl::Time now = clock.Now();
  EXPECT_EQ(now, machine_.Now());
  EXPECT_FALSE(clock.State().doubt);
  EXPECT_EQ(call, 8);
}

TEST_F(LeapClockTest, WithoutALeapItIsTheWall) {
  for (int i = 0; i < 100; ++i) {
    Pass(absl::Hours(7), absl::Hours(7));
    EXPECT_EQ(clock_->Now(), machine_.Now());
    EXPECT_EQ(clock_->latest()->Now(), machine_.Now());
    EXPECT_EQ(clock_->Monotonic(), machine_.Monotonic());
  }
}

std::vector<absl::Duration> Leaps() {
  return {2 * kSecond,
          absl::Minutes(1),
          absl::Minutes(10),
          absl::Hours(1),
          absl::Hours(23),
          kDay,
          absl::Hours(25),
          7 * kDay,
          30 * kDay,
          31 * kDay,
          kYear,
          20 * kYear,
          absl::Hours(500000)};
}

TEST_F(LeapClockTest, ALeapForwardIsHeldForADayAndThenTakenOn) {
  for (const absl::Duration leap : Leaps()) {
    SCOPED_TRACE(absl::FormatDuration(leap));
    const absl::Time before = clock_->Now();
    Leap(leap);
    EXPECT_LE(clock_->Now() - before, LeapClock::kSlack);
    EXPECT_EQ(clock_->HeldBack(), leap - kSecond);
    Pass(kDay - kSecond);
    EXPECT_LE(clock_->Now() - before, kDay);
    EXPECT_GE(clock_->Now() - before, kDay - kSecond);
    Pass(kSecond);
    EXPECT_EQ(clock_->Now(), machine_.Now());
    EXPECT_EQ(clock_->HeldBack(), absl::ZeroDuration());
  }
}

TEST_F(LeapClockTest, AStepBackIsFollowedAtOnce) {
  for (const absl::Duration leap : Leaps()) {
    SCOPED_TRACE(absl::FormatDuration(leap));
    Leap(-leap);
    EXPECT_EQ(clock_->Now(), machine_.Now());
    Pass(kDay);
    // By now it is what is believed: forward again is a leap.
    Leap(leap);
    EXPECT_EQ(clock_->HeldBack(), leap - kSecond);
    Leap(-leap);
    EXPECT_EQ(clock_->Now(), machine_.Now());
  }
}

TEST_F(LeapClockTest, ALeapThatGoesBackIsForgotten) {
  for (const absl::Duration leap : Leaps()) {
    SCOPED_TRACE(absl::FormatDuration(leap));
    for (const int sign : {1, -1}) {
      Leap(sign * leap);
      Pass(absl::Hours(23));
      Leap(-sign * leap);
      EXPECT_EQ(clock_->Now(), machine_.Now());
      EXPECT_EQ(clock_->latest()->Now(), machine_.Now());
      Pass(2 * kDay);
      EXPECT_EQ(clock_->Now(), machine_.Now());
      EXPECT_FALSE(clock_->State().doubt);
    }
  }
}

TEST_F(LeapClockTest, ASmallStepPasses) {
  for (const absl::Duration step : {kSecond, absl::Milliseconds(1)}) {
    Leap(step);
    EXPECT_EQ(clock_->Now(), machine_.Now());
    Leap(-step);
    EXPECT_EQ(clock_->Now(), machine_.Now());
  }
}

// Steps that are too small for a leap do not add up to one that passes.
TEST_F(LeapClockTest, ManySmallStepsAreFollowedADayLate) {
  const absl::Time before = machine_.Now();
  for (int hour = 1; hour <= 240; ++hour) {
    Leap(absl::Milliseconds(900));
    Pass(absl::Hours(1), absl::Hours(1));
    const absl::Duration gained = clock_->Now() - before - absl::Hours(hour);
    EXPECT_LE(gained, absl::Milliseconds(900) * hour);
    EXPECT_LE(clock_->HeldBack(), absl::Milliseconds(900) * 49);
  }
  EXPECT_GT(clock_->Now() - before, absl::Hours(240) + absl::Minutes(2));
}

// Of two leaps the second has a day of its own.
TEST_F(LeapClockTest, ALeapBehindASmallOneIsHeldForADay) {
  Leap(absl::Minutes(5));
  Pass(absl::Hours(23));
  Leap(20 * kYear);
  Pass(kDay);
  EXPECT_GE(Behind(), 20 * kYear - kSecond);
  Pass(kDay);
  EXPECT_EQ(Behind(), absl::ZeroDuration());
}

TEST_F(LeapClockTest, SuspendIsNoLeap) {
  booted_ += 3 * kDay;
  Leap(3 * kDay);
  EXPECT_EQ(clock_->Now(), machine_.Now());
  EXPECT_FALSE(clock_->State().doubt);
}

TEST_F(LeapClockTest, ARestartTakesNoLeapOnAndProlongsNone) {
  Leap(20 * kYear);
  clock_->Now();
  for (int hour = 0; hour < 23; ++hour) {
    Pass(absl::Hours(1));
    Restart();
    EXPECT_GE(Behind(), 20 * kYear - kSecond);
  }
  Pass(absl::Hours(1));
  EXPECT_EQ(Behind(), absl::ZeroDuration());
}

TEST_F(LeapClockTest, ALeapWhileTheDaemonIsDownIsNoticed) {
  const LeapState earlier = clock_->State();
  machine_.Advance(absl::Hours(30));
  Leap(2 * kDay);
  Start(earlier);
  EXPECT_EQ(clock_->HeldBack(), 2 * kDay - kSecond);
}

// Where nobody knows which boot this is, a reboot may look like a leap.
TEST_F(LeapClockTest, WithoutABootTheTimeSinceBootDecides) {
  boot_id_ = "";
  Start(std::nullopt);
  const LeapState earlier = clock_->State();
  Leap(2 * kDay);
  Start(earlier);
  EXPECT_EQ(clock_->HeldBack(), 2 * kDay - kSecond);
  booted_ = -machine_.Monotonic();
  Start(earlier);
  EXPECT_EQ(clock_->HeldBack(), absl::ZeroDuration());
}

TEST_F(LeapClockTest, AMachineThatWasOffIsBelieved) {
  for (const absl::Duration off :
       {absl::Minutes(1), absl::Hours(1), kDay, 29 * kDay}) {
    SCOPED_TRACE(absl::FormatDuration(off));
    Reboot(off, machine_.Now() + off);
    EXPECT_EQ(clock_->Now(), machine_.Now());
    EXPECT_EQ(clock_->latest()->Now(), machine_.Now());
    Pass(absl::Hours(1));
  }
}

TEST_F(LeapClockTest, WhoIsOffForMonthsIsHeldForADay) {
  Reboot(31 * kDay, machine_.Now() + 31 * kDay);
  EXPECT_GT(Behind(), 30 * kDay);
  Pass(kDay);
  EXPECT_EQ(Behind(), absl::ZeroDuration());
}

TEST_F(LeapClockTest, ARebootTakesNoLeapOn) {
  Leap(2 * kDay);
  Pass(absl::Hours(1));
  Reboot(absl::Minutes(5), machine_.Now() + absl::Minutes(5));
  EXPECT_GE(Behind(), 2 * kDay - kSecond);
  Pass(kDay - absl::Minutes(1));
  EXPECT_GE(Behind(), 2 * kDay - kSecond);
  Pass(absl::Minutes(1));
  EXPECT_EQ(Behind(), absl::ZeroDuration());
}

// Small machines learn the time from the network, a moment after the daemon has
// begun; until then theirs is of 1970 or of the moment when they went off.
TEST_F(LeapClockTest, TheTimeThatTheNetworkTellsAtBootIsTaken) {
  for (const absl::Duration off :
       {absl::Minutes(2), absl::Hours(8), 9 * kDay}) {
    for (const bool knows_nothing : {true, false}) {
      SCOPED_TRACE(absl::FormatDuration(off));
      const absl::Time before = machine_.Now();
      Reboot(off, knows_nothing ? absl::UnixEpoch() : before);
      EXPECT_EQ(clock_->Now(), machine_.Now());
      Pass(absl::Minutes(5));
      Restart();
      machine_.Jump(before + off + absl::Minutes(5));
      EXPECT_EQ(clock_->Now(), machine_.Now());
      EXPECT_EQ(clock_->latest()->Now(), machine_.Now());
      // Once, for nobody sets a good clock twice.
      Leap(kDay);
      EXPECT_GE(Behind(), kDay - kSecond);
      Leap(-kDay);
      Pass(absl::Hours(1));
    }
  }
}

TEST_F(LeapClockTest, LaterItIsALeap) {
  const absl::Time before = machine_.Now();
  Reboot(9 * kDay, absl::UnixEpoch());
  Pass(absl::Minutes(16));
  machine_.Jump(before + 9 * kDay);
  EXPECT_GT(Behind(), 8 * kDay);
  // It goes on from when the machine went off.
  EXPECT_GE(clock_->Now(), before);
  Pass(kDay);
  EXPECT_EQ(Behind(), absl::ZeroDuration());
}

TEST_F(LeapClockTest, FurtherItIsALeap) {
  const absl::Time before = machine_.Now();
  Reboot(kYear, absl::UnixEpoch());
  machine_.Jump(before + kYear);
  EXPECT_GT(Behind(), kYear - kDay);
  EXPECT_GE(clock_->Now(), before);
}

TEST_F(LeapClockTest, AClockThatSaysThatItWasOffIsToldNothing) {
  Reboot(absl::Hours(2), machine_.Now() + absl::Hours(2));
  Leap(kDay);
  EXPECT_GE(Behind(), kDay - kSecond);
}

TEST_F(LeapClockTest, AFirstStartTakesWhatItIsTold) {
  machine_.Jump(absl::UnixEpoch());
  booted_ = -machine_.Monotonic();
  Start(std::nullopt);
  EXPECT_EQ(clock_->Now(), absl::UnixEpoch());
  Leap(56 * kYear);
  EXPECT_EQ(clock_->Now(), machine_.Now());
  Leap(kDay);
  EXPECT_GE(Behind(), kDay - kSecond);
}

TEST_F(LeapClockTest, TermsMayBeginAtTheLaterOfTheTwo) {
  Leap(kDay);
  EXPECT_EQ(clock_->latest()->Now(), machine_.Now());
  Leap(-3 * kDay);
  EXPECT_EQ(Ahead(), 2 * kDay);
  // What will never be has an end all the same.
  Leap(20 * kYear);
  EXPECT_EQ(Ahead(), LeapClock::kTimeOffMax);
}

// Whatever the wall does within kTimeOffMax: what begins at latest() with a
// term of up to a day never ends before the term has passed, but for the slack.
TEST_F(LeapClockTest, NoTermEndsEarly) {
  const uint64_t seed = std::random_device()();
  RecordProperty("seed", absl::StrCat(seed));
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937_64 random(seed);
  struct Term {
    absl::Duration begin;
    absl::Time end;
    absl::Duration length;
  };
  std::vector<Term> terms;
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  int leaps = 0;
  for (int step = 0; step < 20000; ++step) {
    // Sizes of all magnitudes, up to six days; all origins lie within 26.
    if (below(20) == 0) {
      const int64_t size = below(int64_t{1} << (1 + below(19)));
      const absl::Duration off =
          machine_.Now() - machine_.Monotonic() - SimulatedClock().Now();
      const bool is_back = off > 7 * kDay || (off > -7 * kDay && below(2) == 0);
      Leap(absl::Seconds(is_back ? -size : size));
      ++leaps;
    }
    Pass(absl::Seconds(below(3600)), kDay);
    if (below(50) == 0) Restart();
    if (below(10) == 0) {
      const absl::Duration length = absl::Seconds(1 + below(86400));
      terms.push_back(
          {machine_.Monotonic(), clock_->latest()->Now() + length, length});
    }
    std::vector<Term> left;
    for (const Term& term : terms) {
      const absl::Duration passed = machine_.Monotonic() - term.begin;
      if (term.end > clock_->Now()) {
        if (passed < 40 * kDay) left.push_back(term);
        continue;
      }
      ASSERT_GE(passed + LeapClock::kSlack, term.length);
    }
    terms = left;
  }
  EXPECT_GT(leaps, 100);
}

}  // namespace
}  // namespace reclaim::base
