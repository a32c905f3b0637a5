#include "gc/restore.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/graph_changes.h"
#include "gc/own_copy.h"
#include "oci/name.h"

namespace reclaim::gc {
namespace {

using index::kNoNode;
using index::NodeId;
using store::RemovalKind;
using store::RemovalOutcome;

constexpr size_t kBatchSize = 64;

// The deed goes up in stages, the way back down.
int StageOf(const QuarantineRecord& record) {
  return record.item.removal ? store::DeedStage(record.item.removal->kind) : 0;
}

bool IsRestorable(const QuarantineRecord& record) {
  return record.state == QuarantineState::kIntended ||
         record.state == QuarantineState::kQuarantined;
}

// One batch on its way back; all of one run.
class RestoreBatch {
 public:
  RestoreBatch(CollectedStore* site, absl::string_view actor, OngoingRun* run)
      : site_(site), actor_(actor), run_(run) {}

  absl::Status Run(absl::Span<const QuarantineRecord> records);

 private:
  absl::Status Settle(const QuarantineRecord& record,
                      const RemovalOutcome& outcome);
  absl::Status SettleMissing(const QuarantineRecord& record);
  void Returned(const QuarantineRecord& record);
  absl::Status Fail(const QuarantineRecord& record, const absl::Status& status);
  absl::Status Commit();

  CollectedStore* site_;
  absl::string_view actor_;
  OngoingRun* run_;
  GraphChanges changes_;
  QuarantineChanges settled_;
};

void RestoreBatch::Returned(const QuarantineRecord& record) {
  AddReturning(record, &changes_);
  settled_.removed.push_back({record.run_id, record.number});
  if (run_ != nullptr) run_->Count(record.item, record.bytes);
  site_->observer->OnItemRestored(site_->name);
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
    settled_.put.push_back(record);
    settled_.put.back().state = QuarantineState::kQuarantined;
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
    return absl::OkStatus();
  }
  const absl::Status copy = CheckOwnCopy(record, *site_->store, outcome);
  if (!copy.ok()) return Fail(record, copy);
  // Content is what its digest says: the store's own copy stands, ours goes
  // with the next purge.
  AddReturning(record, &changes_);
  QuarantineRecord superseded = record;
  superseded.state = QuarantineState::kSuperseded;
  settled_.put.push_back(std::move(superseded));
  return absl::OkStatus();
}

absl::Status RestoreBatch::Commit() {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(settled_));
  if (run_ != nullptr) {
    RECLAIM_ASSIGN_OR_RETURN(writes.emplace_back(),
                             RunStore::RunWrite(run_->stored()));
  }
  if (writes.empty()) return absl::OkStatus();
  const auto order = site_->graph->HoldWriteOrder();
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
    if (!IsRestorable(record)) continue;
    if (IsNameTaken(site_->graph->Read()->view(), site_->id, record)) {
      if (run_ != nullptr) {
        run_->Skip(SubjectOf(record.item), SkipReason::kChanged,
                   "the name was taken meanwhile");
      }
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
    failed.Update(Settle(record, outcome));
  }
  if (run_ != nullptr) run_->run().progress.done_count += records.size();
  RECLAIM_RETURN_IF_ERROR(Commit());
  return failed;
}

using Closure = std::set<std::pair<store::Place, oci::Digest>>;

void Walk(const index::GraphView& view, NodeId top, bool with_referrers,
          Closure* closure) {
  absl::flat_hash_set<NodeId> seen = {top};
  std::vector<NodeId> stack = {top};
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    closure->insert({view.PlaceName(view.fields(id).place), view.digest(id)});
    const auto push = [&](NodeId next) {
      if (seen.insert(next).second) stack.push_back(next);
    };
    for (const NodeId child : view.Kept(id)) push(child);
    if (!with_referrers) continue;
    for (const NodeId referrer : view.Referrers(id)) push(referrer);
  }
}

// The node that a record is about; kNoNode for names, and for what was found in
// the quarantine folder without a record.
NodeId NodeOf(const CollectedStore& site, const index::GraphView& view,
              const QuarantineRecord& record) {
  if (!record.item.removal || !record.item.digest) return kNoNode;
  const index::PlaceId place =
      view.FindPlace(site.id, record.item.removal->place);
  return place == index::kNoPlace
             ? kNoNode
             : view.FindContent(place, *record.item.digest);
}

// Bytes and links of what is in `closure`; tags stand for themselves.
bool IsOf(const Closure& closure, const QuarantineRecord& record) {
  return record.item.removal && record.item.digest &&
         record.item.removal->kind != RemovalKind::kTag &&
         closure.count({record.item.removal->place, *record.item.digest}) > 0;
}

std::vector<QuarantineRecord> SelectDigest(
    const CollectedStore& site, const oci::Digest& digest,
    const std::vector<QuarantineRecord>& all) {
  Closure closure;
  {
    const auto reader = site.graph->Read();
    for (const QuarantineRecord& record : all) {
      if (!record.item.removal || record.item.digest != digest) continue;
      closure.insert({record.item.removal->place, digest});
      const NodeId node = NodeOf(site, reader->view(), record);
      if (node != kNoNode) AddClosure(reader->view(), node, &closure);
    }
  }
  std::vector<QuarantineRecord> selected;
  for (const QuarantineRecord& record : all) {
    if (IsOf(closure, record)) selected.push_back(record);
  }
  return selected;
}

// What the run took, and what that is made of: a later run may have taken a
// layer that came back meanwhile, and half an image is of no use to anybody.
std::vector<QuarantineRecord> SelectRun(
    const CollectedStore& site, const std::string& run_id,
    const std::vector<QuarantineRecord>& all) {
  Closure closure;
  {
    const auto reader = site.graph->Read();
    for (const QuarantineRecord& record : all) {
      if (record.run_id != run_id || !IsRestorable(record)) continue;
      const NodeId node = NodeOf(site, reader->view(), record);
      if (node != kNoNode) AddReferenced(reader->view(), node, &closure);
    }
  }
  std::vector<QuarantineRecord> selected;
  for (const QuarantineRecord& record : all) {
    // What no node stands for comes with its own run alone: nobody knows yet
    // what it is made of.
    if (record.run_id == run_id ||
        (record.number < kFirstAdopted && IsOf(closure, record))) {
      selected.push_back(record);
    }
  }
  return selected;
}

absl::StatusOr<std::vector<QuarantineRecord>> SelectTag(
    const CollectedStore& site, const std::string& text,
    const std::vector<QuarantineRecord>& all) {
  RECLAIM_ASSIGN_OR_RETURN(const oci::Reference reference,
                           oci::ParseReference(text));
  const std::string tag = reference.tag.empty() ? "latest" : reference.tag;
  const QuarantineRecord* newest = nullptr;
  for (const QuarantineRecord& record : all) {
    if (!record.item.removal ||
        record.item.removal->kind != RemovalKind::kTag ||
        record.item.scope != reference.repository || record.item.name != tag) {
      continue;
    }
    if (newest == nullptr || newest->quarantined < record.quarantined) {
      newest = &record;
    }
  }
  if (newest == nullptr) return std::vector<QuarantineRecord>();
  std::vector<QuarantineRecord> selected =
      SelectDigest(site, *newest->item.digest, all);
  selected.push_back(*newest);
  return selected;
}

}  // namespace

void AddClosure(const index::GraphView& view, NodeId top,
                std::set<std::pair<store::Place, oci::Digest>>* closure) {
  Walk(view, top, /*with_referrers=*/true, closure);
}

void AddReferenced(const index::GraphView& view, NodeId top,
                   std::set<std::pair<store::Place, oci::Digest>>* closure) {
  Walk(view, top, /*with_referrers=*/false, closure);
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
      const absl::Status status = RestoreBatch(site, actor, run).Run(batch);
      // What lies in the way of one is no other's business.
      if (run != nullptr || (order == RestoreOrder::kBytesLast &&
                             !absl::IsAlreadyExists(status))) {
        RECLAIM_RETURN_IF_ERROR(status);
      }
      failed.Update(status);
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

absl::StatusOr<std::vector<QuarantineRecord>> SelectForRestore(
    const CollectedStore& site, const RestoreRequest& request) {
  const int named = (request.run_id.empty() ? 0 : 1) +
                    (request.reference.empty() ? 0 : 1) +
                    (request.digest ? 1 : 0);
  if (named != 1) {
    return absl::InvalidArgumentError(
        "name one thing to restore: a run, a tag or a digest");
  }
  RECLAIM_ASSIGN_OR_RETURN(
      std::vector<QuarantineRecord> all,
      site.runs->ListQuarantine(site.name,
                                [](const QuarantineRecord&) { return true; }));
  std::vector<QuarantineRecord> selected;
  std::string what = request.run_id;
  if (request.digest) {
    what = request.digest->ToString();
    selected = SelectDigest(site, *request.digest, all);
  } else if (!request.reference.empty()) {
    what = request.reference;
    RECLAIM_ASSIGN_OR_RETURN(selected, SelectTag(site, request.reference, all));
  } else {
    selected = SelectRun(site, request.run_id, all);
  }
  selected.erase(std::remove_if(selected.begin(), selected.end(),
                                [](const QuarantineRecord& r) {
                                  return !IsRestorable(r);
                                }),
                 selected.end());
  if (!selected.empty()) return selected;
  return absl::NotFoundError(absl::StrCat(
      "nothing of ", what, " is in the quarantine of the store ", site.name));
}

}  // namespace reclaim::gc
