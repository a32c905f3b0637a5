// The runs: which step comes next, and who may act.

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/adopted_return.h"
#include "gc/leftovers.h"
#include "gc/link_return.h"
#include "gc/ongoing_run.h"
#include "gc/purge.h"
#include "gc/restore.h"
#include "gc/store_collector.h"
#include "gc/sweep.h"
#include "index/store_scanner.h"

namespace reclaim::gc {

absl::StatusOr<Run> StoreCollector::Scan(absl::string_view store,
                                         bool from_nothing,
                                         absl::string_view actor,
                                         const RunControl& control) {
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(store));
  StoredRun stored = NewRun(RunKind::kScan, *site, actor);
  RECLAIM_ASSIGN_OR_RETURN(const auto slot, Acquire(site, stored.run.id));
  DropOldRecords();
  RECLAIM_RETURN_IF_ERROR(runs_->PutRun(stored));
  OngoingRun run(std::move(stored), site, &control);
  run.Begin();
  index::ScanOptions options;
  options.from_nothing = from_nothing;
  options.actor = std::string(actor);
  options.is_cancelled = [&run] { return run.IsCancelled(); };
  options.on_progress = [&run](const index::ScanProgress& seen) {
    RunProgress& progress = run.run().progress;
    progress.step = "scanning";
    progress.done_count = seen.blob_count + seen.tag_count;
    progress.done_bytes = seen.bytes;
    run.Report();
  };
  const absl::StatusOr<index::ScanReport> report = ScanAndReturn(site, options);
  if (!report.ok()) return run.End(report.status());
  const absl::Status returned = ReturnLinks(site, actor);
  // What lies in the way of a link keeps it in quarantine.
  if (absl::IsAlreadyExists(returned)) {
    run.AddProblem(std::string(returned.message()));
  } else if (!returned.ok()) {
    return run.End(returned);
  }
  run.run().item_count = report->added_count + report->removed_count;
  run.run().blob_count = report->seen.blob_count + report->unchanged_blob_count;
  run.run().bytes.content = report->seen.bytes + report->unchanged_bytes;
  for (const index::ScanProblem& problem : report->problems) {
    run.AddProblem(absl::StrCat(problem.path, problem.path.empty() ? "" : ": ",
                                problem.why));
  }
  return run.End(absl::OkStatus());
}

absl::StatusOr<std::vector<index::Hint>> StoreCollector::FollowHints(
    absl::string_view store, absl::Span<const index::Hint> hints,
    absl::string_view actor) {
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(store));
  base::MutexLock names(&site->names);
  RECLAIM_ASSIGN_OR_RETURN(std::vector<index::Hint> unsettled,
                           index::FollowHints(graph_, site->name, *site->store,
                                              hints, clock_->Now(), actor));
  RECLAIM_RETURN_IF_ERROR(ReturnLinksOf(site, hints, actor));
  return unsettled;
}

absl::Status StoreCollector::Sync(absl::string_view store,
                                  std::function<bool()> is_cancelled) {
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(store));
  const std::unique_lock<std::shared_mutex> unsettled(site->sync_gate);
  RECLAIM_ASSIGN_OR_RETURN(const auto slot, Acquire(site, kSyncRun));
  index::ScanOptions options;
  options.actor = kSyncRun;
  options.is_cancelled = std::move(is_cancelled);
  return index::ScanStore(graph_, site->name, *site->store, *clock_, options)
      .status();
}

absl::Status StoreCollector::CheckSize(const Plan& plan,
                                       const CollectedStore& site) const {
  uint64_t held = 0;
  {
    const auto reader = graph_->Read();
    const index::StoreTotals& totals = reader->totals(site.id);
    for (int kind = 0; kind < index::kNodeKindCount; ++kind) {
      held += totals.by_kind[static_cast<size_t>(kind)].bytes.logical_bytes;
    }
  }
  // What stays on the disk for other names leaves the store all the same.
  const store::RemovalBytes& bytes = plan.totals.bytes;
  const uint64_t taken = bytes.content.logical_bytes + bytes.held.logical_bytes;
  const int percent = plan.request.policy.large_plan_percent;
  if (percent >= 100) return absl::OkStatus();
  const double share = 100.0 * static_cast<double>(taken);
  if (share <= static_cast<double>(percent) * static_cast<double>(held)) {
    return absl::OkStatus();
  }
  absl::Status status = absl::FailedPreconditionError(absl::StrCat(
      "the plan takes away ", taken, " of ", held, " bytes, more than ",
      percent,
      " % of the store; look at it, then apply it with --allow-large"));
  status.SetPayload(kTooLargePayload, absl::Cord(absl::StrCat(percent)));
  return status;
}

absl::Status StoreCollector::CheckApplicable(const StoredPlan& stored,
                                             const ApplyRequest& request,
                                             const CollectedStore& site) const {
  const Plan& plan = stored.plan;
  if (!stored.run_id.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the plan ", plan.id, " was applied by run ",
                     stored.run_id, "; make a new plan"));
  }
  if (clock_->Now() > plan.expires) {
    return absl::FailedPreconditionError(
        absl::StrCat("the plan ", plan.id, " has expired; make a new plan"));
  }
  if (plan.request.needs_approval && stored.approver.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the plan ", plan.id, " waits for approval: somebody else than ",
        plan.request.proposer.empty() ? plan.request.actor
                                      : plan.request.proposer,
        " runs `reclaim plans approve ", plan.id, "`"));
  }
  if (plan.store_id != site.id) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store ", plan.store, " was registered anew since the plan ",
        plan.id, " was made; make a new plan"));
  }
  const store::StoreTraits traits = site.store->traits();
  if (traits.is_read_only ||
      (!traits.has_quarantine && !traits.deletes_for_good)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store ", site.name,
        traits.is_read_only ? " is read-only; register it without read_only"
                            : " has no quarantine: nothing is deleted there "
                              "without undo"));
  }
  return request.allow_large ? absl::OkStatus() : CheckSize(plan, site);
}

absl::StatusOr<Run> StoreCollector::RunSweep(CollectedStore* site,
                                             const Plan& plan, StoredRun stored,
                                             uint64_t purge_first_bytes,
                                             const RunControl& control) {
  OngoingRun run(std::move(stored), site, &control);
  run.Begin();
  if (purge_first_bytes > 0) {
    PurgeForRoom(site, purge_first_bytes, &run, control);
  }
  absl::Status status = Sweep(site, &plan, &run).Run();
  if (!site->store->traits().deletes_for_good) {
    if (status.ok() && run.stored().purges_immediately) {
      const absl::Status purged = PurgeAtOnce(site, &run.run(), control);
      if (!purged.ok()) run.AddProblem(std::string(purged.message()));
    }
    return run.End(status);
  }
  // Without a quarantine nothing has gone yet: the purge is the deed.  What it
  // does not take, for whatever reason, stays.
  run.run().item_count = run.run().blob_count = run.run().image_count = 0;
  run.run().bytes = {};
  if (status.ok()) status = PurgeAtOnce(site, &run.run(), control);
  const absl::Status kept = KeepLeftovers(site, run.run().id, run.run().actor);
  if (!kept.ok()) run.AddProblem(std::string(kept.message()));
  return run.End(status);
}

absl::StatusOr<Run> StoreCollector::RunPurge(CollectedStore* site,
                                             const PurgeRequest& request,
                                             const RunControl& control,
                                             absl::Status* status) {
  StoredRun stored = NewRun(RunKind::kPurge, *site, request.actor);
  RECLAIM_RETURN_IF_ERROR(runs_->PutRun(stored));
  OngoingRun run(std::move(stored), site, &control);
  run.Begin();
  *status = gc::Purge(site, &request, &run).Run();
  return run.End(*status);
}

// Pressure takes the quarantine first, the oldest of it before the rest.  What
// of it can't be freed is told, and the sweep goes on: it takes no more for it.
void StoreCollector::PurgeForRoom(CollectedStore* site, uint64_t free_bytes,
                                  OngoingRun* applied,
                                  const RunControl& control) {
  PurgeRequest request;
  request.store = site->name;
  request.before_period_ends = true;
  request.free_bytes = free_bytes;
  request.may_wait = true;
  request.actor = applied->run().actor;
  absl::Status status;
  const absl::StatusOr<Run> purged = RunPurge(site, request, control, &status);
  if (!purged.ok()) {
    applied->AddProblem(absl::StrCat("nothing of the quarantine was freed: ",
                                     purged.status().message()));
    return;
  }
  const uint64_t freed = purged->bytes.total().allocated_bytes;
  if (freed >= free_bytes) return;
  applied->AddProblem(
      absl::StrCat("of ", free_bytes, " bytes of the quarantine ", freed,
                   " were freed; run ", purged->id, " says why"));
}

// `--purge`: no quarantine period; the proof is needed all the same.
absl::Status StoreCollector::PurgeAtOnce(CollectedStore* site, Run* applied,
                                         const RunControl& control) {
  PurgeRequest request;
  request.store = site->name;
  request.run_id = applied->id;
  request.before_period_ends = true;
  request.may_wait = true;
  request.actor = applied->actor;
  absl::Status status;
  RECLAIM_ASSIGN_OR_RETURN(const Run ended,
                           RunPurge(site, request, control, &status));
  if (site->store->traits().deletes_for_good) {
    // Nothing had gone before this: these are the figures of the deed.
    for (const std::string& problem : ended.problems) {
      if (problem != status.message()) applied->problems.push_back(problem);
    }
    applied->item_count = ended.item_count;
    applied->blob_count = ended.blob_count;
    applied->image_count = ended.image_count;
    applied->bytes = ended.bytes;
    applied->skipped_count += ended.skipped_count;
    applied->skipped.insert(applied->skipped.end(), ended.skipped.begin(),
                            ended.skipped.end());
    return status;
  }
  RECLAIM_RETURN_IF_ERROR(status);
  // What is in use has gone back to its place, and is no work that is left.
  if (ended.phase == RunPhase::kSucceeded) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(ended.skipped_count, " items stay in quarantine; run ",
                   ended.id, " says why"));
}

// While its engine is away nothing is begun: the plan is not used up.
absl::Status StoreCollector::CheckAnswers(const CollectedStore& site) {
  const absl::Status status = site.store->GetCapacity().status();
  if (!absl::IsUnavailable(status)) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the store ", site.name, " is away: ", status.message(),
                   "; apply the plan when it is back"));
}

absl::StatusOr<Run> StoreCollector::Apply(const ApplyRequest& request,
                                          const RunControl& control) {
  RECLAIM_ASSIGN_OR_RETURN(const StoredPlan stored,
                           runs_->GetPlan(request.plan_id));
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(stored.plan.store));
  RECLAIM_RETURN_IF_ERROR(CheckConfirmed());
  // First: a sync may hang on an engine that does not answer.
  RECLAIM_RETURN_IF_ERROR(CheckAnswers(*site));
  StoredRun run = NewRun(RunKind::kApply, *site, request.actor);
  RECLAIM_ASSIGN_OR_RETURN(const auto slot, Acquire(site, run.run.id));
  RECLAIM_ASSIGN_OR_RETURN(const Plan plan, BeginApply(request, *site, &run));
  return RunSweep(site, plan, std::move(run), plan.target_outcome.purge_bytes,
                  control);
}

// The plan once more, now that nobody else can apply or approve it.
absl::StatusOr<Plan> StoreCollector::BeginApply(const ApplyRequest& request,
                                                const CollectedStore& site,
                                                StoredRun* begun) {
  base::MutexLock lock(&approval_);
  RECLAIM_ASSIGN_OR_RETURN(StoredPlan stored, runs_->GetPlan(request.plan_id));
  RECLAIM_RETURN_IF_ERROR(CheckApplicable(stored, request, site));
  StoredRun& run = *begun;
  const Plan& plan = stored.plan;
  run.run.plan_id = plan.id;
  run.run.epoch = plan.epoch;
  run.run.progress.total_count = plan.totals.item_count;
  run.run.progress.total_bytes = plan.totals.bytes.content;
  // Where nothing can be given back there is nothing to wait for.
  run.purges_immediately =
      request.purge_immediately || site.store->traits().deletes_for_good;
  run.run.restorable_until =
      run.purges_immediately
          ? run.run.started
          : period_clock_->Now() + plan.request.policy.quarantine_period;
  stored.run_id = run.run.id;
  RECLAIM_RETURN_IF_ERROR(runs_->BeginApply(stored, run));
  return std::move(stored.plan);
}

absl::StatusOr<Run> StoreCollector::Restore(const RestoreRequest& request,
                                            const RunControl& control) {
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(request.store));
  StoredRun stored = NewRun(RunKind::kRestore, *site, request.actor);
  RECLAIM_ASSIGN_OR_RETURN(const auto slot, Acquire(site, stored.run.id));
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records,
                           SelectForRestore(*site, request));
  stored.run.progress.step = "restoring";
  stored.run.progress.total_count = records.size();
  for (const QuarantineRecord& record : records) {
    stored.run.progress.total_bytes += record.bytes.content;
  }
  RECLAIM_RETURN_IF_ERROR(runs_->PutRun(stored));
  OngoingRun run(std::move(stored), site, &control);
  run.Begin();
  return run.End(RestoreRecords(site, std::move(records), request.actor, &run));
}

absl::StatusOr<Run> StoreCollector::Purge(const PurgeRequest& request,
                                          const RunControl& control) {
  RECLAIM_ASSIGN_OR_RETURN(CollectedStore * site, Site(request.store));
  RECLAIM_RETURN_IF_ERROR(CheckConfirmed());
  StoredRun stored = NewRun(RunKind::kPurge, *site, request.actor);
  RECLAIM_ASSIGN_OR_RETURN(const auto slot, Acquire(site, stored.run.id));
  RECLAIM_RETURN_IF_ERROR(runs_->PutRun(stored));
  OngoingRun run(std::move(stored), site, &control);
  run.Begin();
  const absl::Status kept = KeepLeftovers(site, "", request.actor);
  if (!kept.ok()) return run.End(kept);
  return run.End(gc::Purge(site, &request, &run).Run());
}

}  // namespace reclaim::gc
