// Files with several names, in the resident graph: their bytes are an extent's.

#include "index/resident_graph.h"
#include "index/resident_settling.h"

namespace reclaim::index {

void ResidentGraph::SetExtent(NodeId id, NodeId extent) {
  const NodeId old = ExtentOf(id);
  if (old == extent) return;
  nodes_[id].set_has_extent(extent != kNoNode);
  NoteEdges(id);
  if (extent != kNoNode) {
    Ensure(extent);
    extents_[id] = extent;
    IdLists::List& blobs =
        extent_blobs_.try_emplace(extent, IdLists::kEmpty).first->second;
    lists_.Append(&blobs, id);
  } else {
    extents_.erase(id);
  }
  if (old != kNoNode) lists_.Remove(&extent_blobs_[old], id);
  for (ReachCounter& reach : reach_) {
    // Each flat lease on it keeps its bytes as well.
    for (uint32_t count = reach.FlatCount(id); count > 0; --count) {
      if (extent != kNoNode) reach.RetainFlat(extent);
      if (old != kNoNode) reach.ReleaseFlat(old);
    }
    if (!reach.Passes(id)) continue;
    if (extent != kNoNode) reach.Retain(extent);
    if (old != kNoNode) reach.Release(old);
  }
  if (old != kNoNode) RefreshExtent(old);
}

ResidentGraph::FileNames ResidentGraph::NamesOf(NodeId extent) const {
  FileNames names;
  const auto it = extent_blobs_.find(extent);
  if (it == extent_blobs_.end()) return names;
  for (const NodeId blob : lists_.Get(it->second)) {
    const NodeState state = nodes_[blob].state();
    if (state == NodeState::kPresent) {
      names.state = NodeState::kPresent;
      if (IsImaged(blob)) ++names.imaged_count;
    } else if (state == NodeState::kQuarantined &&
               names.state == NodeState::kAbsent) {
      names.state = NodeState::kQuarantined;
    }
  }
  return names;
}

void ResidentGraph::RefreshExtent(NodeId extent) {
  const Settling settling(this, extent);
  const FileNames names = NamesOf(extent);
  nodes_[extent].set_state(names.state);
  imaged_refs_.Set(extent, names.imaged_count);
  Reroot(extent);
}

}  // namespace reclaim::index
