// The order of a plan's items, their bytes, and the words for their reasons.

#include <algorithm>
#include <tuple>

#include "gc/planner.h"

namespace reclaim::gc {
namespace {

// Records, names, links, then bytes: a crash in between leaves only leaks (I3).
int StageOf(const PlanItem& item) {
  return item.removal ? store::DeedStage(item.removal->kind) : 0;
}

bool IsRecord(const PlanItem& item) {
  return !item.removal || store::IsEngineRecord(item.removal->kind);
}

// Containers before what they use (rule 8).
int RankOf(index::NodeKind kind) {
  switch (kind) {
    case index::NodeKind::kContainer:
      return 0;
    case index::NodeKind::kNetwork:
      return 1;
    case index::NodeKind::kVolume:
      return 2;
    case index::NodeKind::kSnapshot:
      return 3;
    default:
      return 4;
  }
}

// What references goes before what is referenced: an engine lets go of a layer
// with the last image that has it.
int DepthOf(index::NodeKind kind) {
  if (kind == index::NodeKind::kImageIndex) return 0;
  return IsManifestLike(kind) ? 1 : 2;
}

bool GoesBefore(const PlanItem& a, const PlanItem& b) {
  if (StageOf(a) != StageOf(b)) return StageOf(a) < StageOf(b);
  // Records of one kind stay in the order in which they were found: by name,
  // but children before their parents (rule 10).
  if (IsRecord(a)) return RankOf(a.kind) < RankOf(b.kind);
  if (a.removal->kind == store::RemovalKind::kBlob &&
      DepthOf(a.kind) != DepthOf(b.kind)) {
    return DepthOf(a.kind) < DepthOf(b.kind);
  }
  return std::tie(a.removal->place, a.scope, a.name, a.digest) <
         std::tie(b.removal->place, b.scope, b.name, b.digest);
}

}  // namespace

const char* ToString(DoomReason reason) {
  switch (reason) {
    case DoomReason::kUnreferenced:
      return "unreferenced";
    case DoomReason::kDangling:
      return "dangling";
    case DoomReason::kUnused:
      return "unused";
    case DoomReason::kStopped:
      return "stopped";
    case DoomReason::kNoContainer:
      return "no-container";
    case DoomReason::kCacheUnused:
      return "cache-unused";
    case DoomReason::kUntaggedLink:
      return "untagged-link";
    case DoomReason::kUnusedLayerLink:
      return "unused-layer-link";
    case DoomReason::kAbandonedUpload:
      return "abandoned-upload";
    case DoomReason::kSubjectGone:
      return "subject-gone";
    case DoomReason::kNamed:
      return "named";
    case DoomReason::kRetention:
      return "retention";
  }
  return "unknown";
}

// The bytes of a file with several names are freed by the last of them.
void Planner::ChargeExtents() {
  std::map<NodeId, std::vector<PlanItem*>> items;
  for (PlanItem& item : plan_.items) {
    if (item.node == index::kNoNode || !IsContent(item.kind)) continue;
    const NodeId extent = view_.ExtentOf(item.node);
    // A plan that may be applied asks the store (gc/shared_files.h).
    if (extent == index::kNoNode ||
        (request_.is_question && view_.IsLinkedElsewhere(extent))) {
      continue;
    }
    items[extent].push_back(&item);
  }
  for (const auto& [extent, named] : items) {
    uint64_t present = 0;
    view_.ForEachKeeper(extent, [&](NodeId blob) {
      if (view_.state(blob) == index::NodeState::kPresent) ++present;
      return true;
    });
    if (present == named.size()) {
      named.back()->bytes += view_.fields(extent).bytes;
    }
  }
}

void Planner::Finish() {
  plan_.asked.assign(asked_.begin(), asked_.end());
  std::stable_sort(plan_.items.begin(), plan_.items.end(), GoesBefore);
  ChargeExtents();
  for (const PlanItem& item : plan_.items) {
    ++plan_.totals.item_count;
    plan_.totals.bytes.content += item.bytes;
    if (item.removal && item.removal->kind == store::RemovalKind::kBlob) {
      ++plan_.totals.blob_count;
      if (IsTopImage(item.node)) ++plan_.totals.image_count;
    }
  }
}

}  // namespace reclaim::gc
