#include "gc/purge.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/adopted_return.h"
#include "gc/deletion_guard.h"
#include "gc/graph_changes.h"
#include "gc/link_return.h"
#include "gc/restore.h"

namespace reclaim::gc {
namespace {

using store::RemovalOutcome;

constexpr size_t kBatchSize = 64;

void AddTo(const QuarantineRecord& record, QuarantineKeys* keys) {
  const bool is_name =
      record.item.removal && store::DeedStage(record.item.removal->kind) <=
                                 store::DeedStage(store::RemovalKind::kTag);
  keys->Add({record.run_id, record.number}, record.quarantined, is_name);
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

bool Purge::IsMeant(const QuarantineRecord& record, absl::Time now) const {
  if (!request_.run_id.empty() && record.run_id != request_.run_id) {
    return false;
  }
  if (record.state == QuarantineState::kIntended) return false;
  return request_.before_period_ends || record.restorable_until <= now ||
         record.state == QuarantineState::kPurging;
}

absl::StatusOr<QuarantineKeys> Purge::Select() const {
  const absl::Time now = site_->clock->Now();
  QuarantineKeys keys;
  RECLAIM_RETURN_IF_ERROR(site_->runs->ForEachQuarantined(
      site_->name, [&](const QuarantineRecord& record) {
        if (IsMeant(record, now)) AddTo(record, &keys);
        return true;
      }));
  keys.SortOldestFirst();
  return keys;
}

absl::StatusOr<std::optional<QuarantineRecord>> Purge::Load(
    const QuarantineKey& key) const {
  absl::StatusOr<QuarantineRecord> record = site_->runs->GetQuarantine(key);
  if (absl::IsNotFound(record.status())) {
    return std::optional<QuarantineRecord>();
  }
  RECLAIM_RETURN_IF_ERROR(record.status());
  return std::optional<QuarantineRecord>(*std::move(record));
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
  std::set<store::Place> kept;
  for (size_t i = 0; i < records.size() && !adopted_.empty(); ++i) {
    const QuarantineRecord& record = records[i];
    if (record.number < kFirstAdopted || !record.item.removal) continue;
    kept.insert(record.item.removal->place);
  }
  if (!kept.empty()) {
    kept = adopted_.NamedPlaces(guard->reader(), site_->id, std::move(kept));
  }
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

// From here on nothing is restored: what is on record lies in quarantine.
absl::StatusOr<std::vector<QuarantineRecord>> Purge::LoadBatch(
    absl::Span<const QuarantineKey> keys) {
  std::vector<QuarantineRecord> records;
  for (const QuarantineKey& key : keys) {
    RECLAIM_ASSIGN_OR_RETURN(std::optional<QuarantineRecord> record, Load(key));
    if (!record || record->state == QuarantineState::kIntended) continue;
    // It is what was judged; should it not be, it stays (I2).
    std::string lack = LackOfProof(*record);
    if (IsSecondCopy(*record) && verified_.count(key) == 0) {
      lack = "the store was given it anew just now; purge again";
    }
    if (!lack.empty()) {
      run_->Skip(SubjectOf(record->item), SkipReason::kProofMissing, lack);
      continue;
    }
    records.push_back(*std::move(record));
  }
  return records;
}

// All of one run.
absl::Status Purge::FreeBatch(absl::Span<const QuarantineKey> keys) {
  base::MutexLock deed(&site_->deed);
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records,
                           LoadBatch(keys));
  Batch batch;
  absl::StatusOr<std::vector<RemovalOutcome>> outcomes =
      std::vector<RemovalOutcome>();
  {
    DeletionGuard guard(site_->graph);
    const absl::Duration begin = site_->clock->Monotonic();
    RECLAIM_RETURN_IF_ERROR(Intend(std::move(records), &guard, &batch));
    site_->observer->OnBatchHeld(site_->name,
                                 site_->clock->Monotonic() - begin);
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

absl::Status Purge::FreeAll(const QuarantineKeys& keys, size_t begin,
                            size_t end) {
  while (begin < end && !IsEnough()) {
    if (run_->IsCancelled()) {
      return absl::CancelledError("the run was cancelled");
    }
    // No more than the request needs, one run a call of the store.
    std::vector<QuarantineKey> batch;
    store::RemovalBytes bytes = run_->run().bytes;
    const size_t first = begin;
    while (begin < end && batch.size() < kBatchSize &&
           keys.IsSameRun(first, begin)) {
      if (request_.free_bytes > 0) {
        if (bytes.total().allocated_bytes >= request_.free_bytes) break;
        RECLAIM_ASSIGN_OR_RETURN(const std::optional<QuarantineRecord> record,
                                 Load(keys.key(begin)));
        if (record) bytes += record->bytes;
      }
      batch.push_back(keys.key(begin++));
    }
    RECLAIM_RETURN_IF_ERROR(CheckSecondCopies(&batch));
    RECLAIM_RETURN_IF_ERROR(FreeBatch(batch));
    run_->Report();
  }
  return absl::OkStatus();
}

absl::Status Purge::SkipUnproven(const QuarantineKeys& keys, size_t begin) {
  for (size_t i = begin; i < keys.size(); ++i) {
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<QuarantineRecord> record,
                             Load(keys.key(i)));
    if (!record) continue;
    run_->Skip(SubjectOf(record->item), SkipReason::kProofMissing,
               "a tag came back that no scan has seen; purge again");
  }
  return absl::OkStatus();
}

// What lies in the way of a link that is needed holds up no other.
absl::StatusOr<bool> Purge::ReturnNeededLinks() {
  held_links_ = HeldLinks();
  const absl::Status links =
      ReturnLinks(site_, run_->run().actor, &held_links_);
  if (!links.ok() && !absl::IsAlreadyExists(links)) return links;
  const absl::Time now = site_->clock->Now();
  for (const QuarantineKey& key : held_links_.in_doubt) {
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<QuarantineRecord> record,
                             Load(key));
    if (record && IsMeant(*record, now)) return true;
  }
  return false;
}

absl::Status Purge::Run() {
  {
    base::MutexLock deed(&site_->deed);
    RECLAIM_RETURN_IF_ERROR(ReturnUntouched());
  }
  RECLAIM_ASSIGN_OR_RETURN(store_, Registered());
  RECLAIM_RETURN_IF_ERROR(SeekProof());
  RECLAIM_ASSIGN_OR_RETURN(const bool is_in_doubt, ReturnNeededLinks());
  RECLAIM_ASSIGN_OR_RETURN(const bool has_returned,
                           ReturnNamed(site_, run_->run().actor));
  // What a scan of this purge left in doubt, another would as well.
  if (has_returned || (is_in_doubt && !has_scanned_)) {
    RECLAIM_RETURN_IF_ERROR(ScanForProof());
    RECLAIM_ASSIGN_OR_RETURN(store_, Registered());
    // The scan has read what came back: only now is known what it is made of.
    // What is in doubt even now stays.
    RECLAIM_RETURN_IF_ERROR(ReturnNeededLinks().status());
  }
  RECLAIM_ASSIGN_OR_RETURN(adopted_, ListAdopted(*site_));
  // Only now, for some may have come back (I4).
  RECLAIM_ASSIGN_OR_RETURN(QuarantineKeys keys, Select());
  RECLAIM_RETURN_IF_ERROR(KeepProven(&keys));
  terms_ = Terms(store_);
  run_->run().progress.step = "purging";
  // Containers before the names of what they use: an engine refuses the other
  // way round.
  const size_t name_count = keys.PutNamesFirst();
  RECLAIM_RETURN_IF_ERROR(FreeAll(keys, 0, name_count));
  if (came_back_count_ == 0) return FreeAll(keys, name_count, keys.size());
  // No scan has seen the tags that came back: what they name has no proof.
  RECLAIM_RETURN_IF_ERROR(SkipUnproven(keys, name_count));
  return ScanForProof();
}

}  // namespace reclaim::gc
