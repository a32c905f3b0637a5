// index/known_referrers.h — whether one node is a referrer of another, asked of
// each of many.
//
// A subject may have as many referrers as there are manifests, and a view has
// them in a list without an order.  So a long list is sorted once, in 4 bytes a
// referrer: asking for all n of them takes O(n log n).
//
// Thread-compatible.

#ifndef RECLAIM_INDEX_KNOWN_REFERRERS_H_
#define RECLAIM_INDEX_KNOWN_REFERRERS_H_

#include <map>
#include <vector>

#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::index {

class KnownReferrers {
 public:
  // Whether `subject` has `referrer`: in `view`, or as it was at an earlier
  // call when the subject had as many referrers as now.
  bool Has(const GraphView& view, NodeId subject, NodeId referrer);

  // The next answers are those of the view that is asked.
  void Forget() { sorted_.clear(); }

 private:
  std::map<NodeId, std::vector<NodeId>> sorted_;  // by subject
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_KNOWN_REFERRERS_H_
