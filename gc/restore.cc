#include "gc/restore.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/graph_changes.h"
#include "gc/own_copy.h"

namespace reclaim::gc {
namespace {

using store::RemovalKind;
using store::RemovalOutcome;

constexpr size_t kBatchSize = 64;

// The deed goes up in stages, the way back down.
int StageOf(const QuarantineRecord& record) {
  return record.item.removal ? store::DeedStage(record.item.removal->kind) : 0;
}

// What lies in the way of one hides nothing else that went wrong.
void Note(const absl::Status& status, absl::Status* failed) {
  if (absl::IsAlreadyExists(*failed) && !status.ok() &&
      !absl::IsAlreadyExists(status)) {
    *failed = status;
  }
  failed->Update(status);
}

// Content of which a link could not come back.
using Blocked = std::set<std::pair<store::Place, oci::Digest>>;

// One batch on its way back; all of one run.
class RestoreBatch {
 public:
  RestoreBatch(CollectedStore* site, absl::string_view actor, OngoingRun* run,
               Blocked* blocked)
      : site_(site), actor_(actor), run_(run), blocked_(*blocked) {}

  absl::Status Run(absl::Span<const QuarantineRecord> records);

 private:
  absl::Status Settle(const QuarantineRecord& record,
                      const RemovalOutcome& outcome);
  absl::Status SettleMissing(const QuarantineRecord& record);
  void Returned(const QuarantineRecord& record);
  void KeepIntent(const QuarantineRecord& record);
  bool IsBlocked(const QuarantineRecord& record) const {
    return IsBlob(record) && blocked_.count({record.item.removal->place,
                                             *record.item.digest}) > 0;
  }
  absl::Status Fail(const QuarantineRecord& record, const absl::Status& status);
  absl::Status Commit();

  CollectedStore* site_;
  absl::string_view actor_;
  OngoingRun* run_;
  Blocked& blocked_;
  GraphChanges changes_;
  QuarantineChanges settled_;
};

void RestoreBatch::Returned(const QuarantineRecord& record) {
  AddReturning(record, &changes_);
  settled_.removed.push_back({record.run_id, record.number});
  if (run_ != nullptr) run_->Count(record.item, record.bytes);
  site_->observer->OnItemRestored(site_->name, record.item);
}

// An intent that nothing will undo any more.  What it moved, if anything, lies
// in quarantine: there it is from now on, to be proven and freed as the rest.
void RestoreBatch::KeepIntent(const QuarantineRecord& record) {
  // Where nothing was set aside there is nothing to free (gc/leftovers.h).
  if (run_ != nullptr || record.state != QuarantineState::kIntended ||
      site_->store->traits().deletes_for_good) {
    return;
  }
  settled_.put.push_back(record);
}

absl::Status RestoreBatch::Fail(const QuarantineRecord& record,
                                const absl::Status& status) {
  if (run_ == nullptr) return status;
  run_->Fail(SubjectOf(record.item), status);
  return absl::OkStatus();
}

// Neither in this quarantine: it is back already (a crash came between the
// bytes and the record), or somebody took it.
absl::Status RestoreBatch::SettleMissing(const QuarantineRecord& record) {
  absl::Status status;
  if (IsBlob(record)) {
    const store::Removal& blob = *record.item.removal;
    status = site_->store->Stat(blob.place, *record.item.digest).status();
  }
  // Of names and links the next scan says whether they stand.
  if (status.ok()) {
    Returned(record);
    return absl::OkStatus();
  }
  if (!absl::IsNotFound(status)) return Fail(record, status);
  AddLoss(record, &changes_);
  settled_.removed.push_back({record.run_id, record.number});
  // A writer may go on: what he references is not here, and is known not to be.
  if (run_ == nullptr) return absl::OkStatus();
  return Fail(record, absl::NotFoundError(
                          "somebody took it out of the quarantine folder"));
}

absl::Status RestoreBatch::Settle(const QuarantineRecord& record,
                                  const RemovalOutcome& outcome) {
  if (outcome.status.ok()) {
    Returned(record);
    return absl::OkStatus();
  }
  if (absl::IsNotFound(outcome.status)) return SettleMissing(record);
  if (absl::IsDataLoss(outcome.status) && run_ == nullptr && !IsBlob(record)) {
    // Nobody knows how to give it back.  A start or a writer goes on without;
    // on record, it is told to whoever asks for it.
    KeepIntent(record);
    return absl::OkStatus();
  }
  if (!absl::IsAlreadyExists(outcome.status)) {
    return Fail(record, outcome.status);
  }
  const RemovalKind kind = record.item.removal->kind;
  if (kind == RemovalKind::kTag || kind == RemovalKind::kUpload ||
      store::IsEngineRecord(kind)) {
    if (run_ != nullptr) {
      run_->Skip(SubjectOf(record.item), SkipReason::kChanged,
                 std::string(outcome.status.message()));
    }
    KeepIntent(record);
    return absl::OkStatus();
  }
  const absl::Status copy = CheckOwnCopy(record, *site_->store, outcome);
  if (!copy.ok()) {
    const store::Removal& removal = *record.item.removal;
    if (!IsBlob(record)) blocked_.insert({removal.place, *removal.digest});
    KeepIntent(record);
    return Fail(record, copy);
  }
  // Content is what its digest says: the store's own copy stands, ours goes
  // with the next purge.
  AddReturning(record, &changes_);
  QuarantineRecord superseded = record;
  superseded.state = QuarantineState::kSuperseded;
  settled_.put.push_back(std::move(superseded));
  return absl::OkStatus();
}

absl::Status RestoreBatch::Commit() {
  if (settled_.put.empty() && settled_.removed.empty() && run_ == nullptr) {
    return absl::OkStatus();
  }
  const auto order = site_->graph->HoldWriteOrder();
  for (QuarantineRecord& record : settled_.put) {
    if (record.state != QuarantineState::kIntended) continue;
    record.state = QuarantineState::kQuarantined;
    record.epoch = order->reader().epoch();
    record.quarantined = site_->clock->Now();
  }
  RECLAIM_ASSIGN_OR_RETURN(std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(settled_));
  if (run_ != nullptr) {
    RECLAIM_ASSIGN_OR_RETURN(writes.emplace_back(),
                             RunStore::RunWrite(run_->stored()));
  }
  RECLAIM_RETURN_IF_ERROR(
      order->Commit(changes_.states, changes_.operations, writes, actor_));
  site_->runs->Note(settled_);
  return absl::OkStatus();
}

absl::Status RestoreBatch::Run(absl::Span<const QuarantineRecord> records) {
  std::vector<QuarantineRecord> ours;
  std::vector<store::Removal> removals;
  for (const QuarantineRecord& listed : records) {
    // Between the listing and the deed a sweep or a purge may have settled it.
    absl::StatusOr<QuarantineRecord> now =
        site_->runs->GetQuarantine({listed.run_id, listed.number});
    if (absl::IsNotFound(now.status())) continue;
    RECLAIM_RETURN_IF_ERROR(now.status());
    QuarantineRecord& record = *now;
    if (!IsRestorable(record) || IsBlocked(record)) continue;
    if (IsNameTaken(site_->graph->Read()->view(), site_->id, record)) {
      if (run_ != nullptr) {
        run_->Skip(SubjectOf(record.item), SkipReason::kChanged,
                   "the name was taken meanwhile");
      }
      KeepIntent(record);
      continue;
    }
    if (record.item.removal) removals.push_back(*record.item.removal);
    ours.push_back(std::move(record));
  }
  std::vector<RemovalOutcome> outcomes;
  if (!removals.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(
        outcomes, site_->store->Restore(records[0].run_id, removals));
  }
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("restore.after_move"));
  size_t next = 0;
  absl::Status failed;
  for (const QuarantineRecord& record : ours) {
    RemovalOutcome outcome;
    if (record.item.removal) outcome = outcomes[next++];
    Note(Settle(record, outcome), &failed);
  }
  if (run_ != nullptr) run_->run().progress.done_count += records.size();
  RECLAIM_RETURN_IF_ERROR(Commit());
  return failed;
}

}  // namespace

bool IsRestorable(const QuarantineRecord& record) {
  return record.state == QuarantineState::kIntended ||
         record.state == QuarantineState::kQuarantined;
}

absl::Status RestoreRecords(CollectedStore* site,
                            std::vector<QuarantineRecord> records,
                            absl::string_view actor, OngoingRun* run,
                            RestoreOrder order) {
  records.erase(std::remove_if(
                    records.begin(), records.end(),
                    [](const QuarantineRecord& r) { return !IsRestorable(r); }),
                records.end());
  // By stage; then by run, for the store restores one run a call.  Within a
  // batch the store turns the order around itself.
  const int sign = order == RestoreOrder::kBytesFirst ? -1 : 1;
  const auto key = [sign](const QuarantineRecord& record) {
    return std::make_tuple(sign * StageOf(record), record.run_id,
                           -static_cast<int64_t>(record.number));
  };
  std::sort(records.begin(), records.end(),
            [&](const auto& a, const auto& b) { return key(a) < key(b); });
  absl::Status failed;
  Blocked blocked;
  for (size_t begin = 0; begin < records.size();) {
    if (run != nullptr && run->IsCancelled()) {
      return absl::CancelledError("the run was cancelled");
    }
    size_t end = begin;
    while (end < records.size() && end - begin < kBatchSize &&
           records[end].run_id == records[begin].run_id &&
           StageOf(records[end]) == StageOf(records[begin])) {
      ++end;
    }
    std::vector<QuarantineRecord> batch(records.begin() + begin,
                                        records.begin() + end);
    if (batch[0].item.removal) std::reverse(batch.begin(), batch.end());
    {
      base::MutexLock deed(&site->deed);
      const absl::Status status =
          RestoreBatch(site, actor, run, &blocked).Run(batch);
      // What lies in the way of one is no other's business.
      if (run != nullptr || (order == RestoreOrder::kBytesLast &&
                             !absl::IsAlreadyExists(status))) {
        RECLAIM_RETURN_IF_ERROR(status);
      }
      Note(status, &failed);
    }
    if (run != nullptr) run->Report();
    begin = end;
  }
  return failed;
}

absl::Status UndoIntents(CollectedStore* site, absl::string_view run_id,
                         absl::string_view actor) {
  RECLAIM_ASSIGN_OR_RETURN(
      std::vector<QuarantineRecord> records,
      site->runs->ListQuarantine(
          site->name, [&](const QuarantineRecord& record) {
            return record.state == QuarantineState::kIntended &&
                   (run_id.empty() || record.run_id == run_id);
          }));
  return RestoreRecords(site, std::move(records), actor, nullptr);
}

}  // namespace reclaim::gc
