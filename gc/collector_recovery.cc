// What a crash interrupted: ended, abandoned or taken up again.

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/adopted_return.h"
#include "gc/link_return.h"
#include "gc/recovery.h"
#include "gc/store_collector.h"
#include "index/store_scanner.h"

namespace reclaim::gc {
namespace {

bool IsInterrupted(const Run& run) {
  return run.phase == RunPhase::kRunning ||
         (run.phase == RunPhase::kInterrupted &&
          run.ended == absl::InfiniteFuture());
}

// Nobody followed the store while the daemon was down, and what a registry had
// to tell may have died with it: without this the sweep would take what was
// pushed meanwhile, until the next scan gives it back.
absl::Status LookAgain(CollectedStore* site, Run run,
                       const RunControl& control) {
  if (!site->store->traits().has_foreign_writers) return absl::OkStatus();
  run.progress.step = "scanning";
  if (control.on_progress) control.on_progress(run);
  index::ScanOptions options;
  options.actor = run.actor;
  options.is_cancelled = control.is_cancelled;
  const absl::Status seen = ScanAndReturn(site, options).status();
  // Then the sweep ends before its first item.
  if (absl::IsCancelled(seen)) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(seen);
  // What is in the way of a link stays on record, and no plan waits for it.
  const absl::Status links = ReturnLinks(site, run.actor);
  return absl::IsAlreadyExists(links) ? absl::OkStatus() : links;
}

constexpr char kPostponed[] =
    "its store could not be read once more before it went on: ";

// What an earlier attempt said of it.
void ForgetPostponement(Run* run) {
  std::vector<std::string>& problems = run->problems;
  problems.erase(std::remove_if(problems.begin(), problems.end(),
                                [](const std::string& problem) {
                                  return absl::StartsWith(problem, kPostponed);
                                }),
                 problems.end());
}

// It goes on as soon as that is possible: nothing has ended.
absl::Status Postpone(RunStore* runs, StoredRun stored,
                      const RunControl& control, const absl::Status& why) {
  Run& run = stored.run;
  run.phase = RunPhase::kInterrupted;
  run.problems.push_back(absl::StrCat(
      kPostponed, why.message(),
      "; it is tried again until its plan expires; mend that, or make a new "
      "plan"));
  if (control.on_progress) control.on_progress(run);
  RECLAIM_RETURN_IF_ERROR(runs->PutRun(stored));
  return absl::Status(why.code(), run.problems.back());
}

absl::Status NotInterrupted(absl::string_view run_id) {
  return absl::FailedPreconditionError(
      absl::StrCat("the run ", run_id,
                   " was not interrupted; make a new plan and apply it"));
}

absl::Status OfStore(const std::string& name, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("store ", name, ": ", status.message()));
}

// What merely lies in the way of something leaves no work undone.
bool IsRecovered(const absl::Status& status) {
  return status.ok() || absl::IsAlreadyExists(status);
}

}  // namespace

absl::Status Collector::Recover() {
  Recovery recovery = BeginRecovery();
  for (const std::string& id : recovery.unfinished_runs) {
    recovery.status.Update(Resume(id, RunControl()).status());
  }
  return recovery.status;
}

absl::Status StoreCollector::RecoverSite(CollectedStore* site) {
  const absl::Status status = gc::RecoverStore(site);
  base::MutexLock lock(&mutex_);
  site->unrecovered = IsRecovered(status) ? "" : std::string(status.message());
  return status;
}

absl::Status StoreCollector::RecoverStore(absl::string_view name) {
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(name));
  RECLAIM_ASSIGN_OR_RETURN(const auto slot, Acquire(site, "recovery"));
  return RecoverSite(site);
}

std::map<std::string, std::string> StoreCollector::UnrecoveredStores() const {
  base::MutexLock lock(&mutex_);
  std::map<std::string, std::string> stores;
  for (const auto& [name, site] : sites_) {
    if (!site->unrecovered.empty()) stores[name] = site->unrecovered;
  }
  return stores;
}

std::vector<std::string> StoreCollector::StoresToRecover() const {
  base::MutexLock lock(&mutex_);
  std::vector<std::string> names;
  for (const auto& [name, site] : sites_) {
    if (!site->unrecovered.empty() || site->has_runs_to_take_up) {
      names.push_back(name);
    }
  }
  return names;
}

Recovery StoreCollector::BeginRecovery() {
  std::vector<CollectedStore*> sites;
  {
    base::MutexLock lock(&mutex_);
    for (const auto& [name, site] : sites_) sites.push_back(site.get());
  }
  Recovery recovery;
  std::set<std::string> away;
  for (CollectedStore* site : sites) {
    const absl::Status recovered = RecoverSite(site);
    // One store that is away does not stop the others.
    if (!IsRecovered(recovered)) away.insert(site->name);
    {
      base::MutexLock lock(&mutex_);
      site->has_runs_to_take_up = !IsRecovered(recovered);
    }
    recovery.status.Update(OfStore(site->name, recovered));
  }
  const auto is_recovered = [&away](const std::string& store) {
    return away.count(store) == 0;
  };
  recovery.status.Update(
      TakeUpRuns(is_recovered, nullptr, &recovery.unfinished_runs));
  return recovery;
}

// What is said to run there was interrupted: the store is ours until that is
// taken up.
Recovery StoreCollector::RecoverAgain() {
  Recovery recovery;
  for (const std::string& name : StoresToRecover()) {
    const absl::StatusOr<CollectedStore*> site = Site(name);
    if (!site.ok()) continue;  // forgotten meanwhile
    absl::StatusOr<std::unique_ptr<ActingSlot>> slot =
        Acquire(*site, "recovery");
    const absl::Status recovered =
        slot.ok() ? RecoverSite(*site) : slot.status();
    recovery.status.Update(OfStore(name, recovered));
    if (!slot.ok() || !IsRecovered(recovered)) continue;
    bool has_runs = false;
    {
      base::MutexLock lock(&mutex_);
      has_runs = std::exchange((*site)->has_runs_to_take_up, false);
    }
    // Those of one that was attached later are no concern of the start.
    if (!has_runs) continue;
    const auto is_this = [&name](const std::string& store) {
      return store == name;
    };
    recovery.status.Update(
        TakeUpRuns(is_this, *std::move(slot), &recovery.unfinished_runs));
  }
  return recovery;
}

absl::Status StoreCollector::TakeUpRuns(
    absl::FunctionRef<bool(const std::string&)> is_meant,
    std::unique_ptr<ActingSlot> slot, std::vector<std::string>* unfinished) {
  absl::StatusOr<std::vector<StoredRun>> runs =
      runs_->ListRuns("", std::numeric_limits<size_t>::max());
  if (!runs.ok()) {
    TakeUpLater(is_meant);
    return runs.status();
  }
  absl::Status status;
  for (StoredRun& run : *runs) {
    if (!IsInterrupted(run.run) || !is_meant(run.run.store)) continue;
    const std::string id = run.run.id;
    const std::string store = run.run.store;
    const absl::StatusOr<bool> goes_on = TakeUp(std::move(run), &slot);
    status.Update(goes_on.status());
    if (goes_on.ok() && *goes_on) unfinished->push_back(id);
    if (goes_on.ok()) continue;
    TakeUpLater([&store](const std::string& name) { return name == store; });
  }
  return status;
}

void StoreCollector::TakeUpLater(
    absl::FunctionRef<bool(const std::string&)> is_meant) {
  base::MutexLock lock(&mutex_);
  for (const auto& [name, site] : sites_) {
    if (is_meant(name)) site->has_runs_to_take_up = true;
  }
}

absl::StatusOr<bool> StoreCollector::TakeUp(StoredRun stored,
                                            std::unique_ptr<ActingSlot>* slot) {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<Plan> plan, PlanToGoOn(stored));
  if (!plan.has_value()) {
    RECLAIM_RETURN_IF_ERROR(Abandon(std::move(stored)).status());
    return false;
  }
  stored.run.phase = RunPhase::kInterrupted;
  RECLAIM_RETURN_IF_ERROR(runs_->PutRun(stored));
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(stored.run.store));
  if (*slot == nullptr) {
    absl::StatusOr<std::unique_ptr<ActingSlot>> free =
        Acquire(site, stored.run.id);
    if (!free.ok() && !absl::IsAborted(free.status())) return free.status();
    if (free.ok()) *slot = *std::move(free);
  }
  base::MutexLock lock(&mutex_);
  if (*slot != nullptr) {
    site->acting_run = stored.run.id;
    unfinished_[stored.run.id] = std::move(*slot);
  } else {
    waiting_[site->name].push_back(stored.run.id);
  }
  return true;
}

absl::Status StoreCollector::TakeTurn(const std::string& run_id,
                                      std::unique_ptr<ActingSlot>* slot) {
  base::MutexLock lock(&mutex_);
  auto held = unfinished_.extract(run_id);
  if (!held.empty()) {
    *slot = std::move(held.mapped());
    return absl::OkStatus();
  }
  for (auto& [store, runs] : waiting_) {
    const auto run = std::find(runs.begin(), runs.end(), run_id);
    if (run == runs.end()) continue;
    const auto site = sites_.find(store);
    if (site != sites_.end() && !site->second->acting_run.empty()) {
      return Busy(*site->second);
    }
    runs.erase(run);
    break;
  }
  return absl::OkStatus();
}

// Nothing else of the store comes between.
void StoreCollector::HandOn(std::unique_ptr<ActingSlot> slot) {
  {
    base::MutexLock lock(&mutex_);
    std::vector<std::string>& waiting = waiting_[slot->site()->name];
    if (!waiting.empty()) {
      const std::string next = waiting.front();
      waiting.erase(waiting.begin());
      slot->site()->acting_run = next;
      unfinished_[next] = std::move(slot);
    }
  }
  slot.reset();  // takes the lock
}

// A sweep goes on where it was; what else was interrupted is begun anew by
// whoever wants it.
absl::StatusOr<std::optional<Plan>> StoreCollector::PlanToGoOn(
    const StoredRun& stored) const {
  const Run& run = stored.run;
  const absl::StatusOr<CollectedStore*> site = Site(run.store);
  if (run.kind != RunKind::kApply || !site.ok() ||
      (*site)->store->traits().is_read_only) {
    return std::nullopt;
  }
  // An older copy of the database, taken while this one ran: what keeps its
  // items may have been recorded since.
  if (!CheckConfirmed().ok()) return std::nullopt;
  absl::StatusOr<StoredPlan> plan = runs_->GetPlan(run.plan_id);
  if (absl::IsNotFound(plan.status())) return std::nullopt;
  RECLAIM_RETURN_IF_ERROR(plan.status());
  if (clock_->Now() > plan->plan.expires ||
      plan->plan.store_id != (*site)->id) {
    return std::nullopt;
  }
  return std::optional<Plan>(std::move(plan->plan));
}

absl::StatusOr<Run> StoreCollector::Abandon(StoredRun stored) {
  Run& run = stored.run;
  run.phase = RunPhase::kInterrupted;
  run.ended = clock_->Now();
  run.problems.push_back(absl::StrCat(
      "the daemon stopped while this ", ToString(run.kind),
      " ran; what it had done stands, the rest was left: begin it anew"));
  RECLAIM_RETURN_IF_ERROR(runs_->PutRun(stored));
  return run;
}

absl::StatusOr<Run> StoreCollector::Resume(absl::string_view run_id,
                                           const RunControl& control) {
  std::unique_ptr<ActingSlot> slot;
  RECLAIM_RETURN_IF_ERROR(TakeTurn(std::string(run_id), &slot));
  absl::StatusOr<Run> run = GoOn(run_id, control, &slot);
  if (slot != nullptr) HandOn(std::move(slot));
  return run;
}

absl::StatusOr<Run> StoreCollector::GoOn(absl::string_view run_id,
                                         const RunControl& control,
                                         std::unique_ptr<ActingSlot>* slot) {
  RECLAIM_ASSIGN_OR_RETURN(StoredRun stored, runs_->GetRun(run_id));
  if (!IsInterrupted(stored.run)) return NotInterrupted(run_id);
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<Plan> plan, PlanToGoOn(stored));
  if (!plan.has_value()) return Abandon(std::move(stored));
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(stored.run.store));
  if (*slot == nullptr) {
    RECLAIM_ASSIGN_OR_RETURN(*slot, Acquire(site, stored.run.id));
    // It may have been taken up twice, and ended before the store was free.
    RECLAIM_ASSIGN_OR_RETURN(stored, runs_->GetRun(run_id));
    if (!IsInterrupted(stored.run)) return NotInterrupted(run_id);
  }
  stored.run.phase = RunPhase::kRunning;
  ForgetPostponement(&stored.run);
  if (const absl::Status seen = LookAgain(site, stored.run, control);
      !seen.ok()) {
    return Postpone(runs_.get(), std::move(stored), control, seen);
  }
  // What was to be purged first may have been: no more is taken than planned.
  return RunSweep(site, *plan, std::move(stored), 0, control);
}

}  // namespace reclaim::gc
