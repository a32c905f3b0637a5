// gc/mark.h — which nodes can be reached from the roots.
//
// Mark() is a function of its arguments alone: no clock, no configuration, no
// store, no database, no log.  Depth-first over dense ids with a bit a node
// (the textbook algorithm; Jones, Hosking & Moss, "The Garbage Collection
// Handbook", chapter 2).

#ifndef RECLAIM_GC_MARK_H_
#define RECLAIM_GC_MARK_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gc/roots.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::gc {

// A set of nodes: one bit an id.
class LiveSet {
 public:
  LiveSet() = default;
  explicit LiveSet(index::NodeId node_count)
      : words_((uint64_t{node_count} + 63) / 64), node_count_(node_count) {}

  bool Contains(index::NodeId id) const {
    return id < node_count_ && (words_[id / 64] >> (id % 64) & 1) != 0;
  }
  // Returns true if `id` was not in the set.  REQUIRES: id < node_count().
  bool Insert(index::NodeId id) {
    const uint64_t bit = uint64_t{1} << (id % 64);
    const bool is_new = (words_[id / 64] & bit) == 0;
    words_[id / 64] |= bit;
    return is_new;
  }
  index::NodeId node_count() const { return node_count_; }
  uint64_t Count() const;

 private:
  std::vector<uint64_t> words_;
  index::NodeId node_count_ = 0;
};

struct MarkOptions {
  // Polled at each Yield(); true ends the mark with CANCELLED.
  std::function<bool()> is_cancelled;
};

// Every node reachable from `roots` (the roots included) over Kept(),
// Referrers() and ExtentOf().  A node that a flat lease keeps, or that is a
// root as kUnlinked, is in the set, but does not pass reachability on unless
// something else reaches it, or it is a snapshot.  Nodes that appear after the
// call began are not in the set: the epoch stamp protects them.
//
// On any error no set is returned: acting on a partial one deletes live data.
// Time O(live + edges), memory one bit a node and a stack.  Yields.
absl::StatusOr<LiveSet> Mark(const index::GraphView& view,
                             absl::Span<const Root> roots,
                             const MarkOptions& options);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_MARK_H_
