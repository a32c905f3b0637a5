// index/reach_counter.h — which nodes the roots reach, kept up to date.
//
// A node's count is the number of its live keepers plus the number of times it
// was retained as a root; it is live while the count is not zero.  Retain() and
// Release() cost in proportion to what becomes live or dead, not to the graph.
//
// Cycles exist only through referrers (a subject keeps its referrer, which may
// be an index that lists the subject).  A released node that keeps a count is
// therefore tried: if its own closure leads back to it, the counts from within
// are subtracted and what has no support from outside dies (trial deletion:
// Lins, "Cyclic reference counting with lazy mark-scan", 1992; Jones, Hosking &
// Moss, chapter 5.5).
//
// Not thread-safe.

#ifndef RECLAIM_INDEX_REACH_COUNTER_H_
#define RECLAIM_INDEX_REACH_COUNTER_H_

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "index/narrow_counts.h"
#include "index/node.h"

namespace reclaim::index {

// The graph that is counted, and who hears of changes.
class ReachListener {
 public:
  virtual ~ReachListener() = default;
  // Calls `visit` for each node that `id` keeps alive; a node may come twice.
  virtual void ForEachEdge(NodeId id,
                           absl::FunctionRef<void(NodeId)> visit) const = 0;
  // Around each change of IsLive(id).  Must not call the counter.
  virtual void BeforeFlip(int reach_class, NodeId id) = 0;
  virtual void AfterFlip(int reach_class, NodeId id) = 0;
};

class ReachCounter {
 public:
  // `listener` is not owned; `reach_class` is handed back to it.
  ReachCounter(ReachListener* listener, int reach_class)
      : listener_(listener), reach_class_(reach_class) {}

  void Resize(NodeId node_count) { counts_.Grow(node_count); }

  bool IsLive(NodeId id) const {
    return !counts_.IsZero(id) || FlatCount(id) > 0;
  }
  // Whether what `id` references is live because of it: not for a node that
  // only a flat lease keeps.
  bool Passes(NodeId id) const { return !counts_.IsZero(id); }
  uint32_t count(NodeId id) const { return counts_[id] + FlatCount(id); }
  // How often it was retained flat.
  uint32_t FlatCount(NodeId id) const {
    if (flat_counts_.empty()) return 0;
    const auto it = flat_counts_.find(id);
    return it == flat_counts_.end() ? 0 : it->second;
  }

  void Retain(NodeId id);
  void Release(NodeId id);
  // Keeps `id` alone, not what it references.
  void RetainFlat(NodeId id);
  void ReleaseFlat(NodeId id);
  // The same counts as Retain() and RetainFlat() give, but nobody hears of a
  // change: while a graph is loaded there is nobody yet.
  void RetainQuietly(NodeId id);
  void RetainFlatQuietly(NodeId id) { ++flat_counts_[id]; }

 private:
  void SetCount(NodeId id, uint32_t count);
  // True if `id` still has a count and edges: it may hang in a dead cycle.
  bool Drop(NodeId id, std::vector<NodeId>* dead);
  void TryDelete(NodeId id);

  ReachListener* listener_;
  int reach_class_;
  NarrowCounts counts_;
  absl::flat_hash_map<NodeId, uint32_t> flat_counts_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_REACH_COUNTER_H_
