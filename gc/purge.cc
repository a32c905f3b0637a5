#include "gc/purge.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/cache_proof.h"
#include "gc/deletion_guard.h"
#include "gc/graph_changes.h"
#include "gc/link_return.h"
#include "gc/pacer.h"
#include "index/store_scanner.h"

namespace reclaim::gc {
namespace {

using store::RemovalOutcome;

constexpr size_t kBatchSize = 64;
constexpr absl::Duration kPatience = absl::Minutes(2);

// A cache of descriptors knows content and who has it, neither tags nor
// uploads.
bool IsInCaches(const QuarantineRecord& record) {
  const store::RemovalKind kind = record.item.removal->kind;
  return kind == store::RemovalKind::kBlob ||
         kind == store::RemovalKind::kRevisionLink ||
         kind == store::RemovalKind::kLayerLink;
}

}  // namespace

absl::StatusOr<index::StoreRecord> Purge::Registered() const {
  for (index::StoreRecord& store : site_->graph->Stores()) {
    if (store.id == site_->id) return std::move(store);
  }
  return absl::NotFoundError(
      absl::StrCat("store \"", site_->name, "\" was forgotten meanwhile"));
}

GuardTerms Purge::Terms(const index::StoreRecord& store) const {
  GuardTerms terms;
  terms.store = site_->id;
  terms.unreadable_scopes = store.unreadable_scopes;
  // Roots alone count: what a writer touched since has been restored (I4).
  terms.keeper.now = site_->clock->Now();
  terms.keeper.upload_lifetime = GcPolicy().upload_lifetime;
  terms.keeper.epoch = std::numeric_limits<index::Epoch>::max();
  return terms;
}

absl::StatusOr<std::vector<QuarantineRecord>> Purge::Select() const {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records,
                           site_->runs->ListQuarantine(site_->name));
  const absl::Time now = site_->clock->Now();
  const auto is_out = [&](const QuarantineRecord& record) {
    if (!request_.run_id.empty() && record.run_id != request_.run_id) {
      return true;
    }
    if (record.state == QuarantineState::kIntended) return true;
    return !request_.before_period_ends && record.restorable_until > now &&
           record.state != QuarantineState::kPurging;
  };
  records.erase(std::remove_if(records.begin(), records.end(), is_out),
                records.end());
  std::stable_sort(records.begin(), records.end(),
                   [](const QuarantineRecord& a, const QuarantineRecord& b) {
                     return std::tie(a.quarantined, a.run_id) <
                            std::tie(b.quarantined, b.run_id);
                   });
  return records;
}

bool Purge::NeedsProof(const QuarantineRecord& record) const {
  return record.state == QuarantineState::kQuarantined &&
         record.item.removal.has_value() &&
         site_->store->traits().has_foreign_writers;
}

absl::Time Purge::ProvableFrom(const QuarantineRecord& record,
                               const index::StoreRecord& store) const {
  // Nothing has been taken from anybody's sight by then: a writer who looked
  // before the deletion is the engine's own, within its locks (decisions/0008).
  if (site_->store->traits().deletes_for_good) return record.quarantined;
  return record.quarantined + store.writers.write_duration_max;
}

// Epochs tell what came after what; only the distance is a matter of clocks
// (one that is set forward in between makes it too short: docs/decisions).
bool Purge::LacksScan(const QuarantineRecord& record,
                      const index::StoreRecord& store) const {
  return NeedsProof(record) &&
         (record.epoch >= store.last_scan_epoch ||
          store.last_scan_begin < ProvableFrom(record, store));
}

absl::Status Purge::WaitForWriters(const std::vector<QuarantineRecord>& records,
                                   const index::StoreRecord& store) {
  const absl::Time now = site_->clock->Now();
  absl::Time last = now;
  for (const QuarantineRecord& record : records) {
    const absl::Time from = ProvableFrom(record, store);
    if (NeedsProof(record) && from - now <= kPatience) {
      last = std::max(last, from);
    }
  }
  if (last == now) return absl::OkStatus();
  run_->run().progress.step = "waiting for writers";
  run_->Report();
  KeepPace(last - now, [this] { return run_->IsCancelled(); });
  if (!run_->IsCancelled()) return absl::OkStatus();
  return absl::CancelledError("the run was cancelled");
}

absl::Status Purge::ScanForProof() {
  run_->run().progress.step = "proof";
  run_->Report();
  index::ScanOptions options;
  options.actor = run_->run().actor;
  options.is_proof = true;
  options.is_cancelled = [this] { return run_->IsCancelled(); };
  return index::ScanStore(site_->graph, site_->name, *site_->store,
                          *site_->clock, options)
      .status();
}

bool Purge::IsEnough() const {
  return request_.free_bytes > 0 &&
         run_->run().bytes.total().allocated_bytes >= request_.free_bytes;
}

void Purge::Settle(const QuarantineRecord& record,
                   const RemovalOutcome& outcome, QuarantineChanges* settled,
                   std::vector<QuarantineRecord>* staying) {
  if (absl::IsAborted(outcome.status)) {
    settled->removed.push_back({record.run_id, record.number});
    SkipReason reason = SkipReason::kChanged;
    if (site_->store->traits().knows_containers) {
      // The engine has it in use, or it is not what was quarantined: it stays.
      staying->push_back(record);
      reason = SkipReason::kInUse;
    } else {
      // A writer's word came to light: it is back, and the next scan reads it.
      ++came_back_count_;
    }
    run_->Skip(SubjectOf(record.item), reason,
               std::string(outcome.status.message()));
    return;
  }
  if (!outcome.status.ok() && !absl::IsNotFound(outcome.status)) {
    run_->Fail(SubjectOf(record.item), outcome.status);
    if (!site_->store->traits().deletes_for_good) return;
    // No later purge may take it: it was set aside nowhere (gc/leftovers.h).
    settled->removed.push_back({record.run_id, record.number});
    staying->push_back(record);
    return;
  }
  settled->removed.push_back({record.run_id, record.number});
  run_->Count(record.item, record.bytes);
  site_->observer->OnBytesPurged(site_->name, record.bytes.total());
}

// All of one run.
absl::Status Purge::FreeBatch(std::vector<QuarantineRecord> records) {
  base::MutexLock deed(&site_->deed);
  GraphChanges changes;
  QuarantineChanges intent;
  std::vector<store::Removal> removals;
  std::vector<RemovalOutcome> outcomes;
  {
    DeletionGuard guard(site_->graph);
    const std::vector<Verdict> verdicts = guard.JudgePurge(records, terms_);
    for (size_t i = 0; i < records.size(); ++i) {
      if (!verdicts[i].may_go()) {
        run_->Skip(SubjectOf(records[i].item), verdicts[i].reason,
                   verdicts[i].detail);
        continue;
      }
      const index::NodeId node = records[i].item.node;
      if (node != index::kNoNode && guard.reader().view().Exists(node) &&
          guard.reader().view().state(node) == index::NodeState::kQuarantined) {
        AddPurging(records[i], &changes);
      }
      records[i].state = QuarantineState::kPurging;
      intent.put.push_back(std::move(records[i]));
      const PlanItem& item = intent.put.back().item;
      if (item.removal) removals.push_back(*item.removal);
    }
    if (intent.put.empty()) return absl::OkStatus();
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::RecordWrite> writes,
                             RunStore::QuarantineWrites(intent));
    RECLAIM_RETURN_IF_ERROR(
        guard.Record(changes.states, {}, writes, run_->run().actor));
    site_->runs->Note(intent);
    RECLAIM_RETURN_IF_ERROR(base::FaultPoint("purge.after_intent"));
    RECLAIM_RETURN_IF_ERROR(
        Announce(*site_, DeletionStep::kPurge, run_->run(), intent.put));
    if (!removals.empty()) {
      RECLAIM_ASSIGN_OR_RETURN(
          outcomes,
          site_->store->Purge(guard.permit(), intent.put[0].run_id, removals));
    }
  }
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("purge.after_free"));
  return CommitOutcomes(intent.put, outcomes);
}

absl::Status Purge::CommitOutcomes(absl::Span<const QuarantineRecord> records,
                                   absl::Span<const RemovalOutcome> outcomes) {
  QuarantineChanges settled;
  std::vector<QuarantineRecord> staying;
  size_t next = 0;
  for (const QuarantineRecord& record : records) {
    RemovalOutcome outcome;
    if (record.item.removal) outcome = outcomes[next++];
    Settle(record, outcome, &settled, &staying);
  }
  run_->run().progress.done_count += records.size();
  RECLAIM_ASSIGN_OR_RETURN(std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(settled));
  RECLAIM_ASSIGN_OR_RETURN(writes.emplace_back(),
                           RunStore::RunWrite(run_->stored()));
  const auto order = site_->graph->HoldWriteOrder();
  GraphChanges returned;
  for (const QuarantineRecord& record : staying) {
    AddStaying(order->reader().view(), site_->id, record, &returned);
  }
  RECLAIM_RETURN_IF_ERROR(order->Commit(returned.states, returned.operations,
                                        writes, run_->run().actor));
  site_->runs->Note(settled);
  return absl::OkStatus();
}

absl::Status Purge::FreeAll(std::vector<QuarantineRecord> records) {
  size_t begin = 0;
  while (begin < records.size() && !IsEnough()) {
    if (run_->IsCancelled()) {
      return absl::CancelledError("the run was cancelled");
    }
    // No more than the request needs, one run a call of the store.
    std::vector<QuarantineRecord> batch;
    store::RemovalBytes bytes = run_->run().bytes;
    const std::string run_id = records[begin].run_id;
    while (begin < records.size() && batch.size() < kBatchSize &&
           records[begin].run_id == run_id) {
      if (request_.free_bytes > 0 &&
          bytes.total().allocated_bytes >= request_.free_bytes) {
        break;
      }
      bytes += records[begin].bytes;
      batch.push_back(std::move(records[begin++]));
    }
    RECLAIM_RETURN_IF_ERROR(FreeBatch(std::move(batch)));
    run_->Report();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<QuarantineRecord>> Purge::Proven(
    std::vector<QuarantineRecord> records, const index::StoreRecord& store) {
  RECLAIM_ASSIGN_OR_RETURN(const absl::Time forgotten_until,
                           ForgottenUntil(site_, store));
  std::vector<QuarantineRecord> proven;
  for (QuarantineRecord& record : records) {
    if (LacksScan(record, store)) {
      run_->Skip(
          SubjectOf(record.item), SkipReason::kProofMissing,
          absl::StrCat("no scan began after ",
                       absl::FormatTime(ProvableFrom(record, store)),
                       ", when the last writer who may have seen it is done; "
                       "purge again"));
    } else if (NeedsProof(record) && IsInCaches(record) &&
               record.quarantined > forgotten_until) {
      run_->Skip(SubjectOf(record.item), SkipReason::kProofMissing,
                 "the registry may remember it in a descriptor cache; "
                 "docs/OPERATING.md, \"Descriptor caches\", says what to do");
    } else {
      proven.push_back(std::move(record));
    }
  }
  return proven;
}

absl::Status Purge::Run() {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records, Select());
  RECLAIM_ASSIGN_OR_RETURN(index::StoreRecord store, Registered());
  const bool lacks_scan = std::any_of(
      records.begin(), records.end(),
      [&](const QuarantineRecord& record) { return LacksScan(record, store); });
  if (lacks_scan) {
    if (request_.may_wait) {
      RECLAIM_RETURN_IF_ERROR(WaitForWriters(records, store));
    }
    RECLAIM_RETURN_IF_ERROR(ScanForProof());
    RECLAIM_ASSIGN_OR_RETURN(store, Registered());
  }
  RECLAIM_RETURN_IF_ERROR(ReturnLinks(site_, run_->run().actor));
  // Some may have come back (I4).
  RECLAIM_ASSIGN_OR_RETURN(records, Select());
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> proven,
                           Proven(std::move(records), store));
  terms_ = Terms(store);
  run_->run().progress.step = "purging";
  run_->run().progress.total_count = proven.size();
  for (const QuarantineRecord& record : proven) {
    run_->run().progress.total_bytes += record.bytes.content;
  }
  // Containers before the names of what they use: an engine refuses the other
  // way round.
  const auto rest = std::stable_partition(
      proven.begin(), proven.end(), [](const QuarantineRecord& record) {
        return record.item.removal &&
               store::DeedStage(record.item.removal->kind) <=
                   store::DeedStage(store::RemovalKind::kTag);
      });
  const std::vector<QuarantineRecord> content(rest, proven.end());
  proven.erase(rest, proven.end());
  RECLAIM_RETURN_IF_ERROR(FreeAll(std::move(proven)));
  if (came_back_count_ == 0) return FreeAll(content);
  // No scan has seen the tags that came back: what they name has no proof.
  for (const QuarantineRecord& record : content) {
    run_->Skip(SubjectOf(record.item), SkipReason::kProofMissing,
               "a tag came back that no scan has seen; purge again");
  }
  return ScanForProof();
}

absl::Status Purge::FinishInterrupted() {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records,
                           site_->runs->ListQuarantine(site_->name));
  records.erase(std::remove_if(records.begin(), records.end(),
                               [](const QuarantineRecord& record) {
                                 return record.state !=
                                        QuarantineState::kPurging;
                               }),
                records.end());
  if (records.empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store, Registered());
  terms_ = Terms(store);
  return FreeAll(std::move(records));
}

}  // namespace reclaim::gc
