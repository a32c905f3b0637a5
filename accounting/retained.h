// accounting/retained.h — what would go if one thing went, for everything at
// once.
//
// A node dominates another if every path from the roots leads through it: then
// the other goes with it.  What a node retains is the bytes of the content that
// it dominates, itself included.  The tree of immediate dominators over
//
//   all roots → tenant → repository → tag → image index → manifest → layers
//
// gives the figure of every node in one sum from the leaves up.  The tree is
// made by intersecting paths in reverse postorder (Cooper, Harvey and Kennedy,
// "A simple, fast dominance algorithm", 2001); where the graph has no cycle one
// pass is exact, and cycles exist only through referrers.
//
// Figures of different nodes overlap and must not be added up; those of the
// children of one node in the tree do not overlap.  For a set of nodes ask
// accounting/what_if.h.
//
// Pure; yields.  Time O(nodes + edges · depth of the tree), some 20 bytes of
// memory a node.

#ifndef RECLAIM_ACCOUNTING_RETAINED_H_
#define RECLAIM_ACCOUNTING_RETAINED_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "gc/roots.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::accounting {

class RetainedSizes {
 public:
  std::vector<store::Bytes> by_tenant;  // in order of the tenants
  store::Bytes live;                    // all content that a root reaches

  RetainedSizes() = default;
  // Nodes that roots reach have numbers below the end of `sums`.
  RetainedSizes(std::vector<uint32_t> number_of, std::vector<store::Bytes> sums)
      : number_of_(std::move(number_of)), sums_(std::move(sums)) {}

  index::NodeId node_count() const {
    return static_cast<index::NodeId>(number_of_.size());
  }
  // Zero for what no root reaches.
  store::Bytes Of(index::NodeId id) const {
    if (id >= number_of_.size() || number_of_[id] >= sums_.size()) return {};
    return sums_[number_of_[id]];
  }

 private:
  std::vector<uint32_t> number_of_;
  std::vector<store::Bytes> sums_;
};

// `roots` are all roots of `store`; each of `tenants` is a list of
// repositories.
RetainedSizes MakeRetainedSizes(
    const index::GraphView& view, const std::vector<gc::Root>& roots,
    absl::Span<const std::vector<index::NodeId>> tenants);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_RETAINED_H_
