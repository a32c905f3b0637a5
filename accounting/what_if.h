// accounting/what_if.h — what would go if these went, and what would stay
// because of whom.
//
// Two marks over the same view: all roots, and all roots but the named ones.
// Changes nothing.  Pure; yields.  O(live + edges).

#ifndef RECLAIM_ACCOUNTING_WHAT_IF_H_
#define RECLAIM_ACCOUNTING_WHAT_IF_H_

#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "gc/roots.h"
#include "index/graph_view.h"
#include "index/totals.h"

namespace reclaim::accounting {

struct RootShare {
  gc::Root root;
  // Of what the named things reach, the bytes that this root was the first to
  // keep (each byte is charged to one root: the first in order of node id).
  store::Bytes bytes;
};

struct WhatIfReport {
  index::Tally freed;  // present content that only the named things keep
  index::Tally kept;   // what they reach and something else keeps
  std::vector<RootShare> keepers;  // largest first, at most 20
};

// `roots` are all roots of the store; `removed` the nodes (tags, content,
// containers, ...) that are taken away.  A removed content node stays where
// another root reaches it.
absl::StatusOr<WhatIfReport> WhatIf(
    const index::GraphView& view, const std::vector<gc::Root>& roots,
    const absl::flat_hash_set<index::NodeId>& removed);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_WHAT_IF_H_
