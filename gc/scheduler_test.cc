#include "gc/scheduler.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::Time At(const char* text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, &error)) << text;
  return time;
}

// Notes what it is told to do, and does it in no time.
class NotedWork final : public ScheduledWork {
 public:
  explicit NotedWork(const base::Clock* clock) : clock_(clock) {}

  absl::StatusOr<Plans> MakePlans(const Schedule& schedule) override {
    runs[schedule.name].push_back(clock_->Now());
    proposers.push_back(schedule.request.proposer);
    if (!plan_status.ok()) return plan_status;
    return Plans{plans, ""};
  }
  absl::StatusOr<Deed> Act(const Schedule& schedule, const std::string& plan_id,
                           absl::Time until) override {
    if (plan_id.empty()) runs[schedule.name].push_back(clock_->Now());
    acted.push_back(plan_id);
    untils.push_back(until);
    if (!act_status.ok()) return act_status;
    return Deed{{"run-" + plan_id}, is_partial, ""};
  }

  std::map<std::string, std::vector<absl::Time>> runs;
  std::vector<std::string> plans = {"p"};
  std::vector<std::string> acted;
  std::vector<std::string> proposers;
  std::vector<absl::Time> untils;
  absl::Status plan_status;
  absl::Status act_status;
  bool is_partial = false;

 private:
  const base::Clock* clock_;
};

class NotedEnds final : public ScheduleObserver {
 public:
  void OnScheduleEnd(const Schedule& schedule,
                     const ScheduleState& state) override {
    ends.push_back(
        absl::StrCat(schedule.name, " ", ToString(state.last_outcome)));
  }
  std::vector<std::string> ends;
};

Schedule Cron(const std::string& name, const std::string& cron,
              const std::string& zone = "UTC") {
  Schedule schedule;
  schedule.name = name;
  schedule.cron = cron;
  schedule.time_zone = zone;
  schedule.actor = "uid:7";
  return schedule;
}

class SchedulerTest : public ::testing::Test {
 protected:
  void Start(const std::vector<Schedule>& schedules) {
    schedules_ = schedules;
    Restart();
  }
  // The daemon's end and its next start: what is in memory is gone.
  void Restart() {
    scheduler_.reset();
    auto book = PolicyBook::Open(&engine_, &clock_, {{}, schedules_});
    ASSERT_THAT(book, IsOk());
    book_ = *std::move(book);
    auto scheduler =
        Scheduler::Create(book_.get(), &work_, &clock_, &random_, &ends_,
                          [this](std::function<void()> job) {
                            if (is_slow_) {
                              jobs_.push_back(std::move(job));
                            } else {
                              job();
                            }
                          });
    ASSERT_THAT(scheduler, IsOk());
    scheduler_ = *std::move(scheduler);
  }
  void Tick() { ASSERT_THAT(scheduler_->Tick(), IsOk()); }
  // The owner's loop until `end`: at each due time, else once a minute would
  // change nothing while the clock stands.
  void RunUntil(absl::Time end) {
    for (;;) {
      Tick();
      const absl::Time next = scheduler_->NextTick();
      if (next > end) break;
      if (next > clock_.Now()) clock_.Advance(next - clock_.Now());
    }
    if (end > clock_.Now()) clock_.Advance(end - clock_.Now());
  }
  std::vector<std::string> Runs(const std::string& name,
                                const std::string& zone = "UTC") {
    absl::TimeZone loaded;
    EXPECT_TRUE(absl::LoadTimeZone(zone, &loaded));
    std::vector<std::string> texts;
    for (const absl::Time time : work_.runs[name]) {
      texts.push_back(absl::FormatTime("%Y-%m-%d %H:%M", time, loaded));
    }
    return texts;
  }
  ScheduleState State(const std::string& name) {
    const auto state = scheduler_->State(name);
    EXPECT_THAT(state, IsOk());
    return state.ok() ? *state : ScheduleState();
  }

  index::MemoryEngine engine_;
  base::SimulatedClock clock_{At("2026-01-01T00:00:00Z")};
  base::SeededRandom random_{11};
  NotedWork work_{&clock_};
  NotedEnds ends_;
  std::vector<Schedule> schedules_;
  bool is_slow_ = false;
  std::vector<std::function<void()>> jobs_;
  std::unique_ptr<PolicyBook> book_;
  std::unique_ptr<Scheduler> scheduler_;
};

class YearTest : public SchedulerTest {
 protected:
  struct Row {
    const char* schedule;
    const char* zone;
    const char* usual;
    std::map<std::string, std::vector<std::string>> unusual;  // by civil day
  };

  // What happens to the daemon and to its clock.
  void LiveThroughTheYear() {
    RunUntil(At("2026-05-10T00:00:00Z"));
    clock_.Advance(absl::Hours(84));  // down until 05-13 12:00
    Restart();
    RunUntil(At("2026-06-15T02:00:00Z"));
    Restart();  // and up again at once
    RunUntil(At("2026-07-01T06:00:30Z"));
    clock_.Jump(At("2026-07-01T03:00:30Z"));  // three hours back
    RunUntil(At("2026-08-01T09:00:00Z"));
    clock_.Jump(At("2026-09-01T09:00:00Z"));  // a month ahead, for an hour
    RunUntil(At("2026-09-01T09:59:00Z"));
    clock_.Jump(At("2026-08-01T10:00:00Z"));
    RunUntil(At("2027-01-01T00:00:00Z"));
  }

  void ExpectDays(const Row& row) {
    std::map<std::string, std::vector<std::string>> seen;
    for (const std::string& run : Runs(row.schedule, row.zone)) {
      seen[run.substr(0, 10)].push_back(run.substr(11));
    }
    for (absl::CivilDay day(2026, 1, 1); day < absl::CivilDay(2027, 1, 1);
         ++day) {
      const std::string name = absl::FormatCivilTime(day);
      const auto it = row.unusual.find(name);
      const std::vector<std::string> want =
          it == row.unusual.end() ? std::vector<std::string>{row.usual}
                                  : it->second;
      EXPECT_EQ(seen[name], want) << row.schedule << " on " << name;
    }
  }
};

// A year in the life of four schedules.  What happens to the clock and to the
// daemon, and on which days the runs are other than the rule says, is the
// table; all other days have exactly what the rule says.
TEST_F(YearTest, AYearGivesTheRunsOfTheTable) {
  Schedule daily = Cron("daily", "30 2 * * *", "Europe/Berlin");
  Schedule late = Cron("late", "15 1 * * *", "America/New_York");
  late.windows = {"03:00-05:00"};
  Schedule weekly = Cron("weekly", "0 4 * * sun");
  Schedule six;
  six.name = "six";
  six.every = absl::Hours(6);
  Start({daily, late, weekly, six});

  LiveThroughTheYear();

  const Row rows[] = {
      {"daily",
       "Europe/Berlin",
       "02:30",
       {{"2026-03-29", {"03:00"}},  // 02:30 does not exist
        {"2026-05-10", {}},         // down
        {"2026-05-11", {}},
        {"2026-05-12", {}},
        {"2026-05-13", {"14:00"}},             // three missed: caught up once
        {"2026-10-25", {"02:30"}},             // 02:30 comes twice
        {"2026-09-01", {"11:00", "02:30"}}}},  // caught up, and in its turn
      {"late",
       "America/New_York",
       "03:00",  // the window opens
       {{"2026-05-10", {}},
        {"2026-05-11", {}},
        {"2026-05-12", {}},
        {"2026-05-13", {}},  // up at 08:00: the window has closed
        {"2026-12-31", {"03:00"}}}},
  };
  for (const Row& row : rows) ExpectDays(row);
  // 52 Sundays of 2026, one that fell into the time when it was down (10 May)
  // and was caught up on the 13th, and one that the clock's excursion showed.
  EXPECT_EQ(work_.runs["weekly"].size(), 53u);
  EXPECT_THAT(Runs("weekly"), ::testing::Contains("2026-05-13 12:00"));
  EXPECT_THAT(Runs("weekly"),
              ::testing::Not(::testing::Contains("2026-05-10 04:00")));
  // 365 days of four, less 13 of the 14 that were missed in May, and one run
  // for the month that the clock leapt over.
  EXPECT_EQ(State("six").run_count, work_.runs["six"].size());
  EXPECT_EQ(work_.runs["six"].size(), 365u * 4 - 13 + 1);
  EXPECT_EQ(State("six").missed_count, 13u + 123u);
}

TEST_F(SchedulerTest, ANewScheduleBeginsWithItsNextDueTime) {
  Start({Cron("hourly", "0 * * * *")});
  Tick();
  EXPECT_THAT(Runs("hourly"), IsEmpty());
  RunUntil(At("2026-01-01T02:30:00Z"));
  EXPECT_THAT(Runs("hourly"),
              ElementsAre("2026-01-01 01:00", "2026-01-01 02:00"));
  EXPECT_EQ(State("hourly").last_outcome, ScheduleOutcome::kSucceeded);
  EXPECT_THAT(State("hourly").last_run_ids, ElementsAre("run-p"));
  EXPECT_THAT(ends_.ends, ElementsAre("hourly succeeded", "hourly succeeded"));
}

TEST_F(SchedulerTest, WhatIsDueWhileItRunsIsLeftOut) {
  Start({Cron("hourly", "0 * * * *")});
  is_slow_ = true;
  clock_.Advance(absl::Hours(1));
  Tick();
  ASSERT_EQ(jobs_.size(), 1u);
  EXPECT_TRUE(State("hourly").is_running());
  EXPECT_THAT(scheduler_->RunNow("hourly", "uid:9"),
              StatusIs(absl::StatusCode::kAborted));
  clock_.Advance(absl::Hours(2) + absl::Minutes(10));
  Tick();
  EXPECT_EQ(jobs_.size(), 1u);
  jobs_[0]();
  Tick();
  EXPECT_EQ(jobs_.size(), 1u);
  EXPECT_EQ(State("hourly").missed_count, 2u);
  clock_.Advance(absl::Minutes(50));
  Tick();
  EXPECT_EQ(jobs_.size(), 2u);
}

TEST_F(SchedulerTest, ARunThatWasCutOffIsRunOnceMore) {
  Start({Cron("daily", "0 3 * * *")});
  is_slow_ = true;
  clock_.Advance(absl::Hours(3));
  Tick();
  ASSERT_EQ(jobs_.size(), 1u);
  Restart();
  EXPECT_EQ(State("daily").last_outcome, ScheduleOutcome::kInterrupted);
  Tick();
  ASSERT_EQ(jobs_.size(), 2u);
  // Cut off again: it waits for its next time.
  Restart();
  Tick();
  EXPECT_EQ(jobs_.size(), 2u);
  clock_.Advance(absl::Hours(24));
  Tick();
  EXPECT_EQ(jobs_.size(), 3u);
}

TEST_F(SchedulerTest, ARunThatTheDaemonsEndStopsIsRunOnceMore) {
  Start({Cron("daily", "0 3 * * *")});
  work_.act_status = absl::CancelledError("the daemon stops");
  RunUntil(At("2026-01-01T04:00:00Z"));
  EXPECT_TRUE(State("daily").is_running());
  work_.act_status = absl::OkStatus();
  Restart();
  Tick();
  EXPECT_THAT(Runs("daily"),
              ElementsAre("2026-01-01 03:00", "2026-01-01 04:00"));
  EXPECT_EQ(State("daily").last_outcome, ScheduleOutcome::kSucceeded);
}

TEST_F(SchedulerTest, APausedScheduleCatchesNothingUp) {
  Start({Cron("hourly", "0 * * * *")});
  ASSERT_THAT(scheduler_->Pause("hourly"), IsOk());
  RunUntil(At("2026-01-01T05:30:00Z"));
  EXPECT_THAT(Runs("hourly"), IsEmpty());
  Restart();  // it stays paused
  RunUntil(At("2026-01-01T06:30:00Z"));
  EXPECT_THAT(Runs("hourly"), IsEmpty());
  EXPECT_EQ(*scheduler_->NextTime("hourly"), absl::InfiniteFuture());
  ASSERT_THAT(scheduler_->Resume("hourly"), IsOk());
  RunUntil(At("2026-01-01T07:30:00Z"));
  EXPECT_THAT(Runs("hourly"), ElementsAre("2026-01-01 07:00"));
  EXPECT_THAT(scheduler_->Pause("other"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(SchedulerTest, JitterIsLateTheSameEachTimeAndAfterARestart) {
  Schedule schedule = Cron("daily", "0 3 * * *");
  schedule.jitter = absl::Hours(1);
  Start({schedule});
  RunUntil(At("2026-01-03T00:00:00Z"));
  Restart();
  RunUntil(At("2026-01-05T00:00:00Z"));
  const auto& runs = work_.runs["daily"];
  ASSERT_EQ(runs.size(), 4u);
  const absl::Duration late = runs[0] - At("2026-01-01T03:00:00Z");
  EXPECT_GT(late, absl::ZeroDuration());
  EXPECT_LT(late, absl::Hours(1));
  for (size_t i = 1; i < runs.size(); ++i) {
    EXPECT_EQ(runs[i] - runs[i - 1], absl::Hours(24));
  }
}

TEST_F(SchedulerTest, DeletionKeepsToItsWindow) {
  Schedule schedule = Cron("hourly", "0 * * * *");
  schedule.windows = {"22:00-06:00"};
  Start({schedule});
  RunUntil(At("2026-01-01T22:30:00Z"));
  EXPECT_THAT(
      Runs("hourly"),
      ElementsAre("2026-01-01 01:00", "2026-01-01 02:00", "2026-01-01 03:00",
                  "2026-01-01 04:00", "2026-01-01 05:00", "2026-01-01 22:00"));
  EXPECT_EQ(work_.untils.back(), At("2026-01-02T06:00:00Z"));
  // Who asks for it by hand is not held up.
  RunUntil(At("2026-01-02T12:00:00Z"));
  ASSERT_THAT(scheduler_->RunNow("hourly", "uid:9"), IsOk());
  EXPECT_EQ(Runs("hourly").back(), "2026-01-02 12:00");
  EXPECT_EQ(work_.untils.back(), absl::InfiniteFuture());
  EXPECT_EQ(work_.proposers.back(), "uid:9");
}

TEST_F(SchedulerTest, APlanThatNeedsApprovalIsNotApplied) {
  Schedule schedule = Cron("daily", "0 3 * * *");
  schedule.needs_approval = true;
  schedule.windows = {"22:00-02:00"};  // planning deletes nothing
  Start({schedule});
  RunUntil(At("2026-01-01T04:00:00Z"));
  EXPECT_THAT(work_.acted, IsEmpty());
  EXPECT_EQ(State("daily").last_outcome, ScheduleOutcome::kWaitsForApproval);
  EXPECT_THAT(State("daily").last_plan_ids, ElementsAre("p"));
  EXPECT_THAT(work_.proposers, ElementsAre("uid:7"));
}

// After a loss of the database nothing is deleted until somebody confirms: the
// schedule is due until then, and says so.
TEST_F(SchedulerTest, WhatMayNotBeDeletedYetWaits) {
  Start({Cron("daily", "0 3 * * *")});
  work_.plan_status = absl::FailedPreconditionError("run `store confirm`");
  work_.plan_status.SetPayload(kUnconfirmedPayload, absl::Cord("lost"));
  RunUntil(At("2026-01-01T03:05:30Z"));
  EXPECT_EQ(State("daily").last_outcome,
            ScheduleOutcome::kWaitsForConfirmation);
  EXPECT_THAT(State("daily").last_message, HasSubstr("store confirm"));
  EXPECT_THAT(work_.acted, IsEmpty());
  EXPECT_EQ(work_.runs["daily"].size(), 6u) << "once a minute";
  EXPECT_EQ(State("daily").missed_count, 0u);
  work_.plan_status = absl::OkStatus();
  RunUntil(At("2026-01-01T04:00:00Z"));
  EXPECT_EQ(State("daily").last_outcome, ScheduleOutcome::kSucceeded);
  EXPECT_THAT(work_.acted, ElementsAre("p"));
  EXPECT_EQ(work_.runs["daily"].size(), 7u);
}

TEST_F(SchedulerTest, WhatCannotBeDoneIsSaid) {
  Start({Cron("hourly", "0 * * * *")});
  work_.plan_status = absl::UnavailableError("the disk is away");
  RunUntil(At("2026-01-01T01:30:00Z"));
  EXPECT_EQ(State("hourly").last_outcome, ScheduleOutcome::kFailed);
  EXPECT_EQ(State("hourly").last_message, "the disk is away");
  work_.plan_status = absl::OkStatus();
  work_.act_status = absl::FailedPreconditionError("takes too much");
  work_.act_status.SetPayload(kTooLargePayload, absl::Cord("50"));
  RunUntil(At("2026-01-01T02:30:00Z"));
  EXPECT_EQ(State("hourly").last_outcome, ScheduleOutcome::kTooLarge);
  work_.act_status = absl::OkStatus();
  work_.is_partial = true;
  RunUntil(At("2026-01-01T03:30:00Z"));
  EXPECT_EQ(State("hourly").last_outcome, ScheduleOutcome::kPartial);
  work_.plans = {};
  RunUntil(At("2026-01-01T04:30:00Z"));
  EXPECT_EQ(State("hourly").last_outcome, ScheduleOutcome::kNothingToDo);
  EXPECT_THAT(ends_.ends,
              ElementsAre("hourly failed", "hourly too-large", "hourly partial",
                          "hourly nothing-to-do"));
}

TEST_F(SchedulerTest, ABusyStoreIsTriedAgainInAMinute) {
  Start({Cron("daily", "0 3 * * *")});
  work_.plan_status = absl::AbortedError("run 1 is at work");
  RunUntil(At("2026-01-01T03:01:30Z"));
  EXPECT_THAT(Runs("daily"),
              ElementsAre("2026-01-01 03:00", "2026-01-01 03:01"));
  work_.plan_status = absl::OkStatus();
  RunUntil(At("2026-01-01T12:00:00Z"));
  EXPECT_THAT(Runs("daily"), ElementsAre("2026-01-01 03:00", "2026-01-01 03:01",
                                         "2026-01-01 03:02"));
  EXPECT_EQ(State("daily").missed_count, 0u);
}

TEST_F(SchedulerTest, AnotherTimeBeginsAnew) {
  Start({Cron("s", "0 3 * * *")});
  RunUntil(At("2026-01-01T12:00:00Z"));
  schedules_ = {Cron("s", "0 * * * *")};
  Restart();
  RunUntil(At("2026-01-01T13:30:00Z"));
  EXPECT_THAT(Runs("s"), ElementsAre("2026-01-01 03:00", "2026-01-01 13:00"));
  schedules_ = {};
  Restart();
  EXPECT_THAT(scheduler_->State("s"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(book_->LoadStates()->empty());
}

TEST_F(SchedulerTest, WrittenOverTheBookItRunsAfterReload) {
  Start({});
  ASSERT_THAT(book_->PutSchedule(Cron("s", "0 * * * *"), ""), IsOk());
  ASSERT_THAT(scheduler_->Reload(), IsOk());
  RunUntil(At("2026-01-01T01:30:00Z"));
  EXPECT_THAT(Runs("s"), ElementsAre("2026-01-01 01:00"));
  ASSERT_THAT(book_->DeleteSchedule("s", ""), IsOk());
  ASSERT_THAT(scheduler_->Reload(), IsOk());
  EXPECT_EQ(scheduler_->NextTick(), absl::InfiniteFuture());
}

}  // namespace
}  // namespace reclaim::gc
