#include "gc/sweep.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/graph_changes.h"
#include "gc/pacer.h"
#include "gc/restore.h"

namespace reclaim::gc {
namespace {

using store::RemovalKind;
using store::RemovalOutcome;

const char* StepOf(const PlanItem& item) {
  if (!item.removal) return "records";
  switch (item.removal->kind) {
    case RemovalKind::kTag:
      return "tags";
    case RemovalKind::kRevisionLink:
    case RemovalKind::kLayerLink:
      return "links";
    case RemovalKind::kBlob:
      return "blobs";
    case RemovalKind::kUpload:
      return "uploads";
    case RemovalKind::kSnapshot:
      return "snapshots";
    case RemovalKind::kContainer:
    case RemovalKind::kNetwork:
    case RemovalKind::kVolume:
    case RemovalKind::kBuildCache:
      return "records";
  }
  return "";
}

// Items that one batch may hold: what a store refuses to give returns to the
// graph with its batch, and what it uses or names must be judged after that.
bool AreOfOneStage(const PlanItem& a, const PlanItem& b) {
  if (!a.removal || !b.removal) return !a.removal && !b.removal;
  const RemovalKind kind = a.removal->kind;
  if (store::DeedStage(kind) != store::DeedStage(b.removal->kind)) return false;
  return kind == b.removal->kind || !store::IsEngineRecord(kind);
}

// The items up to the first of another stage.
void KeepOneStage(std::vector<PlanItem>* items) {
  const auto end =
      std::find_if(items->begin(), items->end(), [items](const PlanItem& item) {
        return !AreOfOneStage(items->front(), item);
      });
  items->erase(end, items->end());
}

store::Bytes Difference(const store::Bytes& a, const store::Bytes& b) {
  const auto minus = [](uint64_t x, uint64_t y) { return x > y ? x - y : 0; };
  return {minus(a.logical_bytes, b.logical_bytes),
          minus(a.allocated_bytes, b.allocated_bytes)};
}

}  // namespace

GuardTerms Sweep::Terms() const {
  GuardTerms terms;
  terms.store = site_->id;
  const GcPolicy& policy = plan_.request.policy;
  terms.keeper = {site_->clock->Now(), policy.grace_period,
                  policy.upload_lifetime, plan_.epoch, plan_.created};
  terms.names_seen = plan_.names_seen;
  // No scan runs beside a sweep: the scopes stay what they are.
  terms.unreadable_scopes = Registered().unreadable_scopes;
  terms.is_forced = plan_.request.force;
  return terms;
}

index::StoreRecord Sweep::Registered() const {
  for (const index::StoreRecord& store : site_->graph->Stores()) {
    if (store.id == site_->id) return store;
  }
  return {};
}

absl::Status Sweep::CheckKnown(const std::vector<PlanItem>& items) const {
  const bool has_removal = std::any_of(
      items.begin(), items.end(),
      [](const PlanItem& item) { return item.removal.has_value(); });
  if (!has_removal) return absl::OkStatus();
  for (const index::UnreadableScope& scope : terms_.unreadable_scopes) {
    if (!scope.scope.empty()) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "the store ", site_->name, " is not known as it is now (", scope.why,
        "), so nothing is taken away; when it can be read, run `reclaim scan ",
        site_->name, "` and make a new plan"));
  }
  return absl::OkStatus();
}

absl::StatusOr<QuarantineRecord> Sweep::RecordOf(const index::GraphView& view,
                                                 const PlanItem& item,
                                                 uint64_t number) const {
  QuarantineRecord record;
  record.run_id = run_->run().id;
  record.number = number;
  record.store = site_->name;
  record.item = item;
  record.quarantined = site_->clock->Now();
  record.restorable_until = run_->run().restorable_until;
  record.actor = run_->run().actor;
  record.bytes.content = item.bytes;
  record.bytes.held = item.held;
  record.state =
      item.removal ? QuarantineState::kIntended : QuarantineState::kQuarantined;
  if (item.node != index::kNoNode && !IsContent(item.kind)) {
    RECLAIM_ASSIGN_OR_RETURN(record.named, site_->graph->GetNamed(item.node));
  }
  if (const auto kind = LinkKindOf(item)) {
    const index::NodeId repository =
        view.FindNamed({index::NodeKind::kRepository, site_->id, "",
                        item.removal->repository});
    const index::NodeId content = view.FindContent(
        view.FindPlace(site_->id, item.removal->place), *item.removal->digest);
    record.linked = view.LinkedAt(repository, content, *kind);
  }
  return record;
}

absl::Status Sweep::Intend(DeletionGuard* guard, Batch* batch,
                           const std::vector<Verdict>& vetoes) {
  batch->verdicts = guard->Judge(batch->items, terms_, vetoes);
  GraphChanges changes;
  QuarantineChanges intent;
  for (size_t i = 0; i < batch->items.size(); ++i) {
    const Verdict& verdict = batch->verdicts[i];
    if (!verdict.may_go()) {
      run_->Skip(SubjectOf(batch->items[i]), verdict.reason, verdict.detail);
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(
        QuarantineRecord record,
        RecordOf(guard->reader().view(), batch->items[i], batch->first + i));
    record.epoch = guard->reader().epoch();
    AddLeaving(record, &changes);
    intent.put.push_back(record);
    batch->accepted.push_back(std::move(record));
  }
  if (batch->accepted.empty()) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("sweep.before_intent"));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(intent));
  RECLAIM_RETURN_IF_ERROR(guard->Record(changes.states, changes.operations,
                                        writes, run_->run().actor));
  site_->runs->Note(intent);
  return absl::OkStatus();
}

void Sweep::SettleOne(const RemovalOutcome& outcome, QuarantineRecord record,
                      Batch* batch) {
  const absl::Status& status = outcome.status;
  if (status.ok()) {
    record.state = QuarantineState::kQuarantined;
    run_->Count(record.item, record.bytes);
    site_->observer->OnItemQuarantined(site_->name, record.item);
    batch->settled.put.push_back(std::move(record));
    return;
  }
  const std::string subject = SubjectOf(record.item);
  if (!absl::IsNotFound(status) && !absl::IsAborted(status)) {
    // A part of it may have moved, or all of it without being durable: the
    // intent stands until it is undone.
    run_->Fail(subject, status);
    batch->has_failed = true;
    return;
  }
  batch->settled.removed.push_back({record.run_id, record.number});
  if (absl::IsNotFound(status)) {
    // Not there: then the graph is right for names and links already.
    AddLoss(record, &batch->changes);
    run_->Skip(subject, SkipReason::kGone, std::string(status.message()));
    return;
  }
  // An engine refuses what it has in use.
  run_->Skip(subject,
             site_->store->traits().knows_containers ? SkipReason::kInUse
                                                     : SkipReason::kChanged,
             std::string(status.message()));
  batch->refused.push_back(std::move(record));
}

void Sweep::SettleOutcomes(const std::vector<RemovalOutcome>& outcomes,
                           const store::RemovalBytes& measured, Batch* batch) {
  store::Bytes metadata;
  QuarantineRecord* last = nullptr;
  size_t next = 0;
  std::vector<RemovalOutcome> of_items;
  for (QuarantineRecord& record : batch->accepted) {
    RemovalOutcome outcome;
    if (record.item.removal) outcome = outcomes[next++];
    if (outcome.status.ok()) {
      record.bytes.metadata = outcome.bytes.metadata;
      metadata += outcome.bytes.metadata;
      last = &record;
    }
    of_items.push_back(std::move(outcome));
  }
  // Folders that the batch emptied are no single item's.
  if (last != nullptr) {
    last->bytes.metadata += Difference(measured.metadata, metadata);
  }
  for (size_t i = 0; i < of_items.size(); ++i) {
    SettleOne(of_items[i], std::move(batch->accepted[i]), batch);
  }
}

absl::Status Sweep::CommitOutcomes(Batch* batch) {
  run_->stored().next_item = batch->first + batch->items.size();
  run_->run().progress.done_count = run_->stored().next_item;
  const auto order = site_->graph->HoldWriteOrder();
  const absl::Duration begin = site_->clock->Monotonic();
  // Only now have the bytes moved: a scan that begins later proves.
  for (QuarantineRecord& record : batch->settled.put) {
    record.epoch = order->reader().epoch();
    record.quarantined = site_->clock->Now();
  }
  RECLAIM_ASSIGN_OR_RETURN(std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(batch->settled));
  RECLAIM_ASSIGN_OR_RETURN(writes.emplace_back(),
                           RunStore::RunWrite(run_->stored()));
  // Writers have been at work since the intent: their word is newer.
  GraphChanges& changes = batch->changes;
  for (const QuarantineRecord& record : batch->refused) {
    AddRefused(order->reader().view(), site_->id, record, &changes);
  }
  RECLAIM_RETURN_IF_ERROR(order->Commit(changes.states, changes.operations,
                                        writes, run_->run().actor));
  site_->observer->OnBatchHeld(site_->name, site_->clock->Monotonic() - begin);
  site_->runs->Note(batch->settled);
  return absl::OkStatus();
}

absl::Status Sweep::Move(const DeletionGuard& guard, Batch* batch) {
  std::vector<store::Removal> removals;
  for (const QuarantineRecord& record : batch->accepted) {
    if (record.item.removal) removals.push_back(*record.item.removal);
  }
  RECLAIM_RETURN_IF_ERROR(Announce(*site_, DeletionStep::kQuarantine,
                                   run_->run(), batch->accepted));
  if (removals.empty()) {
    SettleOutcomes({}, {}, batch);
    return absl::OkStatus();
  }
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("sweep.after_intent"));
  RECLAIM_ASSIGN_OR_RETURN(const store::RemovalBytes measured,
                           site_->store->Measure(removals));
  RECLAIM_ASSIGN_OR_RETURN(
      const std::vector<RemovalOutcome> outcomes,
      site_->store->Quarantine(guard.permit(), run_->run().id, removals));
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("sweep.after_move"));
  SettleOutcomes(outcomes, measured, batch);
  return absl::OkStatus();
}

absl::Status Sweep::RunBatch(Batch* batch, CanaryWatch* canaries) {
  index::Mutation links;
  std::vector<Verdict> vetoes = CheckFiles(batch->items, &links.operations);
  if (!links.operations.empty()) {
    links.actor = run_->run().actor;
    RECLAIM_RETURN_IF_ERROR(
        site_->graph->Apply(links, index::Durability::kBuffered).status());
  }
  // No other batch can have been begun before.
  if (batch->first == first_item_) {
    RECLAIM_RETURN_IF_ERROR(VetoMoved(*batch, &vetoes));
  }
  if (MayBeRemembered(Registered())) {
    RECLAIM_RETURN_IF_ERROR(DropAheadOfClock(site_));
  }
  canaries->Prime(batch->items);
  base::MutexLock names(&site_->names);
  RECLAIM_RETURN_IF_ERROR(FollowNames(batch->items, &vetoes));
  base::MutexLock deed(&site_->deed);
  {
    DeletionGuard guard(site_->graph);
    const absl::Duration begin = site_->clock->Monotonic();
    RECLAIM_RETURN_IF_ERROR(Intend(&guard, batch, vetoes));
    site_->observer->OnBatchHeld(site_->name,
                                 site_->clock->Monotonic() - begin);
    if (!batch->accepted.empty()) {
      RECLAIM_RETURN_IF_ERROR(Move(guard, batch));
    }
  }
  RECLAIM_RETURN_IF_ERROR(CommitOutcomes(batch));
  canaries->Moved(batch->settled.put);
  return absl::OkStatus();
}

// An intent without an outcome does not stand.  Where even that can't be
// recorded, the next start undoes it (gc/recovery.h).
void Sweep::Undo() {
  if (!site_->runs->PutRun(run_->stored()).ok()) return;
  const absl::Status status =
      UndoIntents(site_, run_->run().id, run_->run().actor);
  if (!status.ok()) run_->AddProblem(std::string(status.message()));
}

absl::Status Sweep::Run() {
  site_->store->ForgetListings();
  CanaryWatch canaries(site_, Registered());
  const absl::Status swept = RunBatches(&canaries);
  // Without a proof what was moved stays in quarantine for longer.
  const absl::Status concluded = canaries.Conclude();
  if (!concluded.ok()) run_->AddProblem(std::string(concluded.message()));
  return swept;
}

absl::Status Sweep::RunBatches(CanaryWatch* canaries) {
  terms_ = Terms();
  first_item_ = run_->stored().next_item;
  const GcPolicy& policy = plan_.request.policy;
  while (true) {
    if (run_->IsCancelled()) {
      return absl::CancelledError("the run was cancelled");
    }
    Batch batch;
    batch.first = run_->stored().next_item;
    RECLAIM_ASSIGN_OR_RETURN(
        batch.items,
        site_->runs->GetItems(plan_.id, batch.first, policy.batch_item_count));
    if (batch.items.empty()) return absl::OkStatus();
    KeepOneStage(&batch.items);
    terms_.names_seen = SeenUntil(batch.items);
    RECLAIM_RETURN_IF_ERROR(CheckKnown(batch.items));
    run_->run().progress.step = StepOf(batch.items.front());
    const uint64_t before = run_->run().bytes.content.allocated_bytes;
    const absl::Duration begin = site_->clock->Monotonic();
    if (const absl::Status status = RunBatch(&batch, canaries); !status.ok()) {
      Undo();
      return status;
    }
    if (batch.has_failed) Undo();
    run_->Report();
    const absl::Duration delay =
        PaceDelay(policy.pace_bytes_per_second,
                  run_->run().bytes.content.allocated_bytes - before,
                  site_->clock->Monotonic() - begin);
    KeepPace(delay, [this] { return run_->IsCancelled(); });
  }
}

}  // namespace reclaim::gc
