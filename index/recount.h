// index/recount.h — every figure from nothing: the twin of the counters (I6).
//
// Computes the totals of a store from the nodes, edges and names alone, by
// marking from the roots, with none of the counters' code.  `reclaim verify`
// and the property tests compare the two.
//
// Pure; yields.  O(nodes + edges).

#ifndef RECLAIM_INDEX_RECOUNT_H_
#define RECLAIM_INDEX_RECOUNT_H_

#include "absl/time/time.h"
#include "index/graph_view.h"
#include "index/totals.h"

namespace reclaim::index {

struct RecountInputs {
  StoreId store = kNoStore;
  absl::Time now;
  absl::Duration grace_period;
  // No node stands for them: taken over as they are.
  Tally orphans;
  Tally adopted;
  store::Bytes adopted_held;
};

StoreTotals Recount(const GraphView& view, const RecountInputs& inputs);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RECOUNT_H_
