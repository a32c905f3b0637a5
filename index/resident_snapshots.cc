// Which unpacked layers stay (StoreTotals::unpacked_kept).
//
// A snapshot keeps what it stands on, and stays for reasons of its own that
// keep nothing else: its image, that it is young, that nothing explains it.  So
// these are counted apart from what roots reach, by a counter of the same kind:
// its roots are snapshots, and its edges those that lead from snapshots.  A
// mutation costs what changes about the snapshots of the content that it
// reaches.
//
// gc/plan_records.cc decides by the same rules (DoomsSnapshot), but for what
// could not be read, which the counters do not know.

#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "index/resident_graph.h"

namespace reclaim::index {

// All edges, whatever they lead to: what a node is may be learnt later, while
// the records are loaded, and each edge is released as it was retained.
void ResidentGraph::SnapshotEdges::ForEachEdge(
    NodeId id, absl::FunctionRef<void(NodeId)> visit) const {
  if (graph_->kind(id) != NodeKind::kSnapshot) return;
  for (const NodeId target : graph_->Kept(id)) visit(target);
}

// Why a snapshot stays that has nothing upon it.
uint8_t ResidentGraph::SnapshotBits(NodeId id) const {
  const auto reached = [this](NodeId node) {
    int bits = 0;
    for (int i = 0; i < kReachClassCount; ++i) {
      if (reach_[i].IsLive(node)) bits |= 1 << i;
    }
    return bits;
  };
  int bits = reached(id);
  bool is_explained = snapshot_refs_[id] > 0;
  for (const NodeId target : Kept(id)) {
    if (!Exists(target) || !IsContent(nodes_[target].kind())) continue;
    is_explained = true;
    bits |= reached(target);
  }
  const bool is_young = nodes_[id].recorded() + grace_period_ > now_;
  if (is_young || !is_explained) bits |= kAll | kWithoutTags;
  return static_cast<uint8_t>(bits);
}

// A flat lease keeps a snapshot as any other lease does, but content alone.
// One that is loaded before the snapshot takes it for content: it lets go of
// it, and takes it again as what it is.
void ResidentGraph::BecomeSnapshot(NodeId id) {
  if (nodes_[id].kind() == NodeKind::kSnapshot) return;
  std::vector<std::pair<NodeId, std::vector<NodeId>>> leases;
  keepers_.ForEach(nodes_[id].keepers, [&](NodeId keeper) {
    const Node& lease = nodes_[keeper];
    if (lease.kind() == NodeKind::kLease && (lease.flags() & kFlat) != 0) {
      const absl::Span<const NodeId> kept = Kept(keeper);
      leases.emplace_back(keeper,
                          std::vector<NodeId>(kept.begin(), kept.end()));
    }
    return true;
  });
  for (const auto& [lease, targets] : leases) {
    if (nodes_[lease].is_flat_applied()) ApplyFlat(lease, false);
    SetKept(lease, {});
  }
  nodes_[id].set_kind(NodeKind::kSnapshot);
  for (const auto& [lease, targets] : leases) {
    SetKept(lease, targets);
    Reroot(lease);
  }
}

// The edges of a snapshot have changed.  Before the reach of roots changes with
// them: that may ask for the snapshot's reasons, and follow its new edges.
void ResidentGraph::MoveHolds(NodeId snapshot, const std::vector<NodeId>& from,
                              const std::vector<NodeId>& to) {
  for (ReachCounter& hold : holds_) {
    if (!hold.Passes(snapshot)) continue;
    for (const NodeId target : to) hold.Retain(target);
    for (const NodeId target : from) hold.Release(target);
  }
}

// After each change of who needs `id`: a snapshot, or the content of some.
void ResidentGraph::RefreshSnapshots(NodeId id) {
  const NodeKind kind = nodes_[id].kind();
  if (kind == NodeKind::kSnapshot) {
    RefreshRoot(id);
    return;
  }
  if (snapshot_refs_[id] == 0 || !IsContent(kind)) return;
  keepers_.ForEach(nodes_[id].keepers, [&](NodeId keeper) {
    if (nodes_[keeper].kind() == NodeKind::kSnapshot) RefreshRoot(keeper);
    return true;
  });
}

}  // namespace reclaim::index
