// gc/explain.h — why a node is still there, or why it will go.

#ifndef RECLAIM_GC_EXPLAIN_H_
#define RECLAIM_GC_EXPLAIN_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gc/roots.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::gc {

// From a root down to the node that was asked about; both ends included.
struct KeepPath {
  index::RootReason reason = index::RootReason::kNone;
  std::vector<index::NodeId> nodes;
};

struct Explanation {
  bool is_kept = false;
  // Shortest paths first, ties by node id; at most `path_count_max`.
  std::vector<KeepPath> paths;
  // How many roots reach it in all (counted up to 1,000).
  uint64_t root_count = 0;
  // When nothing keeps it: since when, and its former or unreached keepers.
  std::vector<index::NodeId> dead_keepers;
};

// Breadth-first over reverse edges, iterative, bounded by `visit_max` nodes;
// RESOURCE_EXHAUSTED beyond.  Pure.  Yields.
absl::StatusOr<Explanation> Explain(const index::GraphView& view,
                                    absl::Span<const Root> roots,
                                    index::NodeId node, int path_count_max,
                                    uint64_t visit_max = 10'000'000);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_EXPLAIN_H_
