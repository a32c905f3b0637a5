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
// Pure; yields.  Time O(nodes + edges · depth of the tree).

#ifndef RECLAIM_ACCOUNTING_RETAINED_H_
#define RECLAIM_ACCOUNTING_RETAINED_H_

#include <vector>

#include "absl/types/span.h"
#include "gc/roots.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::accounting {

struct RetainedSizes {
  // By node; zero for what no root reaches.
  std::vector<store::Bytes> by_node;
  std::vector<store::Bytes> by_tenant;  // in order of the tenants
  store::Bytes live;                    // all content that a root reaches

  store::Bytes Of(index::NodeId id) const {
    return id < by_node.size() ? by_node[id] : store::Bytes();
  }
};

// `roots` are all roots of `store`; each of `tenants` is a list of
// repositories.
RetainedSizes MakeRetainedSizes(
    const index::GraphView& view, const std::vector<gc::Root>& roots,
    absl::Span<const std::vector<index::NodeId>> tenants);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_RETAINED_H_
