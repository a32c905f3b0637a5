// Containers, volumes, networks and build cache.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/planner.h"

namespace reclaim::gc {
namespace {

// The engine's own word is the local record time of such a record (case 49).
void SetCreated(const std::optional<absl::Time>& created,
                FilterSubject* subject) {
  if (!created) return;
  subject->times[TimeClock::kCreated] = *created;
  subject->times[TimeClock::kRecorded] = *created;
}

// The others belong to the engine as a whole.
bool HasPlace(index::NodeKind kind) {
  return kind == index::NodeKind::kContainer ||
         kind == index::NodeKind::kSnapshot;
}

FilterSubject BaseSubject(const index::NodeFields& fields) {
  FilterSubject subject;
  subject.times[TimeClock::kRecorded] = fields.recorded;
  if (fields.used != absl::InfinitePast()) {
    subject.times[TimeClock::kUsed] = fields.used;
  }
  return subject;
}

}  // namespace

std::vector<index::NodeId> Planner::Named(NodeKind kind) const {
  std::vector<NodeId> ids;
  view_.ForEachNamed(kind, in_.store, [&](NodeId id) {
    ids.push_back(id);
    return true;
  });
  return ids;
}

// An expired lease keeps nothing; it is not ours to delete either.
bool Planner::HasKeeperThatStays(NodeId id) const {
  bool stays = false;
  view_.ForEachKeeper(id, [&](NodeId keeper) {
    const bool is_over = view_.kind(keeper) == NodeKind::kLease &&
                         view_.fields(keeper).expires < in_.now;
    stays = view_.Exists(keeper) && !doomed_.contains(keeper) && !is_over;
    return !stays;
  });
  return stays;
}

PlanItem Planner::RecordItem(NodeId id, DoomReason reason, std::string detail) {
  const index::NodeFields fields = view_.fields(id);
  const index::NamedKey key = view_.named_key(id);
  PlanItem item;
  item.node = id;
  item.kind = fields.kind;
  item.scope = key.scope;
  item.name = key.name;
  item.bytes = fields.bytes;
  item.reason = reason;
  item.detail = std::move(detail);
  item.last_used = fields.used;
  item.unreferenced_since = fields.unreferenced_since;
  if (in_.store_holds_records) AddRecordRemoval(&item);
  doomed_.insert(id);
  return item;
}

void Planner::DoomRecord(NodeId id, DoomReason reason, std::string detail) {
  items_.AddRecord(RecordItem(id, reason, std::move(detail)));
}

// What an engine is asked to take away, by its own name for it.
void Planner::AddRecordRemoval(PlanItem* item) const {
  store::Removal removal;
  switch (item->kind) {
    case NodeKind::kContainer:
      removal.kind = store::RemovalKind::kContainer;
      break;
    case NodeKind::kNetwork:
      removal.kind = store::RemovalKind::kNetwork;
      break;
    case NodeKind::kVolume:
      removal.kind = store::RemovalKind::kVolume;
      break;
    case NodeKind::kSnapshot:
      removal.kind = store::RemovalKind::kSnapshot;
      break;
    case NodeKind::kBuildCache:
      removal.kind = store::RemovalKind::kBuildCache;
      break;
    default:
      return;  // tags and uploads have removals of their own
  }
  const index::PlaceId place = view_.fields(item->node).place;
  if (HasPlace(item->kind) && place != index::kNoPlace) {
    removal.place = view_.PlaceName(place);
  }
  removal.name = item->name;
  item->removal = std::move(removal);
}

// In a place that is not collected, or that could not be read.
bool Planner::IsRecordKept(NodeId id) const {
  return in_.store_holds_records &&
         (is_whole_store_kept_ ||
          (HasPlace(view_.kind(id)) &&
           kept_places_.count(view_.fields(id).place) > 0));
}

absl::Status Planner::PlanContainers() {
  for (const NodeId id : Named(NodeKind::kContainer)) {
    const index::NodeFields fields = view_.fields(id);
    if ((fields.flags & index::kRunning) != 0 || IsRecordKept(id)) continue;
    RECLAIM_ASSIGN_OR_RETURN(const index::NamedRecord record,
                             in_.details->GetNamed(id));
    const auto& container = std::get<index::PutContainer>(record);
    FilterSubject subject = BaseSubject(fields);
    subject.labels.push_back(&container.labels);
    SetCreated(container.created, &subject);
    if (container.exited) {
      subject.times[TimeClock::kExited] = *container.exited;
    }
    if (!Matches(request_.filter, subject)) continue;
    // A pin or a lease may name a container.
    if (HasKeeperThatStays(id)) continue;
    DoomRecord(id, DoomReason::kStopped,
               absl::StrCat("state ", ToString(container.state)));
  }
  return absl::OkStatus();
}

absl::Status Planner::PlanVolumes() {
  const bool takes_named =
      request_.all_volumes || request_.filter.all.value_or(false);
  for (const NodeId id : Named(NodeKind::kVolume)) {
    const index::NodeFields fields = view_.fields(id);
    if (HasKeeperThatStays(id) || IsRecordKept(id)) continue;
    if ((fields.flags & index::kAnonymous) == 0 && !takes_named) continue;
    RECLAIM_ASSIGN_OR_RETURN(const index::NamedRecord record,
                             in_.details->GetNamed(id));
    const auto& volume = std::get<index::PutVolume>(record);
    FilterSubject subject = BaseSubject(fields);
    subject.labels.push_back(&volume.labels);
    SetCreated(volume.created, &subject);
    if (!Matches(request_.filter, subject)) continue;
    DoomRecord(id, DoomReason::kNoContainer, "no container references it");
  }
  return absl::OkStatus();
}

absl::Status Planner::PlanNetworks() {
  for (const NodeId id : Named(NodeKind::kNetwork)) {
    const index::NodeFields fields = view_.fields(id);
    if ((fields.flags & index::kPredefined) != 0 || IsRecordKept(id) ||
        HasKeeperThatStays(id)) {
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(const index::NamedRecord record,
                             in_.details->GetNamed(id));
    const auto& network = std::get<index::PutNetwork>(record);
    FilterSubject subject = BaseSubject(fields);
    subject.labels.push_back(&network.labels);
    SetCreated(network.created, &subject);
    if (!Matches(request_.filter, subject)) continue;
    DoomRecord(id, DoomReason::kNoContainer, "no container is attached");
  }
  return absl::OkStatus();
}

// A record stays while a child of it stays: leaves go first, then what they
// leave behind.  So children stand before their parents in the plan (rule 10),
// and one run converges (case 19).
void Planner::DoomLeavesFirst(NodeKind kind,
                              absl::FunctionRef<bool(NodeId)> is_doomed,
                              DoomReason reason, const char* detail) {
  std::vector<NodeId> leaves = Named(kind);
  while (!leaves.empty()) {
    std::vector<NodeId> parents;
    for (const NodeId id : leaves) {
      if (doomed_.contains(id) || HasKeeperThatStays(id) || !is_doomed(id)) {
        continue;
      }
      DoomRecord(id, reason, detail);
      for (const NodeId parent : view_.Kept(id)) {
        if (view_.Exists(parent) && view_.kind(parent) == kind) {
          parents.push_back(parent);
        }
      }
    }
    leaves = std::move(parents);
  }
}

bool Planner::DoomsCacheRecord(NodeId id) const {
  const index::NodeFields fields = view_.fields(id);
  if ((fields.flags & index::kInUse) != 0 || IsRecordKept(id)) return false;
  if ((fields.flags & index::kShared) != 0 && !request_.all_cache) return false;
  FilterSubject subject = BaseSubject(fields);
  // Build cache is judged by its last use where that is known.
  if (subject.times.count(TimeClock::kUsed) > 0) {
    subject.times[TimeClock::kRecorded] = subject.times[TimeClock::kUsed];
  }
  // It has no labels: a filter that asks about some selects none (case 36).
  if (!request_.filter.labels.empty()) return false;
  return Matches(request_.filter, subject);
}

// What the build cache takes by itself.  Docker counts its logical bytes.
SpaceState Planner::SpaceOfCache() const {
  SpaceState space;
  for (const NodeId id : Named(NodeKind::kBuildCache)) {
    space.stored_bytes += view_.fields(id).bytes.logical_bytes;
  }
  return space;
}

// Of the records that no other stands on, the one that was used longest ago
// goes first, until enough has gone; its parent may be the next.
void Planner::DoomCacheForTarget() {
  const auto rank = [&](NodeId id) {
    const index::NodeFields fields = view_.fields(id);
    const bool is_used = fields.used != absl::InfinitePast();
    return std::make_pair(is_used ? fields.used : fields.recorded, id);
  };
  std::set<std::pair<absl::Time, NodeId>> leaves;
  for (const NodeId id : Named(NodeKind::kBuildCache)) {
    if (DoomsLeaf(id)) leaves.insert(rank(id));
  }
  uint64_t freed = 0;
  while (freed < target_.free_bytes && !leaves.empty()) {
    const NodeId id = leaves.begin()->second;
    leaves.erase(leaves.begin());
    const uint64_t bytes = view_.fields(id).bytes.logical_bytes;
    DoomRecord(id, DoomReason::kCacheUnused, "used longest ago");
    freed += bytes;
    for (const NodeId parent : view_.Kept(id)) {
      if (view_.Exists(parent) && view_.kind(parent) == NodeKind::kBuildCache &&
          DoomsLeaf(parent)) {
        leaves.insert(rank(parent));
      }
    }
  }
  plan_.target_outcome.short_by_bytes +=
      target_.free_bytes - std::min(target_.free_bytes, freed);
}

absl::Status Planner::PlanBuildCache() {
  if (HasTarget()) {
    DoomCacheForTarget();
    return absl::OkStatus();
  }
  DoomLeavesFirst(
      NodeKind::kBuildCache, [&](NodeId id) { return DoomsCacheRecord(id); },
      DoomReason::kCacheUnused, "not in use, not shared");
  return absl::OkStatus();
}

// A snapshot goes with the image it was unpacked from, or with the last
// snapshot or container that stood on it.  One that nothing explains stays
// (I5).  The counters of `df` go by the same rules
// (index/resident_snapshots.cc).
bool Planner::DoomsSnapshot(NodeId id) const {
  if (IsYoung(view_.fields(id).recorded) || IsRecordKept(id)) return false;
  bool has_image = false;
  for (const NodeId target : view_.Kept(id)) {
    // What it stood on may be gone, and after a restart nobody knows what that
    // was.
    if (!view_.Exists(target) || !IsContent(view_.kind(target))) continue;
    has_image = true;
    if (target >= kept_.node_count() || kept_.Contains(target) ||
        kept_places_.count(view_.fields(target).place) > 0) {
      return false;
    }
  }
  bool had_keeper = false;
  view_.ForEachKeeper(id, [&](NodeId keeper) {
    had_keeper = doomed_.contains(keeper);
    return !had_keeper;
  });
  return has_image || had_keeper;
}

void Planner::PlanSnapshots() {
  DoomLeavesFirst(
      NodeKind::kSnapshot, [&](NodeId id) { return DoomsSnapshot(id); },
      DoomReason::kUnreferenced, "its image and all that stood on it go");
}

}  // namespace reclaim::gc
