// The items of an image prune: bytes and uploads.

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "gc/planner.h"

namespace reclaim::gc {

using index::NodeState;
using index::RootReason;

bool Planner::IsTopImage(NodeId id) const {
  if (!IsManifestLike(view_.kind(id))) return false;
  if ((view_.fields(id).flags & index::kReferrer) != 0) return false;
  bool is_listed = false;
  view_.ForEachKeeper(id, [&](NodeId keeper) {
    // By an index, or by an image that was built from it (case 18).
    is_listed = IsManifestLike(view_.kind(keeper)) &&
                view_.state(keeper) == NodeState::kPresent;
    return !is_listed;
  });
  return !is_listed;
}

std::vector<Root> Planner::RemainingRoots() const {
  std::vector<Root> remaining;
  for (const Root& root : roots_) {
    const bool is_dropped = root.reason == RootReason::kOnlyName &&
                            dropped_only_names_.contains(root.node);
    if (!is_dropped && !doomed_.contains(root.node)) remaining.push_back(root);
  }
  remaining.insert(remaining.end(), spared_.begin(), spared_.end());
  return remaining;
}

DoomReason Planner::ReasonOf(NodeId id, bool is_image) const {
  const auto top = tops_.find(id);
  if (top != tops_.end()) return top->second;
  if (asked_.count(id) > 0) return DoomReason::kNamed;
  if ((view_.fields(id).flags & index::kReferrer) != 0) {
    return DoomReason::kSubjectGone;
  }
  return is_image ? DoomReason::kDangling : DoomReason::kUnreferenced;
}

void Planner::AddKeepers(DraftItems::Content* content) const {
  view_.ForEachKeeper(content->node, [&](NodeId keeper) {
    if (!view_.Exists(keeper) || !IsContent(view_.kind(keeper))) return true;
    content->keeper = std::min(content->keeper, keeper);
    ++content->keeper_count;
    return true;
  });
}

bool Planner::DoomsContent(NodeId id) const {
  return id < kept_.node_count() && !kept_.Contains(id) &&
         view_.state(id) == NodeState::kPresent &&
         (kept_places_.empty() ||
          kept_places_.count(view_.fields(id).place) == 0);
}

void Planner::DoomContent() {
  ForEachContent([&](NodeId id) {
    if (!DoomsContent(id)) return;
    const index::NodeFields fields = view_.fields(id);
    DraftItems::Content content;
    content.node = id;
    content.kind = fields.kind;
    content.place = fields.place;
    content.is_image = IsTopImage(id);
    content.reason = ReasonOf(id, content.is_image);
    AddKeepers(&content);
    doomed_.insert(id);
    items_.AddContent(content);
  });
}

// What the plan would take as well if the build cache did not stand on it.
absl::Status Planner::CountCached() {
  std::vector<Root> others;
  bool has_layers = false;
  for (const Root& root : RemainingRoots()) {
    if (!view_.Exists(root.node) ||
        view_.kind(root.node) != NodeKind::kBuildCache) {
      others.push_back(root);
      continue;
    }
    has_layers |= !view_.Kept(root.node).empty();
  }
  if (!has_layers) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet live, MarkNow(others));
  ForEachContent([&](NodeId id) {
    const bool is_kept = id < kept_.node_count() && kept_.Contains(id);
    if (!is_kept || id >= live.node_count() || live.Contains(id) ||
        view_.state(id) != NodeState::kPresent ||
        kept_places_.count(view_.fields(id).place) > 0 ||
        (IsExplicit() && !asked_reach_.Contains(id))) {
      return;
    }
    ++plan_.cached.blob_count;
    plan_.cached.bytes += view_.fields(id).bytes;
  });
  return absl::OkStatus();
}

void Planner::DoomUploads() {
  for (const NodeId id : Named(NodeKind::kUpload)) {
    if (id >= kept_.node_count() || kept_.Contains(id) ||
        kept_uploads_.contains(id) || HasKeeperThatStays(id)) {
      continue;
    }
    const index::NamedKey key = view_.named_key(id);
    if (kept_repositories_.count(key.scope) > 0 || !MatchesLoose(id)) continue;
    PlanItem item =
        RecordItem(id, DoomReason::kAbandonedUpload,
                   "nothing was written to it within the upload lifetime");
    store::Removal removal;
    removal.kind = store::RemovalKind::kUpload;
    removal.place = view_.PlaceName(view_.fields(id).place);
    removal.repository = key.scope;
    removal.upload_id = key.name;
    item.removal = std::move(removal);
    items_.AddRecord(std::move(item));
  }
}

absl::Status Planner::PlanImages() {
  if (IsExplicit()) {
    RECLAIM_RETURN_IF_ERROR(DropNamedReferences());
  } else {
    RECLAIM_RETURN_IF_ERROR(ApplyRules());
    if (DropsUnusedTags()) RECLAIM_RETURN_IF_ERROR(DropUnusedTags());
    if (HasTarget() || DropsUnusedTags()) KeepReferrerNames();
  }
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet live, MarkNow(RemainingRoots()));
  RECLAIM_RETURN_IF_ERROR(IsExplicit() ? SpareByName(live)
                                       : SpareByFilter(live));
  SpareByRules(live);
  RECLAIM_ASSIGN_OR_RETURN(kept_, MarkNow(RemainingRoots()));
  if (HasTarget()) RECLAIM_RETURN_IF_ERROR(ChooseForTarget());
  RECLAIM_RETURN_IF_ERROR(DropNamesOfGoneSubjects());
  RECLAIM_RETURN_IF_ERROR(CountCached());
  DoomContent();
  RECLAIM_RETURN_IF_ERROR(DoomLinks());
  if (!IsExplicit()) DoomUploads();
  PlanSnapshots();
  return absl::OkStatus();
}

}  // namespace reclaim::gc
