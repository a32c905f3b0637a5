#include "gc/schedule.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/filter.h"
#include "gc/policy_name.h"

namespace reclaim::gc {
namespace {

constexpr absl::Duration kShortest = absl::Seconds(1);
constexpr absl::Duration kLongest = absl::Hours(24 * 366);
constexpr absl::Duration kJitterMax = absl::Hours(24);
constexpr size_t kTextsMax = 100;

absl::Status Wrong(const Schedule& schedule, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("schedule ", schedule.name, ": ", what));
}

absl::Status CheckInterval(const Schedule& schedule) {
  const bool has_interval = schedule.every != absl::ZeroDuration();
  if (has_interval == !schedule.cron.empty()) {
    return Wrong(schedule, "give it either cron or every");
  }
  if (has_interval &&
      (schedule.every < kShortest || schedule.every > kLongest)) {
    return Wrong(schedule, "every must be between 1s and 8784h");
  }
  if (schedule.jitter < absl::ZeroDuration() || schedule.jitter > kJitterMax) {
    return Wrong(schedule, "jitter must be between 0s and 24h");
  }
  if (has_interval && schedule.jitter >= schedule.every) {
    return Wrong(schedule, "jitter must be shorter than every");
  }
  return absl::OkStatus();
}

absl::Status CheckWork(const Schedule& schedule) {
  if (schedule.filters.size() > kTextsMax ||
      schedule.windows.size() > kTextsMax) {
    return Wrong(schedule, "more than 100 filters or windows");
  }
  if (schedule.action != ScheduleAction::kPrune) {
    if (schedule.needs_approval) {
      return Wrong(schedule, absl::StrCat("a ", ToString(schedule.action),
                                          " makes no plan to approve"));
    }
    if (!schedule.filters.empty() || schedule.request.target.is_set()) {
      return Wrong(schedule, absl::StrCat("a ", ToString(schedule.action),
                                          " takes no filters and no target"));
    }
    return absl::OkStatus();
  }
  const auto filter =
      ParseFilter(schedule.filters, {}, TargetOf(schedule.request.verb),
                  absl::FromUnixSeconds(0), absl::UTCTimeZone());
  if (!filter.ok()) return Wrong(schedule, filter.status().message());
  const absl::Status target = schedule.request.CheckTarget();
  if (!target.ok()) return Wrong(schedule, target.message());
  return schedule.request.policy.Validate();
}

}  // namespace

const char* ToString(ScheduleAction action) {
  switch (action) {
    case ScheduleAction::kPrune:
      return "prune";
    case ScheduleAction::kPurge:
      return "purge";
    case ScheduleAction::kScan:
      return "scan";
  }
  return "unknown";
}

const char* ToString(ScheduleOutcome outcome) {
  switch (outcome) {
    case ScheduleOutcome::kNone:
      return "";
    case ScheduleOutcome::kSucceeded:
      return "succeeded";
    case ScheduleOutcome::kPartial:
      return "partial";
    case ScheduleOutcome::kFailed:
      return "failed";
    case ScheduleOutcome::kTooLarge:
      return "too-large";
    case ScheduleOutcome::kWaitsForApproval:
      return "waits-for-approval";
    case ScheduleOutcome::kNothingToDo:
      return "nothing-to-do";
    case ScheduleOutcome::kInterrupted:
      return "interrupted";
    case ScheduleOutcome::kWaitsForConfirmation:
      return "waits-for-confirmation";
  }
  return "unknown";
}

std::string TimingText(const Schedule& schedule) {
  return absl::StrCat(
      schedule.cron.empty()
          ? absl::StrCat("every ", absl::FormatDuration(schedule.every))
          : schedule.cron,
      " ", schedule.time_zone.empty() ? "UTC" : schedule.time_zone);
}

absl::StatusOr<ScheduleTiming> ScheduleTiming::Create(
    const Schedule& schedule) {
  RECLAIM_RETURN_IF_ERROR(CheckInterval(schedule));
  ScheduleTiming timing;
  timing.every_ = schedule.every;
  timing.jitter_ = schedule.jitter;
  if (!absl::LoadTimeZone(
          schedule.time_zone.empty() ? "UTC" : schedule.time_zone,
          &timing.zone_)) {
    return Wrong(schedule, absl::StrCat("the time zone \"", schedule.time_zone,
                                        "\" is not known; write a name like "
                                        "Europe/Berlin"));
  }
  if (!schedule.cron.empty()) {
    const auto cron = Cron::Parse(schedule.cron);
    if (!cron.ok()) return Wrong(schedule, cron.status().message());
    timing.cron_ = *cron;
  }
  for (const std::string& text : schedule.windows) {
    const auto window = TimeWindow::Parse(text);
    if (!window.ok()) return Wrong(schedule, window.status().message());
    timing.windows_.push_back(*window);
  }
  return timing;
}

absl::Time ScheduleTiming::Next(absl::Time after, absl::Time anchor) const {
  return cron_ ? cron_->Next(after, zone_) : NextOnGrid(anchor, every_, after);
}

absl::Duration ScheduleTiming::Delay(uint64_t seed) const {
  // Whole seconds; the bias of the remainder is nothing against 2^64.
  const int64_t range = absl::ToInt64Seconds(jitter_);
  if (range <= 0) return absl::ZeroDuration();
  return absl::Seconds(
      static_cast<int64_t>(seed % static_cast<uint64_t>(range)));
}

std::optional<absl::Time> ScheduleTiming::AllowedUntil(absl::Time time) const {
  if (windows_.empty()) return absl::InfiniteFuture();
  std::optional<absl::Time> latest;
  for (const TimeWindow& window : windows_) {
    const std::optional<absl::Time> end = window.EndAt(time, zone_);
    if (end && (!latest || *end > *latest)) latest = end;
  }
  return latest;
}

absl::Time ScheduleTiming::NextAllowed(absl::Time time) const {
  if (AllowedUntil(time)) return time;
  absl::Time next = absl::InfiniteFuture();
  for (const TimeWindow& window : windows_) {
    next = std::min(next, window.NextOpening(time, zone_));
  }
  return next;
}

absl::Status CheckSchedule(const Schedule& schedule) {
  RECLAIM_RETURN_IF_ERROR(CheckPolicyName("schedule", schedule.name));
  RECLAIM_RETURN_IF_ERROR(ScheduleTiming::Create(schedule).status());
  return CheckWork(schedule);
}

}  // namespace reclaim::gc
