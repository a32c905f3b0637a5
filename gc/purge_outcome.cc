// What became of a batch that was to be freed.

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/graph_changes.h"
#include "gc/purge.h"
#include "gc/restore.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "oci/digest.h"

namespace reclaim::gc {
namespace {

using store::RemovalOutcome;
using Listing =
    std::map<std::pair<store::RunId, store::Removal>, store::RemovalBytes>;

// After each batch with a failure the whole quarantine is listed.
constexpr uint64_t kFailedBatchMax = 16;

absl::StatusOr<Listing> ListStore(const CollectedStore& site) {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<store::QuarantinedItem> items,
                           site.store->ListQuarantine());
  Listing listing;
  for (store::QuarantinedItem& item : items) {
    listing.emplace(std::make_pair(item.run_id, std::move(item.removal)),
                    item.bytes);
  }
  return listing;
}

bool IsOfNoBytes(const oci::Digest& digest) {
  return oci::Hasher(digest.algorithm()).Finish() == digest;
}

// Names and links that are half there do no harm: the next scan says what
// stands.  Content is a file; in a registry one in a folder of its own, which
// outlives it when a purge breaks off.  What the record says of bytes tells
// nothing: another name of the file may have been charged with them.
bool IsWhole(const CollectedStore& site, const Listing& listing,
             const QuarantineRecord& record) {
  if (!record.item.removal) return false;
  const auto it = listing.find({record.run_id, *record.item.removal});
  if (it == listing.end()) return false;
  return !IsBlob(record) ||
         site.store->traits().kind != store::StoreKind::kRegistry ||
         it->second.content.logical_bytes > 0 ||
         it->second.held.logical_bytes > 0 ||
         IsOfNoBytes(*record.item.removal->digest);
}

// What is left counts with the quarantine until the next purge has freed it.
void CountRest(const Listing& listing, QuarantineRecord* record) {
  if (!IsBlob(*record)) return;
  const auto it = listing.find({record->run_id, *record->item.removal});
  const store::RemovalBytes rest =
      it == listing.end() ? store::RemovalBytes() : it->second;
  record->item.bytes = rest.content;
  record->item.held = rest.held;
}

// What the disk gave.  A record says what it was when the plan was made; other
// names of a file may have come or gone since.  Folders that were emptied went
// with the move.
store::RemovalBytes FreedBy(const CollectedStore& site,
                            const QuarantineRecord& record,
                            QuarantineState before,
                            const RemovalOutcome& outcome) {
  const store::StoreTraits traits = site.store->traits();
  store::RemovalBytes bytes = record.bytes;
  if (absl::IsNotFound(outcome.status) && traits.measures_purges &&
      before != QuarantineState::kPurging) {
    // No purge of ours took it: somebody did.
    return store::RemovalBytes();
  }
  if (!outcome.status.ok() || !record.item.removal || !traits.measures_purges) {
    return bytes;
  }
  const auto rest = [](uint64_t all, uint64_t freed, uint64_t held) {
    return std::min(held, all - std::min(all, freed));
  };
  const store::Bytes all = bytes.content + bytes.held;
  const store::Bytes& held = outcome.bytes.held;
  bytes.content = outcome.bytes.content;
  bytes.held = {
      rest(all.logical_bytes, bytes.content.logical_bytes, held.logical_bytes),
      rest(all.allocated_bytes, bytes.content.allocated_bytes,
           held.allocated_bytes)};
  return bytes;
}

// Whether its node stands for other bytes than these, which lie in quarantine
// as well: then this is a second copy, and whoever names the content is given
// the other one.
absl::StatusOr<bool> IsBesideFirst(const CollectedStore& site,
                                   const QuarantineRecord& record) {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::vector<QuarantineRecord> all,
      site.runs->FindQuarantined(site.name, record.item.removal->place,
                                 *record.item.digest));
  return std::any_of(all.begin(), all.end(),
                     [&](const QuarantineRecord& other) {
                       return IsBlob(other) && IsRestorable(other) &&
                              other.item.node == record.item.node;
                     });
}

}  // namespace

void Purge::Settle(const Batch& batch, size_t number,
                   const RemovalOutcome& outcome, Outcomes* out) {
  const QuarantineRecord& record = batch.records[number];
  const QuarantineKey key{record.run_id, record.number};
  if (absl::IsAborted(outcome.status)) {
    out->settled.removed.push_back(key);
    SkipReason reason = SkipReason::kChanged;
    if (site_->store->traits().knows_containers) {
      // The engine has it in use, or it is not what was quarantined: it stays.
      out->staying.push_back(record);
      reason = SkipReason::kInUse;
    } else {
      // A writer's word came to light: it is back, and the next scan reads it.
      out->gone.push_back(record);
      ++came_back_count_;
    }
    run_->Skip(SubjectOf(record.item), reason,
               std::string(outcome.status.message()));
    return;
  }
  if (!outcome.status.ok() && !absl::IsNotFound(outcome.status)) {
    run_->Fail(SubjectOf(record.item), outcome.status);
    if (!site_->store->traits().deletes_for_good) {
      out->failed.push_back(number);
      return;
    }
    // No later purge may take it: it was set aside nowhere (gc/leftovers.h).
    out->settled.removed.push_back(key);
    out->staying.push_back(record);
    return;
  }
  out->settled.removed.push_back(key);
  out->gone.push_back(record);
  const store::RemovalBytes freed =
      FreedBy(*site_, record, batch.before[number], outcome);
  run_->Count(record.item, freed);
  site_->observer->OnBytesPurged(site_->name, freed.total());
}

void Purge::SettleFailed(const Batch& batch, Outcomes* out) {
  if (out->failed.empty()) return;
  ++failed_batch_count_;
  const absl::StatusOr<Listing> listing = ListStore(*site_);
  if (!listing.ok()) run_->AddProblem(std::string(listing.status().message()));
  for (const size_t number : out->failed) {
    QuarantineRecord record = batch.records[number];
    if (listing.ok() && IsWhole(*site_, *listing, record)) {
      record.state = batch.before[number];
      if (record.state == QuarantineState::kPurging) {
        record.state = QuarantineState::kQuarantined;
      }
    } else {
      out->gone.push_back(record);
      // What is left is no node's, and counted as that.
      record.item.node = index::kNoNode;
      if (listing.ok()) CountRest(*listing, &record);
    }
    out->settled.put.push_back(std::move(record));
  }
}

absl::Status Purge::CommitOutcomes(const Batch& batch,
                                   absl::Span<const RemovalOutcome> outcomes) {
  Outcomes out;
  size_t next = 0;
  for (size_t i = 0; i < batch.records.size(); ++i) {
    RemovalOutcome outcome;
    if (batch.records[i].item.removal) outcome = outcomes[next++];
    Settle(batch, i, outcome, &out);
  }
  SettleFailed(batch, &out);
  run_->run().progress.done_count += batch.records.size();
  RECLAIM_ASSIGN_OR_RETURN(std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(out.settled));
  RECLAIM_ASSIGN_OR_RETURN(writes.emplace_back(),
                           RunStore::RunWrite(run_->stored()));
  {
    const auto order = site_->graph->HoldWriteOrder();
    const absl::Duration begin = site_->clock->Monotonic();
    const index::GraphView& view = order->reader().view();
    GraphChanges changes;
    for (const QuarantineRecord& record : out.staying) {
      AddStaying(view, site_->id, record, &changes);
    }
    for (QuarantineRecord& record : out.gone) {
      const index::NodeId node = record.item.node;
      if (batch.leaving.count(node) == 0 || !view.Exists(node) ||
          view.state(node) != index::NodeState::kQuarantined) {
        continue;
      }
      record.state = QuarantineState::kQuarantined;
      AddPurging(record, &changes);
    }
    RECLAIM_RETURN_IF_ERROR(order->Commit(changes.states, changes.operations,
                                          writes, run_->run().actor));
    site_->observer->OnBatchHeld(site_->name,
                                 site_->clock->Monotonic() - begin);
  }
  site_->runs->Note(out.settled);
  if (failed_batch_count_ < kFailedBatchMax || out.failed.empty()) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(
      "the store failed to free something of ", failed_batch_count_,
      " batches: look at the problems of this run, then purge again"));
}

absl::Status Purge::PutBack(const index::GraphReader& graph,
                            QuarantineRecord* record) const {
  record->state = QuarantineState::kQuarantined;
  const index::NodeId node = record->item.node;
  if (!IsBlob(*record) || node == index::kNoNode) return absl::OkStatus();
  // Its node may stand for other bytes by now, or for none.  Of these nothing
  // was proven as of the only ones: they may have been a second copy.
  const index::GraphView& view = graph.view();
  if (!view.Exists(node) ||
      view.state(node) != index::NodeState::kQuarantined) {
    record->item.node = index::kNoNode;
    record->epoch = graph.epoch();
    record->quarantined = site_->clock->Now();
    return absl::OkStatus();
  }
  // The record of a purge does not say what it was before.
  RECLAIM_ASSIGN_OR_RETURN(const bool is_second,
                           IsBesideFirst(*site_, *record));
  if (is_second) record->state = QuarantineState::kSuperseded;
  return absl::OkStatus();
}

absl::Status Purge::ReturnUntouched() {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records,
                           site_->runs->ListQuarantine(
                               site_->name, [](const QuarantineRecord& record) {
                                 return record.state ==
                                        QuarantineState::kPurging;
                               }));
  if (records.empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const Listing listing, ListStore(*site_));
  QuarantineChanges returned;
  const auto order = site_->graph->HoldWriteOrder();
  for (QuarantineRecord& record : records) {
    if (!IsWhole(*site_, listing, record)) continue;
    RECLAIM_RETURN_IF_ERROR(PutBack(order->reader(), &record));
    returned.put.push_back(std::move(record));
  }
  if (returned.put.empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(returned));
  RECLAIM_RETURN_IF_ERROR(order->Commit({}, {}, writes, run_->run().actor));
  site_->runs->Note(returned);
  return absl::OkStatus();
}

absl::Status Purge::FinishInterrupted() {
  QuarantineKeys keys;
  {
    base::MutexLock deed(&site_->deed);
    RECLAIM_RETURN_IF_ERROR(ReturnUntouched());
    RECLAIM_RETURN_IF_ERROR(site_->runs->ForEachQuarantined(
        site_->name, [&](const QuarantineRecord& record) {
          if (record.state == QuarantineState::kPurging) {
            keys.Add({record.run_id, record.number}, record.quarantined, false);
          }
          return true;
        }));
  }
  if (keys.empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(store_, Registered());
  terms_ = Terms(store_);
  return FreeAll(keys, 0, keys.size());
}

}  // namespace reclaim::gc
