#include "gc/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "gc/collector.h"

namespace reclaim::gc {
namespace {

// The clock went back by more than this: the schedule begins anew.
constexpr absl::Duration kBackwardMax = absl::Hours(24);
constexpr absl::Duration kBusyPause = absl::Minutes(1);
// More missed times than this are not counted one by one.
constexpr uint64_t kMissedMax = 10'000;
constexpr size_t kMessageMax = 1000;

}  // namespace

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Create(
    PolicyBook* book, ScheduledWork* work, const base::Clock* clock,
    base::RandomSource* random, ScheduleObserver* observer, Starter start) {
  std::unique_ptr<Scheduler> scheduler(
      new Scheduler(book, work, clock, random, observer, std::move(start)));
  base::MutexLock lock(&scheduler->mutex_);
  RECLAIM_RETURN_IF_ERROR(scheduler->LoadEntries());
  return scheduler;
}

absl::StatusOr<Scheduler::Entry> Scheduler::MakeEntry(
    const Schedule& schedule, const ScheduleState* known) const {
  RECLAIM_ASSIGN_OR_RETURN(ScheduleTiming timing,
                           ScheduleTiming::Create(schedule));
  const absl::Time now = clock_->Now();
  Entry entry{schedule, std::move(timing), ScheduleState()};
  ScheduleState& state = entry.state;
  if (known != nullptr) {
    state = *known;
  } else {
    state.name = schedule.name;
    state.jitter_seed = random_->Next();
  }
  if (state.timing != TimingText(schedule)) {
    state.timing = TimingText(schedule);
    state.settled = now;
    state.anchor = now;
  }
  return entry;
}

absl::Status Scheduler::LoadEntries() {
  RECLAIM_ASSIGN_OR_RETURN(const auto states, book_->LoadStates());
  std::map<std::string, Entry, std::less<>> entries;
  for (const Schedule& schedule : book_->Schedules()) {
    const auto old = entries_.find(schedule.name);
    const auto stored = states.find(schedule.name);
    const ScheduleState* known = old != entries_.end()    ? &old->second.state
                                 : stored != states.end() ? &stored->second
                                                          : nullptr;
    RECLAIM_ASSIGN_OR_RETURN(Entry entry, MakeEntry(schedule, known));
    if (old != entries_.end()) {
      entry.is_running = old->second.is_running;
      entry.is_cut_off = old->second.is_cut_off;
      entry.retry_at = old->second.retry_at;
      entry.settled_before = old->second.settled_before;
      entry.missed_before = old->second.missed_before;
    } else if (entry.state.is_running()) {
      // Cut off: once more, but a second cut is left to the next due time.
      entry.is_cut_off =
          entry.state.last_outcome != ScheduleOutcome::kInterrupted;
      entry.state.last_outcome = ScheduleOutcome::kInterrupted;
      entry.state.last_message = "the daemon stopped while it ran";
      entry.state.last_ended = clock_->Now();
    }
    RECLAIM_RETURN_IF_ERROR(book_->PutState(entry.state));
    entries.emplace(schedule.name, std::move(entry));
  }
  for (const auto& [name, state] : states) {
    if (entries.count(name) == 0) {
      RECLAIM_RETURN_IF_ERROR(book_->DeleteState(name));
    }
  }
  entries_ = std::move(entries);
  return absl::OkStatus();
}

bool Scheduler::NeedsWindow(const Schedule& schedule) {
  return schedule.action == ScheduleAction::kPurge ||
         (schedule.action == ScheduleAction::kPrune &&
          !schedule.needs_approval);
}

absl::Time Scheduler::DueTime(const Entry& entry) {
  if (entry.state.is_paused || entry.is_running) return absl::InfiniteFuture();
  if (entry.is_cut_off) return absl::InfinitePast();
  const absl::Time due =
      entry.timing.Next(entry.state.settled, entry.state.anchor) +
      entry.timing.Delay(entry.state.jitter_seed);
  return std::max(due, entry.retry_at);
}

absl::Time Scheduler::BeginTime(const Entry& entry, absl::Time now) {
  const absl::Time due = DueTime(entry);
  if (due == absl::InfiniteFuture() || !NeedsWindow(entry.schedule)) return due;
  return entry.timing.NextAllowed(std::max(due, now));
}

uint64_t Scheduler::Settle(const ScheduleTiming& timing, absl::Time now,
                           ScheduleState* state) {
  const absl::Time last = now - timing.Delay(state->jitter_seed);
  uint64_t count = 0;
  for (absl::Time due = timing.Next(state->settled, state->anchor);
       due <= last && count < kMissedMax;
       due = timing.Next(due, state->anchor)) {
    state->settled = due;
    ++count;
  }
  if (count == kMissedMax) state->settled = std::max(state->settled, last);
  return count;
}

// A clock that went back far would leave the schedule waiting for as long.
absl::Status Scheduler::FollowClock(Entry* entry, absl::Time now) {
  if (entry->state.settled <= now + kBackwardMax) return absl::OkStatus();
  entry->state.settled = now;
  entry->state.anchor = std::min(entry->state.anchor, now);
  return book_->PutState(entry->state);
}

absl::StatusOr<Scheduler::Job> Scheduler::BeginRun(Entry* entry, absl::Time now,
                                                   bool is_asked_for) {
  ScheduleState state = entry->state;
  const uint64_t count = is_asked_for ? 0 : Settle(entry->timing, now, &state);
  state.missed_count += count > 0 ? count - 1 : 0;
  state.last_due = is_asked_for ? now : state.settled;
  state.last_started = now;
  state.last_ended = absl::InfiniteFuture();
  state.last_plan_ids.clear();
  state.last_run_ids.clear();
  ++state.run_count;
  RECLAIM_RETURN_IF_ERROR(book_->PutState(state));
  entry->settled_before = entry->state.settled;
  entry->missed_before = entry->state.missed_count;
  entry->state = std::move(state);
  entry->is_running = true;
  entry->is_cut_off = false;
  entry->retry_at = absl::InfinitePast();
  return Job{entry->schedule, absl::InfiniteFuture()};
}

absl::Status Scheduler::BeginDue(std::vector<Job>* jobs) {
  base::MutexLock lock(&mutex_);
  const absl::Time now = clock_->Now();
  for (auto& [name, entry] : entries_) {
    RECLAIM_RETURN_IF_ERROR(FollowClock(&entry, now));
    if (BeginTime(entry, now) > now) continue;
    RECLAIM_ASSIGN_OR_RETURN(Job job, BeginRun(&entry, now, false));
    if (NeedsWindow(entry.schedule)) {
      job.until = entry.timing.AllowedUntil(now).value_or(now);
    }
    if (job.schedule.request.proposer.empty()) {
      job.schedule.request.proposer = job.schedule.actor;
    }
    jobs->push_back(std::move(job));
  }
  return absl::OkStatus();
}

absl::Status Scheduler::Tick() {
  std::vector<Job> jobs;
  const absl::Status status = BeginDue(&jobs);
  // What has begun runs, whatever stopped the rest; and without the lock, for a
  // job may be done before its starter returns.
  for (Job& job : jobs) Launch(std::move(job));
  return status;
}

absl::Time Scheduler::NextTick() const {
  base::MutexLock lock(&mutex_);
  const absl::Time now = clock_->Now();
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [name, entry] : entries_) {
    next = std::min(next, BeginTime(entry, now));
  }
  return next;
}

absl::StatusOr<const Scheduler::Entry*> Scheduler::Find(
    absl::string_view name) const {
  const auto it = entries_.find(name);
  if (it != entries_.end()) return &it->second;
  return absl::NotFoundError(absl::StrCat("there is no schedule \"", name,
                                          "\"; `reclaim schedule ls` lists "
                                          "those that are"));
}

absl::Status Scheduler::RunNow(absl::string_view name,
                               const std::string& actor) {
  Job job;
  {
    base::MutexLock lock(&mutex_);
    RECLAIM_RETURN_IF_ERROR(Find(name).status());
    Entry& entry = entries_.find(name)->second;
    if (entry.is_running) {
      return absl::AbortedError(
          absl::StrCat("the schedule \"", name, "\" runs already"));
    }
    RECLAIM_ASSIGN_OR_RETURN(job, BeginRun(&entry, clock_->Now(), true));
    job.schedule.request.proposer = actor;
  }
  Launch(std::move(job));
  return absl::OkStatus();
}

absl::Status Scheduler::SetPaused(absl::string_view name, bool is_paused) {
  base::MutexLock lock(&mutex_);
  RECLAIM_RETURN_IF_ERROR(Find(name).status());
  Entry& entry = entries_.find(name)->second;
  if (entry.state.is_paused == is_paused) return absl::OkStatus();
  ScheduleState state = entry.state;
  state.is_paused = is_paused;
  if (!is_paused) state.settled = std::max(state.settled, clock_->Now());
  RECLAIM_RETURN_IF_ERROR(book_->PutState(state));
  entry.state = std::move(state);
  entry.is_cut_off = false;
  return absl::OkStatus();
}

absl::Status Scheduler::Pause(absl::string_view name) {
  return SetPaused(name, true);
}

absl::Status Scheduler::Resume(absl::string_view name) {
  return SetPaused(name, false);
}

absl::Status Scheduler::Reload() {
  base::MutexLock lock(&mutex_);
  return LoadEntries();
}

absl::StatusOr<ScheduleState> Scheduler::State(absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const Entry* entry, Find(name));
  return entry->state;
}

absl::StatusOr<absl::Time> Scheduler::NextTime(absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const Entry* entry, Find(name));
  Entry idle = *entry;
  idle.is_running = false;
  return std::max(BeginTime(idle, clock_->Now()), clock_->Now());
}

void Scheduler::Launch(Job job) {
  start_([this, job = std::move(job)] { End(job.schedule, Carry(job)); });
}

void Scheduler::Result::Add(ScheduleOutcome what, absl::string_view why) {
  // Failures before plans that are too large before what was left undone.
  const auto rank = [](ScheduleOutcome o) {
    return o == ScheduleOutcome::kFailed     ? 3
           : o == ScheduleOutcome::kTooLarge ? 2
           : o == ScheduleOutcome::kPartial  ? 1
                                             : 0;
  };
  if (rank(what) >= rank(outcome)) outcome = what;
  if (why.empty() || message.size() > kMessageMax) return;
  absl::StrAppend(&message, message.empty() ? "" : "; ",
                  base::EscapeUnlessUtf8(why));
}

void Scheduler::Result::AddError(const absl::Status& status) {
  const bool is_unconfirmed =
      status.GetPayload(kUnconfirmedPayload).has_value();
  was_busy |= absl::IsAborted(status) || is_unconfirmed;
  was_cut_off |= absl::IsCancelled(status);
  Add(is_unconfirmed ? ScheduleOutcome::kWaitsForConfirmation
      : status.GetPayload(kTooLargePayload) ? ScheduleOutcome::kTooLarge
                                            : ScheduleOutcome::kFailed,
      status.message());
}

void Scheduler::CarryOne(const Job& job, const std::string& plan_id,
                         Result* result) {
  if (clock_->Now() >= job.until) {
    result->Add(ScheduleOutcome::kPartial,
                absl::StrCat("the window closed before the plan ", plan_id,
                             " was applied"));
    return;
  }
  const auto deed = work_->Act(job.schedule, plan_id, job.until);
  if (!deed.ok()) {
    result->AddError(deed.status());
    return;
  }
  result->run_ids.insert(result->run_ids.end(), deed->run_ids.begin(),
                         deed->run_ids.end());
  result->Add(deed->is_partial ? ScheduleOutcome::kPartial
                               : ScheduleOutcome::kSucceeded,
              deed->message);
}

Scheduler::Result Scheduler::CarryPlans(const Job& job) {
  Result result;
  auto plans = work_->MakePlans(job.schedule);
  if (!plans.ok()) {
    result.AddError(plans.status());
    return result;
  }
  if (!plans->problem.empty()) {
    result.Add(ScheduleOutcome::kPartial, plans->problem);
  }
  result.plan_ids = std::move(plans->ids);
  if (result.plan_ids.empty()) {
    result.Add(ScheduleOutcome::kNothingToDo, "");
  } else if (job.schedule.needs_approval) {
    result.Add(ScheduleOutcome::kWaitsForApproval,
               absl::StrCat(result.plan_ids.size(),
                            " plans wait for `reclaim plans approve`"));
  } else {
    for (const std::string& id : result.plan_ids) CarryOne(job, id, &result);
  }
  return result;
}

Scheduler::Result Scheduler::Carry(const Job& job) {
  if (job.schedule.action == ScheduleAction::kPrune) return CarryPlans(job);
  Result result;
  CarryOne(job, "", &result);
  if (result.run_ids.empty() && result.outcome == ScheduleOutcome::kSucceeded) {
    result.Add(ScheduleOutcome::kNothingToDo, "");
  }
  return result;
}

void Scheduler::End(const Schedule& schedule, const Result& result) {
  ScheduleState state;
  {
    base::MutexLock lock(&mutex_);
    const auto it = entries_.find(schedule.name);
    if (it == entries_.end()) return;  // deleted meanwhile
    // The record says that it runs: the next start begins it once more.
    if (result.was_cut_off) return;
    Entry& entry = it->second;
    const absl::Time now = clock_->Now();
    entry.is_running = false;
    entry.state.last_ended = now;
    entry.state.last_outcome = result.outcome;
    entry.state.last_message = result.message;
    entry.state.last_plan_ids = result.plan_ids;
    entry.state.last_run_ids = result.run_ids;
    if (result.was_busy) {
      // As if it had not begun.
      entry.state.settled = std::min(entry.state.settled, entry.settled_before);
      entry.state.missed_count = entry.missed_before;
      entry.retry_at = now + kBusyPause;
    } else {
      entry.state.missed_count += Settle(entry.timing, now, &entry.state);
    }
    // If it can't be stored, a restart runs it once more: nothing is lost.
    const absl::Status stored = book_->PutState(entry.state);
    if (!stored.ok()) {
      absl::StrAppend(&entry.state.last_message,
                      "; not recorded: ", stored.message());
    }
    state = entry.state;
  }
  observer_->OnScheduleEnd(schedule, state);
}

}  // namespace reclaim::gc
