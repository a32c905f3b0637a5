#include "gc/purge.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/adopted_return.h"
#include "gc/cache_proof.h"
#include "gc/deletion_guard.h"
#include "gc/graph_changes.h"
#include "gc/link_return.h"
#include "gc/pacer.h"
#include "gc/restore.h"
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
  return ScanAndReturn(site_, options).status();
}

bool Purge::IsEnough() const {
  return request_.free_bytes > 0 &&
         run_->run().bytes.total().allocated_bytes >= request_.free_bytes;
}

bool Purge::IsLast(const QuarantineRecord& record,
                   const index::GraphView& view) const {
  const index::NodeId node = record.item.node;
  if (node == index::kNoNode || !view.Exists(node) ||
      view.state(node) != index::NodeState::kQuarantined) {
    return false;
  }
  if (record.state != QuarantineState::kPurging) {
    return record.state == QuarantineState::kQuarantined;
  }
  // A purge that was interrupted may have been one of a second copy.
  const absl::StatusOr<std::vector<QuarantineRecord>> all =
      site_->runs->FindQuarantined(site_->name, record.item.removal->place,
                                   *record.item.digest);
  return all.ok() &&
         std::none_of(
             all->begin(), all->end(), [](const QuarantineRecord& other) {
               return IsBlob(other) && other.state != QuarantineState::kPurging;
             });
}

absl::Status Purge::Intend(std::vector<QuarantineRecord> records,
                           DeletionGuard* guard, Batch* batch) {
  std::vector<Verdict> verdicts = guard->JudgePurge(records, terms_);
  // One that was named since, by a writer of ours: what it is made of is known
  // only when it has come back and a scan has read it.
  const std::set<store::Place> kept =
      NamedPlaces(guard->reader(), site_->id, adopted_);
  for (size_t i = 0; i < records.size() && !kept.empty(); ++i) {
    if (records[i].number >= kFirstAdopted && records[i].item.removal &&
        kept.count(records[i].item.removal->place) > 0) {
      verdicts[i] = {SkipReason::kBecameLive,
                     "something names content of its place that was found in "
                     "quarantine after the database was lost; scan, then purge "
                     "again"};
    }
  }
  QuarantineChanges intent;
  for (size_t i = 0; i < records.size(); ++i) {
    QuarantineRecord& record = records[i];
    if (!verdicts[i].may_go()) {
      run_->Skip(SubjectOf(record.item), verdicts[i].reason,
                 verdicts[i].detail);
      continue;
    }
    if (IsBlob(record) && IsLast(record, guard->reader().view())) {
      batch->leaving.insert(record.item.node);
    }
    batch->before.push_back(record.state);
    record.state = QuarantineState::kPurging;
    intent.put.push_back(std::move(record));
  }
  if (intent.put.empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(intent));
  RECLAIM_RETURN_IF_ERROR(guard->Record({}, {}, writes, run_->run().actor));
  site_->runs->Note(intent);
  batch->records = std::move(intent.put);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<RemovalOutcome>> Purge::Free(
    const DeletionGuard& guard, const Batch& batch) {
  RECLAIM_RETURN_IF_ERROR(
      Announce(*site_, DeletionStep::kPurge, run_->run(), batch.records));
  std::vector<store::Removal> removals;
  for (const QuarantineRecord& record : batch.records) {
    if (record.item.removal) removals.push_back(*record.item.removal);
  }
  if (removals.empty()) return std::vector<RemovalOutcome>();
  return site_->store->Purge(guard.permit(), batch.records[0].run_id, removals);
}

// All of one run.
absl::Status Purge::FreeBatch(std::vector<QuarantineRecord> records) {
  base::MutexLock deed(&site_->deed);
  Batch batch;
  absl::StatusOr<std::vector<RemovalOutcome>> outcomes =
      std::vector<RemovalOutcome>();
  {
    DeletionGuard guard(site_->graph);
    RECLAIM_RETURN_IF_ERROR(Intend(std::move(records), &guard, &batch));
    if (batch.records.empty()) return absl::OkStatus();
    RECLAIM_RETURN_IF_ERROR(base::FaultPoint("purge.after_intent"));
    outcomes = Free(guard, batch);
  }
  if (!outcomes.ok()) {
    // If even that can't be recorded, the next purge or start does it.
    const absl::Status returned = ReturnUntouched();
    if (!returned.ok()) run_->AddProblem(std::string(returned.message()));
    return outcomes.status();
  }
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("purge.after_free"));
  return CommitOutcomes(batch, *outcomes);
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
  {
    base::MutexLock deed(&site_->deed);
    RECLAIM_RETURN_IF_ERROR(ReturnUntouched());
  }
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
  RECLAIM_ASSIGN_OR_RETURN(const bool has_returned,
                           ReturnNamed(site_, run_->run().actor));
  if (has_returned) {
    RECLAIM_RETURN_IF_ERROR(ScanForProof());
    RECLAIM_ASSIGN_OR_RETURN(store, Registered());
  }
  RECLAIM_ASSIGN_OR_RETURN(adopted_, ListAdopted(*site_));
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

}  // namespace reclaim::gc
