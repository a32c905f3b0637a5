// tests/support/naive_collector.h — what an image prune takes, worked out the
// slow and obvious way.  FOR TESTS ONLY: the twin that gc::MakePlan() is held
// against.  It shares no code with gc: reachability is a sweep over all nodes
// that is repeated until nothing changes, and each rule is written as the page
// SEMANTICS states it.
//
// It knows no filters, no names that containers wrote and no unreadable scopes.

#ifndef RECLAIM_TESTS_SUPPORT_NAIVE_COLLECTOR_H_
#define RECLAIM_TESTS_SUPPORT_NAIVE_COLLECTOR_H_

#include <set>
#include <tuple>

#include "absl/time/time.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::tests {

struct NaiveRequest {
  index::StoreId store = 0;
  absl::Time now;
  absl::Duration grace_period;
  absl::Duration upload_lifetime;
  bool drops_unused_tags = false;
};

struct NaiveLink {
  index::NodeId repository = index::kNoNode;
  index::NodeId content = index::kNoNode;
  store::MembershipKind kind = store::MembershipKind::kRevision;
  friend bool operator<(const NaiveLink& a, const NaiveLink& b) {
    return std::tie(a.repository, a.content, a.kind) <
           std::tie(b.repository, b.content, b.kind);
  }
  friend bool operator==(const NaiveLink& a, const NaiveLink& b) {
    return !(a < b) && !(b < a);
  }
};

struct NaivePlan {
  std::set<index::NodeId> tags;
  std::set<NaiveLink> links;
  std::set<index::NodeId> content;
  std::set<index::NodeId> uploads;
  // All present bytes less those of what stays.
  store::Bytes bytes;
};

// Time O(nodes² · repositories).
NaivePlan CollectNaively(const index::GraphView& view,
                         const NaiveRequest& request);

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_NAIVE_COLLECTOR_H_
