// What the collector knows of plans, runs, quarantine, and what is held.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/roots.h"
#include "gc/store_collector.h"
#include "index/store_scanner.h"
#include "store/types.h"

namespace reclaim::gc {

absl::StatusOr<PlanPage> StoreCollector::GetPlan(absl::string_view id,
                                                 uint64_t offset,
                                                 uint64_t limit) const {
  RECLAIM_ASSIGN_OR_RETURN(StoredPlan stored, runs_->GetPlan(id));
  PlanPage page;
  page.item_count = stored.plan.totals.item_count;
  page.plan = std::move(stored.plan);
  page.plan.run_id = stored.run_id;
  page.plan.approver = stored.approver;
  page.plan.approved = stored.approved;
  RECLAIM_ASSIGN_OR_RETURN(page.items, runs_->GetItems(id, offset, limit));
  return page;
}

absl::StatusOr<std::vector<Plan>> StoreCollector::ListPlans() const {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<StoredPlan> stored, runs_->ListPlans());
  std::vector<Plan> plans;
  for (StoredPlan& plan : stored) {
    plans.push_back(std::move(plan.plan));
    plans.back().run_id = plan.run_id;
    plans.back().approver = plan.approver;
    plans.back().approved = plan.approved;
  }
  return plans;
}

absl::Status StoreCollector::DeletePlan(absl::string_view id) {
  RECLAIM_ASSIGN_OR_RETURN(const StoredPlan stored, runs_->GetPlan(id));
  if (!stored.run_id.empty()) {
    const absl::StatusOr<StoredRun> run = runs_->GetRun(stored.run_id);
    if (run.ok() && run->run.phase == RunPhase::kRunning) {
      return absl::FailedPreconditionError(absl::StrCat(
          "run ", stored.run_id, " applies the plan; wait for it"));
    }
  }
  return runs_->DeletePlan(id);
}

absl::StatusOr<Run> StoreCollector::GetRun(absl::string_view id) const {
  RECLAIM_ASSIGN_OR_RETURN(StoredRun stored, runs_->GetRun(id));
  return std::move(stored.run);
}

absl::StatusOr<std::vector<Run>> StoreCollector::ListRuns(
    absl::string_view before_id, size_t limit) const {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<StoredRun> stored,
                           runs_->ListRuns(before_id, limit));
  std::vector<Run> runs;
  for (StoredRun& run : stored) runs.push_back(std::move(run.run));
  return runs;
}

namespace {

QuarantineEntry EntryOf(QuarantineRecord record) {
  return {record.run_id,      std::move(record.item),
          record.quarantined, record.restorable_until,
          record.actor,       record.state == QuarantineState::kSuperseded};
}

}  // namespace

absl::StatusOr<std::vector<QuarantineEntry>> StoreCollector::FindQuarantined(
    absl::string_view store, const store::Place& place,
    const oci::Digest& digest) const {
  RECLAIM_RETURN_IF_ERROR(Site(store).status());
  RECLAIM_ASSIGN_OR_RETURN(
      std::vector<QuarantineRecord> records,
      runs_->FindQuarantined(std::string(store), place, digest));
  std::vector<QuarantineEntry> entries;
  for (QuarantineRecord& record : records) {
    entries.push_back(EntryOf(std::move(record)));
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const QuarantineEntry& a, const QuarantineEntry& b) {
                     return a.quarantined > b.quarantined;
                   });
  return entries;
}

absl::StatusOr<bool> StoreCollector::IsPurgeDue(absl::string_view store) const {
  RECLAIM_RETURN_IF_ERROR(Site(store).status());
  const absl::Time now = clock_->Now();
  bool is_due = false;
  RECLAIM_RETURN_IF_ERROR(
      runs_->ForEachQuarantined(store, [&](const QuarantineRecord& record) {
        is_due = record.state == QuarantineState::kPurging ||
                 (record.state != QuarantineState::kIntended &&
                  record.restorable_until <= now);
        return !is_due;
      }));
  return is_due;
}

absl::StatusOr<std::vector<QuarantineEntry>> StoreCollector::ListQuarantine(
    absl::string_view store, uint64_t offset, uint64_t limit) const {
  RECLAIM_RETURN_IF_ERROR(Site(store).status());
  QuarantineKeys all;
  RECLAIM_RETURN_IF_ERROR(
      runs_->ForEachQuarantined(store, [&](const QuarantineRecord& record) {
        all.Add({record.run_id, record.number}, record.quarantined, false);
        return true;
      }));
  all.SortNewestFirst();
  std::vector<QuarantineEntry> entries;
  for (uint64_t i = offset; i < all.size() && entries.size() < limit; ++i) {
    absl::StatusOr<QuarantineRecord> found = runs_->GetQuarantine(all.key(i));
    if (absl::IsNotFound(found.status())) continue;  // settled meanwhile
    RECLAIM_ASSIGN_OR_RETURN(QuarantineRecord record, std::move(found));
    entries.push_back(EntryOf(std::move(record)));
  }
  return entries;
}

absl::StatusOr<Explanation> StoreCollector::Explain(index::NodeId node,
                                                    const GcPolicy& policy,
                                                    int path_count_max) const {
  RECLAIM_RETURN_IF_ERROR(policy.Validate());
  const auto reader = graph_->Read();
  const index::GraphView& view = reader->view();
  if (!view.Exists(node)) return absl::NotFoundError("there is no such node");
  const std::vector<Root> roots = CollectRoots(
      view, view.fields(node).store,
      {clock_->Now(), policy.grace_period, policy.upload_lifetime});
  return gc::Explain(view, roots, node, path_count_max);
}

absl::StatusOr<Plan> StoreCollector::ApprovePlan(absl::string_view id,
                                                 absl::string_view actor) {
  // Two approvals, or one beside an apply, come one after the other.
  base::MutexLock lock(&approval_);
  RECLAIM_ASSIGN_OR_RETURN(StoredPlan stored, runs_->GetPlan(id));
  const PruneRequest& request = stored.plan.request;
  if (!request.needs_approval) {
    return absl::FailedPreconditionError(
        absl::StrCat("the plan ", id, " needs no approval; apply it"));
  }
  if (actor == request.actor || actor == request.proposer) {
    return absl::PermissionDeniedError(
        absl::StrCat(actor, " asked for the plan ", id,
                     "; somebody else has to approve it"));
  }
  if (!stored.run_id.empty() || clock_->Now() > stored.plan.expires) {
    return absl::FailedPreconditionError(
        absl::StrCat("the plan ", id,
                     stored.run_id.empty() ? " has expired" : " was applied",
                     "; nothing is left to approve"));
  }
  stored.approver = std::string(actor);
  stored.approved = clock_->Now();
  RECLAIM_RETURN_IF_ERROR(runs_->UpdatePlan(stored));
  RECLAIM_ASSIGN_OR_RETURN(PlanPage page, GetPlan(id, 0, 0));
  return std::move(page.plan);
}

absl::Status StoreCollector::ReadHeld(absl::string_view store,
                                      absl::Span<const index::ContentName> held,
                                      absl::string_view actor) {
  const absl::StatusOr<CollectedStore*> site = Site(store);
  // Nothing is collected where no store is attached.
  if (!site.ok()) return absl::OkStatus();
  if ((*site)->store->traits().kind == store::StoreKind::kExternal) {
    return absl::OkStatus();
  }
  const absl::Duration begin = clock_->Monotonic();
  base::MutexLock names(&(*site)->names);
  observer_->OnWriterWaited((*site)->name, clock_->Monotonic() - begin);
  return index::ReadHeld(graph_, (*site)->name, *(*site)->store, held, actor);
}

}  // namespace reclaim::gc
