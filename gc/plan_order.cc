// The end of a plan: order and bytes of its items; the words for their reasons.

#include "gc/planner.h"

namespace reclaim::gc {

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

namespace {

constexpr uint64_t kStepsPerSlice = 4096;

}  // namespace

// The bytes of a file with several names are freed by the last of them.
void Planner::ChargeExtents() {
  struct Names {
    uint64_t count = 0;
    NodeId last = index::kNoNode;
  };
  absl::flat_hash_map<NodeId, Names> files;
  uint64_t step = 0;
  items_.ForEachContent([&](NodeId blob) {
    if (++step % kStepsPerSlice == 0) view_.Yield();
    const NodeId extent = view_.ExtentOf(blob);
    // A plan that may be applied asks the store (gc/shared_files.h).
    if (extent == index::kNoNode ||
        (request_.is_question && view_.IsLinkedElsewhere(extent))) {
      return;
    }
    Names& names = files[extent];
    ++names.count;
    names.last = blob;
  });
  for (const auto& [extent, names] : files) {
    if (++step % kStepsPerSlice == 0) view_.Yield();
    uint64_t present = 0;
    view_.ForEachKeeper(extent, [&](NodeId blob) {
      if (view_.state(blob) == index::NodeState::kPresent) ++present;
      return true;
    });
    if (present == names.count) items_.Charge(names.last, extent);
  }
}

void Planner::Finish() {
  plan_.asked.assign(asked_.begin(), asked_.end());
  items_.Sort(view_);
  ChargeExtents();
}

}  // namespace reclaim::gc
