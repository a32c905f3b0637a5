// gc/keeper_search.h — does anything keep this node?  Asked of one node at the
// moment of the deed, from the node up to the roots.
//
// The mark answers this for all nodes from the roots down; between the mark and
// the deed minutes pass.  The search walks keepers instead: what a plan dooms
// has few of them, and those are doomed as well (I1).  It knows the same roots
// as CollectRoots(), and besides what a writer has touched since the plan.

#ifndef RECLAIM_GC_KEEPER_SEARCH_H_
#define RECLAIM_GC_KEEPER_SEARCH_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "gc/run.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::gc {

struct KeeperTerms {
  absl::Time now;
  absl::Duration grace_period;
  absl::Duration upload_lifetime;
  // Touched in this epoch or later: kept.
  index::Epoch epoch = 0;
  // Written later than this, as file times say: kept.
  absl::Time planned = absl::InfiniteFuture();
};

// What to answer a caller.
struct Keeper {
  SkipReason reason = SkipReason::kNone;  // kNone: nothing keeps it
  std::string detail;
};

// Not thread-safe; lives while the view stands still (no Yield()).
class KeeperSearch {
 public:
  KeeperSearch(const index::GraphView* view, const KeeperTerms& terms)
      : view_(*view), terms_(terms) {}

  // Nodes that go in the same commit: they keep nothing any more.
  void AddLeaving(index::NodeId node) { leaving_.insert(node); }
  bool IsLeaving(index::NodeId node) const { return leaving_.contains(node); }
  // The entry that names it, and that alone made it a root, goes as well.
  void AddUnnamed(index::NodeId node) { unnamed_.insert(node); }
  void RemoveUnnamed(index::NodeId node) { unnamed_.erase(node); }

  // Any root.  The cost of many calls is one visit a node that is dead.
  Keeper FindRoot(index::NodeId node);
  // The tags of one repository and its young links, or a root that is no tag:
  // what keeps a link of the repository.
  Keeper FindInRepository(index::NodeId node, index::NodeId repository);

 private:
  enum class Question { kRoot, kRepository };

  Keeper Walk(index::NodeId top, Question question, index::NodeId repository,
              absl::flat_hash_set<index::NodeId>* seen) const;
  Keeper JudgeOne(index::NodeId node, Question question,
                  index::NodeId repository) const;
  Keeper JudgeContent(index::NodeId node, Question question,
                      index::NodeId repository) const;
  bool HasYoungLink(index::NodeId node, index::NodeId repository) const;
  bool IsFlatLease(index::NodeId node) const;
  Keeper FindFlatLease(index::NodeId node) const;

  const index::GraphView& view_;
  const KeeperTerms terms_;
  absl::flat_hash_set<index::NodeId> leaving_;
  absl::flat_hash_set<index::NodeId> unnamed_;
  absl::flat_hash_set<index::NodeId> dead_;  // nothing above reaches them
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_KEEPER_SEARCH_H_
