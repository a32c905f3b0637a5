// Making plans, and answering about plans, runs and quarantine.

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/graph_details.h"
#include "gc/plan_draft.h"
#include "gc/records.h"
#include "gc/roots.h"
#include "gc/store_collector.h"
#include "gc/tenants.h"

namespace reclaim::gc {
namespace {

constexpr absl::Duration kTrimInterval = absl::Minutes(10);
// The kernel gives files the time of its last tick, at most 10 ms ago.
constexpr absl::Duration kFileClockLag = absl::Milliseconds(10);

absl::Status NoSuchStore(absl::string_view name) {
  return absl::NotFoundError(
      absl::StrCat("store \"", name,
                   "\" is not registered; `reclaim store ls` lists those that "
                   "are"));
}

}  // namespace

absl::Status Busy(const CollectedStore& site) {
  absl::Status status = absl::AbortedError(
      absl::StrCat("run ", site.acting_run, " is at work on the store ",
                   site.name, "; wait for it or cancel it"));
  status.SetPayload(kRunIdPayload, absl::Cord(site.acting_run));
  return status;
}

absl::StatusOr<CollectedStore*> StoreCollector::Site(
    absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  const auto it = sites_.find(std::string(name));
  if (it != sites_.end()) return it->second.get();
  return NoSuchStore(name);
}

absl::StatusOr<std::unique_ptr<ActingSlot>> StoreCollector::Acquire(
    CollectedStore* site, const std::string& run) {
  std::shared_lock<std::shared_mutex> settled(site->sync_gate, std::defer_lock);
  // A sync is short, and nobody's run: wait for it.
  if (run != kSyncRun) settled.lock();
  base::MutexLock lock(&mutex_);
  if (!site->acting_run.empty()) return Busy(*site);
  site->acting_run = run;
  return std::make_unique<ActingSlot>(&mutex_, site);
}

StoredRun StoreCollector::NewRun(RunKind kind, const CollectedStore& site,
                                 absl::string_view actor) const {
  StoredRun stored;
  Run& run = stored.run;
  run.id = base::RandomId(random_);
  run.kind = kind;
  run.store = site.name;
  run.actor = std::string(actor);
  run.epoch = graph_->Read()->epoch();
  run.started = clock_->Now();
  run.ended = absl::InfiniteFuture();
  run.restorable_until = absl::InfinitePast();
  return stored;
}

absl::Status StoreCollector::AttachStore(absl::string_view name,
                                         store::ContentStore* store) {
  auto site = std::make_unique<CollectedStore>();
  site->graph = graph_;
  site->clock = clock_;
  site->period_clock = period_clock_;
  site->runs = runs_.get();
  site->observer = observer_;
  site->audit = &audit_;
  site->witness = witness_;
  site->quarantine_period = retention_.quarantine_period;
  site->name = std::string(name);
  site->store = store;
  for (const index::StoreRecord& record : graph_->Stores()) {
    if (record.name == name) site->id = record.id;
  }
  if (site->id == index::kNoStore) {
    return absl::NotFoundError(
        absl::StrCat("store \"", name, "\" is not registered in the graph"));
  }
  CollectedStore* attached = site.get();
  {
    base::MutexLock lock(&mutex_);
    if (!sites_.try_emplace(std::string(name), std::move(site)).second) {
      return absl::AlreadyExistsError(
          absl::StrCat("store \"", name, "\" is attached already"));
    }
  }
  restorer_.AddStore(attached);
  graph_->SetAdopted(name, runs_->Adopted(std::string(name)));
  return absl::OkStatus();
}

absl::Status StoreCollector::DetachStore(absl::string_view name) {
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(name));
  const std::shared_lock<std::shared_mutex> settled(site->sync_gate);
  {
    base::MutexLock lock(&mutex_);
    if (!site->acting_run.empty()) return Busy(*site);
  }
  uint64_t held_count = 0;
  RECLAIM_RETURN_IF_ERROR(
      runs_->ForEachQuarantined(name, [&](const QuarantineRecord&) {
        ++held_count;
        return true;
      }));
  if (held_count > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the store ", name, " has ", held_count,
                     " items in quarantine; restore or purge them first"));
  }
  base::MutexLock lock(&mutex_);
  const auto it = sites_.find(std::string(name));
  if (it == sites_.end()) return NoSuchStore(name);
  if (!it->second->acting_run.empty()) return Busy(*it->second);
  restorer_.RemoveStore(it->second->id);
  detached_.push_back(std::move(it->second));
  sites_.erase(it);
  return absl::OkStatus();
}

std::string StoreCollector::ActingRun(absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  const auto it = sites_.find(std::string(name));
  if (it == sites_.end() || it->second->acting_run == kSyncRun) return "";
  return it->second->acting_run;
}

std::vector<index::UnreadableScope> StoreCollector::KeptScopes(
    absl::string_view name) const {
  const absl::StatusOr<CollectedStore*> site = Site(name);
  if (!site.ok()) return {};
  const std::shared_lock<std::shared_mutex> settled((*site)->sync_gate);
  const auto is_busy = [&] {
    base::MutexLock lock(&mutex_);
    return !(*site)->acting_run.empty();
  };
  const bool was_busy = is_busy();
  std::vector<index::UnreadableScope> scopes;
  for (const index::StoreRecord& record : graph_->Stores()) {
    if (record.id == (*site)->id) scopes = record.unreadable_scopes;
  }
  if (!was_busy && !is_busy()) return scopes;
  scopes.erase(std::remove_if(scopes.begin(), scopes.end(),
                              [](const index::UnreadableScope& kept) {
                                return kept.scope.empty();
                              }),
               scopes.end());
  return scopes;
}

absl::StatusOr<PlanInputs> StoreCollector::InputsFor(
    const CollectedStore& site) const {
  PlanInputs inputs;
  inputs.store = site.id;
  inputs.now = clock_->Now();
  inputs.names_seen = inputs.now;
  inputs.store_holds_records = site.store->traits().knows_containers;
  inputs.tags_leave_entries =
      site.store->traits().kind == store::StoreKind::kImageLayout;
  for (const index::StoreRecord& record : graph_->Stores()) {
    if (record.id != site.id) continue;
    inputs.store_knows_containers =
        record.knows_containers || site.store->traits().knows_containers;
    const bool was_scanned = record.last_scan_end != absl::InfinitePast();
    if (!was_scanned && site.store->traits().has_foreign_writers) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the store ", site.name, " has not been scanned; run `reclaim scan ",
          site.name, "` first"));
    }
    if (was_scanned && site.store->traits().has_foreign_writers) {
      // A name that was written while the scan went on may have been read
      // before that.
      inputs.names_seen =
          std::min(inputs.now, record.last_scan_begin - kFileClockLag);
    }
    for (const index::UnreadableScope& scope : record.unreadable_scopes) {
      inputs.unreadable_scopes.push_back({scope.scope, scope.why});
    }
  }
  return inputs;
}

// While a run reads the store anew nothing there can be judged: a plan of that
// instant would keep everything, and look as if there were no garbage.
absl::StatusOr<PlanInputs> StoreCollector::InputsAtRest(
    const CollectedStore& site) const {
  RECLAIM_ASSIGN_OR_RETURN(PlanInputs inputs, InputsFor(site));
  const bool is_whole_store_kept = std::any_of(
      inputs.unreadable_scopes.begin(), inputs.unreadable_scopes.end(),
      [](const KeptScope& kept) { return kept.scope.empty(); });
  if (!is_whole_store_kept) return inputs;
  {
    base::MutexLock lock(&mutex_);
    if (!site.acting_run.empty()) return Busy(site);
  }
  // If there was a run it has ended since.
  return InputsFor(site);
}

absl::Status StoreCollector::CheckConfirmed() const {
  const std::optional<index::DatabaseLoss> loss = graph_->UnconfirmedLoss();
  if (!loss) return absl::OkStatus();
  absl::Status status = absl::FailedPreconditionError(absl::StrCat(
      "nothing is deleted, for the database was lost (", loss->why, ", found ",
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", loss->found, absl::UTCTimeZone()),
      "), and with it what it alone knew: pins, leases, containers, times of "
      "use, rules and schedules of the API; record again what you need, look "
      "at `reclaim plan`, then run `reclaim store confirm`"));
  status.SetPayload(kUnconfirmedPayload, absl::Cord(loss->why));
  return status;
}

absl::StatusOr<SpaceState> StoreCollector::SpaceOf(
    const CollectedStore& site, const SpaceTarget& target) const {
  SpaceState space;
  if (target.kind == TargetKind::kMarks) {
    RECLAIM_ASSIGN_OR_RETURN(space.capacity, site.store->GetCapacity());
  }
  RECLAIM_RETURN_IF_ERROR(
      runs_->ForEachQuarantined(site.name, [&](const QuarantineRecord& record) {
        if (record.state == QuarantineState::kIntended) return true;
        space.quarantined_bytes += record.bytes.total().allocated_bytes;
        // The graph counts content alone; a purge frees links and folders as
        // well.
        space.stored_bytes += record.bytes.metadata.allocated_bytes;
        return true;
      }));
  const auto reader = graph_->Read();
  const index::StoreTotals& totals = reader->totals(site.id);
  for (const index::Tally& tally :
       {totals.live, totals.candidate, totals.quarantined, totals.orphan}) {
    space.stored_bytes += tally.bytes.allocated_bytes;
  }
  return space;
}

absl::StatusOr<std::vector<TagDecision>> StoreCollector::TestRules(
    const PruneRequest& request, absl::Span<const RuleSet> sets,
    const RunControl& control) const {
  RECLAIM_RETURN_IF_ERROR(request.policy.Validate());
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(request.store));
  RECLAIM_ASSIGN_OR_RETURN(PlanInputs inputs, InputsFor(*site));
  RECLAIM_ASSIGN_OR_RETURN(const RetentionRules rules,
                           RetentionRules::Compile(sets, site->name));
  const GraphDetails details(graph_);
  inputs.details = &details;
  inputs.is_cancelled = control.is_cancelled;
  inputs.rules = &rules;
  const auto reader = graph_->Read();
  inputs.view = &reader->view();
  return gc::TestRules(inputs, request);
}

absl::StatusOr<Plan> StoreCollector::MakePlan(const PruneRequest& request,
                                              const RunControl& control) {
  RECLAIM_RETURN_IF_ERROR(request.policy.Validate());
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(request.store));
  const std::shared_lock<std::shared_mutex> settled(site->sync_gate);
  RECLAIM_ASSIGN_OR_RETURN(PlanInputs inputs, InputsAtRest(*site));
  // From now on writers stamp what they touch; the guard compares (I1).
  RECLAIM_ASSIGN_OR_RETURN(const index::Epoch epoch, graph_->BeginEpoch());
  RECLAIM_ASSIGN_OR_RETURN(
      const RetentionRules rules,
      RetentionRules::Compile(
          rules_ != nullptr ? rules_->RuleSets() : std::vector<RuleSet>(),
          site->name));
  inputs.rules = &rules;
  // Held as long as the plan is made: another book may take its place.
  const std::shared_ptr<const TenantBook> tenants =
      rules_ != nullptr ? rules_->Tenants() : nullptr;
  inputs.tenants = tenants.get();
  if (request.target.is_set()) {
    RECLAIM_ASSIGN_OR_RETURN(inputs.space, SpaceOf(*site, request.target));
  }
  const GraphDetails details(graph_);
  inputs.details = &details;
  inputs.is_cancelled = control.is_cancelled;
  const absl::Duration begin = clock_->Monotonic();
  PlanDraft draft;
  {
    const auto reader = graph_->Read();
    inputs.view = &reader->view();
    RECLAIM_ASSIGN_OR_RETURN(draft, DraftPlan(inputs, request));
  }
  observer_->OnMarked(site->name, clock_->Monotonic() - begin);
  Plan& plan = draft.plan;
  plan.id = base::RandomId(random_);
  plan.store_id = site->id;
  plan.epoch = epoch;
  plan.expires = plan.created + request.policy.plan_lifetime;
  site->store->ForgetListings();
  DropOldRecords();
  // Where it fails, there are more of them until the next one is made.
  DropSurplusPlans().IgnoreError();
  RECLAIM_RETURN_IF_ERROR(StorePlan(*site, draft.items, control, &plan));
  observer_->OnPlanned(plan);
  return std::move(plan);
}

void StoreCollector::DropOldRecords() {
  const absl::Time now = clock_->Now();
  {
    base::MutexLock lock(&mutex_);
    if (now < next_trim_) return;
    next_trim_ = now + kTrimInterval;
  }
  // Where it fails, old records stay a little longer.
  DropOldPlans().IgnoreError();
  runs_->DropOldRuns(now - retention_.run_memory, retention_.run_count_max)
      .IgnoreError();
}

// Plans that nobody can apply any more.
absl::Status StoreCollector::DropOldPlans() {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<StoredPlan> plans,
                           runs_->ListPlans());
  for (const StoredPlan& stored : plans) {
    if (stored.plan.expires + retention_.plan_memory > clock_->Now()) continue;
    const absl::Status status = DeletePlan(stored.plan.id);
    if (!status.ok() && !absl::IsFailedPrecondition(status) &&
        !absl::IsNotFound(status)) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Collector>> Collector::Create(
    index::ReferenceGraph* graph, const base::Clock* clock,
    base::RandomSource* random, CollectorObserver* observer,
    const RecordRetention& retention) {
  RECLAIM_ASSIGN_OR_RETURN(std::unique_ptr<RunStore> runs,
                           RunStore::Open(&graph->engine()));
  return std::unique_ptr<Collector>(std::make_unique<StoreCollector>(
      graph, clock, random, observer, retention, std::move(runs)));
}

}  // namespace reclaim::gc
