// gc/scheduler.h — what is due, once each, whatever the clock does.
//
// The scheduler knows what it starts through the two methods that it declares
// here.  It has no thread and no timer: the owner calls Tick() when NextTick()
// says so, after each change, and at least once a minute (the wall clock may
// have been set).
//
//   missed      Due times that passed while nobody ticked (the daemon was down,
//               the machine slept, the clock went forward) are one run, which
//               begins at once.
//   overlap     What is due while the schedule's last run goes on is left out.
//   clock back  What has run is not run again: nothing is due until the clock
//               is where it was.  If it went back by more than a day, the
//               schedule begins anew from there.
//   window      A run that deletes waits for the next window.
//   restart     Due times and outcomes are durable.  A run that the daemon's
//               end cut off is run again once.
//   pause       Nothing is due; what passed meanwhile is not caught up.
//   failure     Is said, and tried again at the next due time; a busy store
//               within a minute.
//
// Thread-safe.

#ifndef RECLAIM_GC_SCHEDULER_H_
#define RECLAIM_GC_SCHEDULER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/random.h"
#include "gc/policy_book.h"
#include "gc/schedule.h"
#include "gc/schedule_observer.h"

namespace reclaim::gc {

// Called from the thread that the starter gives.  Errors: ABORTED means busy,
// try again soon; FAILED_PRECONDITION with kTooLargePayload (gc/collector.h)
// means that a person has to look at the plan, with kUnconfirmedPayload that
// nothing may be deleted before somebody confirms: try again soon.
class ScheduledWork {
 public:
  virtual ~ScheduledWork() = default;

  // Makes the plans of a prune, one a store; those with nothing to take away
  // are left out.  An error means that there is none.
  struct Plans {
    std::vector<std::string> ids;
    std::string problem;  // "" or where no plan came of it, or one
                          // that falls short of its target
  };
  virtual absl::StatusOr<Plans> MakePlans(const Schedule& schedule) = 0;

  // Both: CANCELLED means that the daemon stops; the run counts as cut off.
  //
  // Carries out one plan, or what needs none (then `plan_id` is ""), and stops
  // at an item boundary at `until`.  Gives the ids of the runs; an error after
  // the last of them says what was left undone.
  struct Deed {
    std::vector<std::string> run_ids;
    bool is_partial = false;
    std::string message;  // "" or what a person should know
  };
  virtual absl::StatusOr<Deed> Act(const Schedule& schedule,
                                   const std::string& plan_id,
                                   absl::Time until) = 0;
};

class Scheduler {
 public:
  // Runs the job now or on a thread of its own.
  using Starter = std::function<void(std::function<void()> job)>;

  // A schedule that was cut off is due again.  Nothing is owned.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(
      PolicyBook* book, ScheduledWork* work, const base::Clock* clock,
      base::RandomSource* random, ScheduleObserver* observer, Starter start);

  // Starts what is due.  An error of the engine stops the rest: without a
  // durable record nothing is begun.
  absl::Status Tick();
  // When something can be due next; InfiniteFuture() if nothing will.
  absl::Time NextTick() const;

  // ABORTED: it runs; NOT_FOUND.  `actor` may not approve the plans.
  absl::Status RunNow(absl::string_view name, const std::string& actor);
  absl::Status Pause(absl::string_view name);
  absl::Status Resume(absl::string_view name);
  // After a schedule was written or deleted.
  absl::Status Reload();

  // NOT_FOUND.
  absl::StatusOr<ScheduleState> State(absl::string_view name) const;
  // InfiniteFuture() while it is paused.
  absl::StatusOr<absl::Time> NextTime(absl::string_view name) const;

 private:
  struct Entry {
    Schedule schedule;
    ScheduleTiming timing;
    ScheduleState state;
    bool is_running = false;  // here and now
    bool is_cut_off = false;  // due at once
    absl::Time retry_at = absl::InfinitePast();
    absl::Time settled_before;  // of the run that goes on
    uint64_t missed_before = 0;
  };
  struct Job {
    Schedule schedule;
    absl::Time until;  // deletion stops
  };
  // What came of a run.
  struct Result {
    ScheduleOutcome outcome = ScheduleOutcome::kSucceeded;
    std::string message;
    std::vector<std::string> plan_ids;
    std::vector<std::string> run_ids;
    bool was_busy = false;
    bool was_cut_off = false;
    void Add(ScheduleOutcome outcome, absl::string_view message);
    void AddError(const absl::Status& status);
  };

  Scheduler(PolicyBook* book, ScheduledWork* work, const base::Clock* clock,
            base::RandomSource* random, ScheduleObserver* observer,
            Starter start)
      : book_(book),
        work_(work),
        clock_(clock),
        random_(random),
        observer_(observer != nullptr ? observer : &nobody_),
        start_(std::move(start)) {}

  absl::Status LoadEntries() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Entry> MakeEntry(const Schedule& schedule,
                                  const ScheduleState* known) const;
  absl::StatusOr<const Entry*> Find(absl::string_view name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status SetPaused(absl::string_view name, bool is_paused);
  static bool NeedsWindow(const Schedule& schedule);
  static absl::Time DueTime(const Entry& entry);
  static absl::Time BeginTime(const Entry& entry, absl::Time now);
  // Due times up to `now` are dealt with; returns how many they are.
  static uint64_t Settle(const ScheduleTiming& timing, absl::Time now,
                         ScheduleState* state);
  absl::Status FollowClock(Entry* entry, absl::Time now);
  absl::StatusOr<Job> BeginRun(Entry* entry, absl::Time now, bool is_asked_for);
  absl::Status BeginDue(std::vector<Job>* jobs);
  void Launch(Job job);
  Result Carry(const Job& job);
  Result CarryPlans(const Job& job);
  void CarryOne(const Job& job, const std::string& plan_id, Result* result);
  void End(const Schedule& schedule, const Result& result);

  PolicyBook* book_;
  ScheduledWork* work_;
  const base::Clock* clock_;
  base::RandomSource* random_;
  ScheduleObserver nobody_;
  ScheduleObserver* observer_;
  Starter start_;
  mutable base::Mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_SCHEDULER_H_
