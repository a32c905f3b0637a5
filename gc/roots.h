// gc/roots.h — which nodes start a mark, each with its reason.

#ifndef RECLAIM_GC_ROOTS_H_
#define RECLAIM_GC_ROOTS_H_

#include <vector>

#include "absl/time/time.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::gc {

struct Root {
  index::NodeId node = index::kNoNode;
  index::RootReason reason = index::RootReason::kNone;
};

struct RootOptions {
  // Judged at this instant, taken once at the start of a run (rule 9).
  absl::Time now;
  absl::Duration grace_period;
  absl::Duration upload_lifetime;
  // Without tags: what containers and the other roots alone keep.
  bool without_tags = false;
};

// Every root of `store` in `view`: tags, pins, leases not expired (strictly
// before; absent expiry never expires), containers in any state, uploads in
// progress, content younger than the grace period (a time in the future counts
// as young), volumes, networks and build-cache records for themselves, only
// names, opaque nodes and what they may reference.  Sorted by node; a node may
// occur with several reasons.
// Yields.  Time O(nodes of the store).
std::vector<Root> CollectRoots(const index::GraphView& view,
                               index::StoreId store,
                               const RootOptions& options);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_ROOTS_H_
