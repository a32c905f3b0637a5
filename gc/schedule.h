// gc/schedule.h — what is done by itself, and when, as values.

#ifndef RECLAIM_GC_SCHEDULE_H_
#define RECLAIM_GC_SCHEDULE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gc/cron.h"
#include "gc/prune_request.h"

namespace reclaim::gc {

// Stored on disk: never renumber.
enum class ScheduleAction : uint8_t { kPrune = 1, kPurge = 2, kScan = 3 };
const char* ToString(ScheduleAction action);

struct Schedule {
  std::string name;  // [a-z0-9][a-z0-9._-]{0,62}
  // One of the two: five fields (gc/cron.h), or 1 s to 1 year.
  std::string cron;
  absl::Duration every;
  std::string time_zone;  // a name of the zone database; "" is UTC
  // Each run is late by a part of this, the same each time.  0 to 24 h, and
  // shorter than `every`.
  absl::Duration jitter;
  // Deletion happens within one of them (gc/cron.h) or not at all; empty:
  // always.  A run that is due outside begins when the next one opens, and one
  // that is at work when it closes stops at an item boundary.
  std::vector<std::string> windows;
  // Plans wait for somebody else to approve them.
  bool needs_approval = false;
  ScheduleAction action = ScheduleAction::kPrune;
  // What is pruned: store ("": each), verb, flags and policy.  The filter is
  // read when the run begins, for "24h" counts from then.
  PruneRequest request;
  std::vector<std::string> filters;
  // Filled in by whoever keeps it.
  std::string etag;
  std::string actor;
  absl::Time changed = absl::InfinitePast();
  bool is_from_file = false;
};

// INVALID_ARGUMENT naming what is wrong and what is allowed: a time that never
// comes, an unknown zone, a window or a filter that can't be read, a name.
absl::Status CheckSchedule(const Schedule& schedule);

// When a schedule that has been checked is due.  Immutable; thread-safe.
class ScheduleTiming {
 public:
  static absl::StatusOr<ScheduleTiming> Create(const Schedule& schedule);

  // The first due time after `after`.  `anchor` is that of an interval.
  absl::Time Next(absl::Time after, absl::Time anchor) const;
  // How late each run is, by a number drawn once for the schedule.
  absl::Duration Delay(uint64_t seed) const;
  // Whether deletion is allowed at `time`, and until when; unset outside.
  // InfiniteFuture() without windows.
  std::optional<absl::Time> AllowedUntil(absl::Time time) const;
  // `time` if deletion is allowed then, else the next opening.
  absl::Time NextAllowed(absl::Time time) const;

 private:
  std::optional<Cron> cron_;
  absl::Duration every_;
  absl::TimeZone zone_;
  absl::Duration jitter_;
  std::vector<TimeWindow> windows_;
};

// Cron text or interval and zone: what a state's times belong to.
std::string TimingText(const Schedule& schedule);

// Stored on disk and a metric label: never renumber.
enum class ScheduleOutcome : uint8_t {
  kNone = 0,  // it never ran
  kSucceeded = 1,
  kPartial = 2,  // not all that was planned could be done
  kFailed = 3,
  kTooLarge = 4,  // the plan takes more of a store than is allowed by itself
  kWaitsForApproval = 5,
  kNothingToDo = 6,
  kInterrupted = 7,  // the daemon stopped while it ran
  kWaitsForConfirmation =
      8,  // the database was lost: due again until confirmed
};
const char* ToString(ScheduleOutcome outcome);

// What is remembered of a schedule's runs.
struct ScheduleState {
  std::string name;
  absl::Time settled;  // due times up to here are dealt with
  absl::Time anchor;
  uint64_t jitter_seed = 0;
  bool is_paused = false;
  std::string timing;  // TimingText() that `settled` and `anchor` belong to
  // The last run; the infinities where there was none, `last_ended` is
  // InfiniteFuture() while it runs.
  absl::Time last_due = absl::InfinitePast();
  absl::Time last_started = absl::InfinitePast();
  absl::Time last_ended = absl::InfinitePast();
  ScheduleOutcome last_outcome = ScheduleOutcome::kNone;
  std::string last_message;
  std::vector<std::string> last_plan_ids;
  std::vector<std::string> last_run_ids;
  uint64_t run_count = 0;
  // Due times that a later run stood for, or that passed while one went on.
  uint64_t missed_count = 0;

  bool is_running() const { return last_ended == absl::InfiniteFuture(); }
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_SCHEDULE_H_
