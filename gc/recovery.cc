#include "gc/recovery.h"

#include <map>
#include <set>
#include <utility>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/collector.h"
#include "gc/held_return.h"
#include "gc/leftovers.h"
#include "gc/ongoing_run.h"
#include "gc/purge.h"
#include "gc/restore.h"

namespace reclaim::gc {
namespace {

constexpr char kActor[] = "recovery";

using Found =
    std::map<std::pair<store::RunId, store::Removal>, store::QuarantinedItem>;

bool IsInFolder(const CollectedStore& site) {
  const store::StoreTraits traits = site.store->traits();
  return traits.has_quarantine && traits.kind != store::StoreKind::kExternal;
}

index::NodeKind NodeKindOf(store::RemovalKind kind) {
  switch (kind) {
    case store::RemovalKind::kContainer:
      return index::NodeKind::kContainer;
    case store::RemovalKind::kNetwork:
      return index::NodeKind::kNetwork;
    case store::RemovalKind::kVolume:
      return index::NodeKind::kVolume;
    case store::RemovalKind::kSnapshot:
      return index::NodeKind::kSnapshot;
    default:
      return index::NodeKind::kBuildCache;
  }
}

// What a removal without a record is about.  It has no node: the graph does not
// know that the content is in quarantine.
PlanItem ItemOf(const store::Removal& removal) {
  PlanItem item;
  item.removal = removal;
  item.digest = removal.digest;
  item.scope = removal.repository;
  item.detail = "found in the quarantine folder without a record";
  item.last_used = absl::InfinitePast();
  item.unreferenced_since = absl::InfiniteFuture();
  if (removal.kind == store::RemovalKind::kTag) {
    item.kind = index::NodeKind::kTag;
    item.name = removal.tag;
  } else if (removal.kind == store::RemovalKind::kUpload) {
    item.kind = index::NodeKind::kUpload;
    item.name = removal.upload_id;
  } else if (store::IsEngineRecord(removal.kind)) {
    item.kind = NodeKindOf(removal.kind);
    item.name = removal.name;
  }
  return item;
}

// What merely lies in the way of something leaves that in quarantine, on
// record: it is told in the end, and stops nothing else.
absl::Status PutOff(const absl::Status& status, absl::Status* obstacle) {
  if (!absl::IsAlreadyExists(status)) return status;
  obstacle->Update(status);
  return absl::OkStatus();
}

absl::Status Adopt(CollectedStore* site, Found strangers) {
  if (strangers.empty()) return absl::OkStatus();
  // A reference may have brought some back since they were listed.
  base::MutexLock deed(&site->deed);
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<store::QuarantinedItem> items,
                           site->store->ListQuarantine());
  Found left;
  for (const store::QuarantinedItem& item : items) {
    const auto stranger = strangers.find({item.run_id, item.removal});
    if (stranger != strangers.end()) left.insert(*stranger);
  }
  if (left.empty()) return absl::OkStatus();
  strangers = std::move(left);
  QuarantineChanges adopted;
  uint64_t number = kFirstAdopted;
  const index::Epoch epoch = site->graph->Read()->epoch();
  for (const auto& [key, found] : strangers) {
    QuarantineRecord record;
    record.run_id = key.first;
    record.number = number++;
    record.store = site->name;
    record.item = ItemOf(found.removal);
    record.item.bytes = found.bytes.content;
    record.item.held = found.bytes.held;
    record.state = QuarantineState::kQuarantined;
    record.epoch = epoch;
    record.quarantined = site->clock->Now();
    record.restorable_until =
        site->period_clock->Now() + site->quarantine_period;
    record.actor = kActor;
    record.bytes = found.bytes;
    adopted.put.push_back(std::move(record));
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(adopted));
  const auto order = site->graph->HoldWriteOrder();
  RECLAIM_RETURN_IF_ERROR(order->Commit({}, {}, writes, kActor));
  site->runs->Note(adopted);
  return absl::OkStatus();
}

// Makes the records say what is in the quarantine folder.
absl::Status FollowFolder(CollectedStore* site, absl::Status* obstacle) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<store::QuarantinedItem> items,
                           site->store->ListQuarantine());
  Found strangers;
  for (const store::QuarantinedItem& item : items) {
    strangers.emplace(std::make_pair(item.run_id, item.removal), item);
  }
  RECLAIM_ASSIGN_OR_RETURN(
      std::vector<QuarantineRecord> returned,
      site->runs->ListQuarantine(
          site->name, [&](const QuarantineRecord& record) {
            if (!record.item.removal) return false;
            return strangers.erase({record.run_id, *record.item.removal}) == 0;
          }));
  RECLAIM_RETURN_IF_ERROR(PutOff(
      RestoreRecords(site, std::move(returned), kActor, nullptr), obstacle));
  return Adopt(site, std::move(strangers));
}

}  // namespace

absl::Status RecoverStore(CollectedStore* site) {
  RECLAIM_RETURN_IF_ERROR(KeepLeftovers(site, "", kActor));
  absl::Status obstacle;
  RECLAIM_RETURN_IF_ERROR(PutOff(UndoIntents(site, "", kActor), &obstacle));
  PurgeRequest request;
  StoredRun stored;
  stored.run.id = "recovery";
  stored.run.kind = RunKind::kPurge;
  stored.run.store = site->name;
  stored.run.actor = kActor;
  stored.run.started = site->clock->Now();
  stored.run.ended = stored.run.started;
  stored.run.phase = RunPhase::kSucceeded;
  OngoingRun run(std::move(stored), site, nullptr);
  RECLAIM_RETURN_IF_ERROR(Purge(site, &request, &run).FinishInterrupted());
  if (IsInFolder(*site)) RECLAIM_RETURN_IF_ERROR(FollowFolder(site, &obstacle));
  RECLAIM_RETURN_IF_ERROR(PutOff(ReturnHeld(site, kActor), &obstacle));
  return obstacle;
}

}  // namespace reclaim::gc
