#include "server/clock_keeper.h"

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/leap_clock.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/state_file.h"
#include "store/testing/store_tree.h"

namespace reclaim::server {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::LeapState;
using ::reclaim::base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kTwentyYears = absl::Hours(20 * 365 * 24);

class ClockKeeperTest : public testing::Test {
 protected:
  ClockKeeperTest() { machine_.Advance(absl::Hours(1)); }

  std::unique_ptr<ClockKeeper> Start(const std::string& boot_id = "this") {
    auto keeper = std::make_unique<ClockKeeper>(
        &machine_, [this] { return machine_.Monotonic(); }, boot_id);
    keeper->Begin(
        folder_.path(),
        [this](absl::string_view line) { said_.emplace_back(line); },
        [this](absl::Duration behind) { shown_ = behind; });
    return keeper;
  }
  void Leap(absl::Duration by) { machine_.Jump(machine_.Now() + by); }
  void Pass(absl::Duration time, ClockKeeper* keeper) {
    const absl::Duration end = machine_.Monotonic() + time;
    while (machine_.Monotonic() < end) {
      machine_.Advance(absl::Minutes(1));
      keeper->Tick();
    }
  }
  absl::Duration Behind(const ClockKeeper& keeper) const {
    return machine_.Now() - keeper.clock()->Now();
  }
  std::filesystem::path File() const {
    return std::filesystem::path(folder_.path()) / "clock";
  }
  std::string Text() const {
    std::ifstream file(File());
    return {std::istreambuf_iterator<char>(file), {}};
  }

  store::TempFolder folder_;
  base::SimulatedClock machine_;
  std::vector<std::string> said_;
  absl::Duration shown_;
};

TEST_F(ClockKeeperTest, TheMachineHasAClock) {
  ClockKeeper keeper;
  keeper.Begin(
      folder_.path(), [](absl::string_view) {}, [](absl::Duration) {});
  const absl::Duration apart =
      base::SystemClock()->Now() - keeper.clock()->Now();
  EXPECT_LT(absl::AbsDuration(apart), absl::Minutes(1));
  const auto state = ClockKeeper::Parse(Text());
  ASSERT_THAT(state, IsOk());
  EXPECT_GT(state->boot, absl::ZeroDuration());
  EXPECT_FALSE(state->boot_id.empty());
}

TEST_F(ClockKeeperTest, ALeapIsSaidAndShownOnce) {
  const auto keeper = Start();
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(shown_, absl::ZeroDuration());
  Leap(kTwentyYears);
  Pass(absl::Hours(23), keeper.get());
  EXPECT_THAT(said_, ElementsAre(HasSubstr("ahead of what")));
  EXPECT_EQ(shown_, kTwentyYears - absl::Seconds(1));
  Pass(absl::Hours(2), keeper.get());
  EXPECT_THAT(said_, ElementsAre(HasSubstr("ahead of what"),
                                 HasSubstr("has stood for a day")));
  EXPECT_EQ(shown_, absl::ZeroDuration());
}

TEST_F(ClockKeeperTest, ALeapThatGoesBackIsSaid) {
  const auto keeper = Start();
  Leap(kDay);
  keeper->Tick();
  Leap(-kDay);
  keeper->Tick();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("ahead of what"),
                                 HasSubstr("is forgotten")));
}

TEST_F(ClockKeeperTest, WhatIsSmallIsNotWorthALine) {
  const auto keeper = Start();
  Leap(absl::Seconds(30));
  Pass(2 * kDay, keeper.get());
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(Behind(*keeper), absl::ZeroDuration());
}

// Also one that is killed.
TEST_F(ClockKeeperTest, ARestartTakesNoLeapOn) {
  const auto first = Start();
  Leap(kTwentyYears);
  Pass(absl::Hours(20), first.get());
  const auto second = Start();
  EXPECT_GE(Behind(*second), kTwentyYears - absl::Seconds(1));
  // And what has stood has not to stand again.
  Pass(absl::Hours(5), second.get());
  EXPECT_EQ(Behind(*second), absl::ZeroDuration());
}

TEST_F(ClockKeeperTest, ALeapWhileNobodyLooksIsNoticed) {
  Start()->End();
  Leap(kTwentyYears);
  const auto keeper = Start();
  EXPECT_GE(Behind(*keeper), kTwentyYears - absl::Seconds(1));
  EXPECT_THAT(said_, ElementsAre(HasSubstr("ahead of what")));
}

TEST_F(ClockKeeperTest, AnotherBootMayHaveBeenOff) {
  Start()->End();
  Leap(kDay);
  EXPECT_EQ(Behind(*Start("next")), absl::ZeroDuration());
  Leap(kTwentyYears);
  // The hour since boot counts: then it was on.
  EXPECT_GE(Behind(*Start("third")), kTwentyYears - absl::Hours(2));
}

TEST_F(ClockKeeperTest, TheFileIsKeptCurrent) {
  const auto keeper = Start();
  const std::string before = Text();
  Pass(absl::Minutes(4), keeper.get());
  EXPECT_EQ(Text(), before) << "it is written without need";
  Pass(absl::Minutes(2), keeper.get());
  EXPECT_NE(Text(), before);
  Pass(absl::Minutes(2), keeper.get());
  keeper->End();
  const auto state = ClockKeeper::Parse(Text());
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->boot, machine_.Monotonic());
  EXPECT_EQ(state->boot_id, "this");
}

TEST_F(ClockKeeperTest, ADamagedFileIsSaid) {
  Start()->End();
  std::ofstream(File()) << "reclaim-clock 1\nboot this\n";
  Leap(kDay);
  const auto keeper = Start();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("is not whole")));
  EXPECT_EQ(Behind(*keeper), absl::ZeroDuration());
}

TEST_F(ClockKeeperTest, WhatCannotBeWrittenIsSaidOnce) {
  std::filesystem::create_directory(absl::StrCat(File().string(), ".new"));
  const auto keeper = Start();
  Leap(kDay);
  keeper->Tick();
  keeper->Tick();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("until it can be written"),
                                 HasSubstr("ahead of what")));
}

TEST(ClockTextTest, IsReadAsItWasWritten) {
  LeapState state;
  state.boot_id = "a1a9b7c2-ea73";
  state.boot = absl::Microseconds(1234567);
  state.origin = absl::FromUnixMicros(1767323045123456);
  for (const bool has_doubt : {false, true}) {
    if (has_doubt) {
      state.settles_until = absl::FromUnixMicros(-1);
      state.doubt.emplace();
      state.doubt->since = absl::Microseconds(-5);
      state.doubt->lowest = absl::FromUnixMicros(-3000000);
      state.doubt->highest = absl::FromUnixMicros(3000000000000000);
    }
    const std::string text = ClockKeeper::ToText(state);
    const auto parsed = ClockKeeper::Parse(text);
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(ClockKeeper::ToText(*parsed), text);
    EXPECT_EQ(parsed->boot_id, state.boot_id);
    EXPECT_EQ(parsed->boot, state.boot);
    EXPECT_EQ(parsed->origin, state.origin);
    ASSERT_EQ(parsed->doubt.has_value(), has_doubt);
    if (has_doubt) {
      EXPECT_EQ(parsed->settles_until, state.settles_until);
      EXPECT_EQ(parsed->doubt->since, state.doubt->since);
      EXPECT_EQ(parsed->doubt->lowest, state.doubt->lowest);
      EXPECT_EQ(parsed->doubt->highest, state.doubt->highest);
    }
  }
}

TEST(ClockTextTest, WhatIsNotWholeIsRefused) {
  const std::string text = ClockKeeper::ToText(LeapState());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_THAT(ClockKeeper::Parse(text.substr(0, size)),
                StatusIs(absl::StatusCode::kDataLoss));
    std::string changed = text;
    changed[size] = static_cast<char>(changed[size] ^ 1);
    EXPECT_THAT(ClockKeeper::Parse(changed),
                StatusIs(absl::StatusCode::kDataLoss));
  }
  // Whole, and none of ours.
  for (const char* lines :
       {"reclaim-clock 2\nboot x\nclock 1 2 3\n", "reclaim-clock 1\nboot x\n",
        "reclaim-clock 1\nboot x\nclock 1 2\n",
        "reclaim-clock 1\nboot x\nclock 1 2 3 4\n",
        "reclaim-clock 1\nboot x\nclock 1 2 z\n",
        "reclaim-clock 1\nboot x\nclock 1 2 3\ndoubt 1 2\n",
        "reclaim-clock 1\nboot x\nclock 1 2 3\ndoubt 1 3 2\n",
        "reclaim-clock 1\nclock 1 2 3\n"}) {
    EXPECT_THAT(ClockKeeper::Parse(absl::StrCat(lines, index::SumLine(lines))),
                StatusIs(absl::StatusCode::kDataLoss))
        << lines;
  }
}

}  // namespace
}  // namespace reclaim::server
