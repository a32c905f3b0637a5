// tests/support/naive_figures.h — what the resident graph and the accounting
// must say of a graph, worked out the slow and obvious way.  FOR TESTS ONLY.
//
// It shares no code with index or accounting: each figure is counted by its
// definition over the nodes that are there.  What goes with something is what
// is reached with it less what is reached without.

#ifndef RECLAIM_TESTS_SUPPORT_NAIVE_FIGURES_H_
#define RECLAIM_TESTS_SUPPORT_NAIVE_FIGURES_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"
#include "tests/support/naive_reach.h"

namespace reclaim::tests {

struct NaiveImage {
  index::NodeId node = index::kNoNode;
  store::Bytes size;
  store::Bytes shared;
  store::Bytes unique;
  uint64_t container_count = 0;
  uint64_t absent_count = 0;
  bool is_dangling = false;
  bool is_active = false;  // a container reaches it, or a platform of it
};

struct NaiveRepository {
  index::NodeId repository = index::kNoNode;
  store::Bytes reachable;
  store::Bytes exclusive;
  store::Bytes apportioned;
};

struct NaiveShares {
  std::vector<NaiveRepository> repositories;  // ascending by node id
  store::Bytes unattributed;
};

class NaiveFigures {
 public:
  using Nodes = NaiveReach::Nodes;
  enum class RootSet { kAll, kWithoutTags, kContainers };

  // Of store 0.  `view` is not owned, and does not change meanwhile.
  NaiveFigures(const index::GraphView& view, absl::Time now,
               absl::Duration grace_period);

  const Nodes& all() const { return reach_.all(); }
  // What these roots reach.
  Nodes Reached(RootSet set) const;
  // Of the images that are listed by themselves, ascending by node id.
  std::vector<NaiveImage> Images() const;
  NaiveShares Shares() const;

 private:
  bool IsPresentManifest(index::NodeId id) const;
  // Whether a file has a name that is none of the store's.
  bool IsHeldElsewhere(index::NodeId extent) const;
  Nodes RootsOf(RootSet set) const;
  Nodes TagsOf(index::NodeId repository) const;
  bool IsListed(index::NodeId id) const;
  // Content alone, without referrers.
  Nodes Closure(index::NodeId image) const;
  // The names of a file.
  Nodes NamesOf(index::NodeId extent) const;
  bool IsSharedBy(index::NodeId id, const Nodes& closure,
                  const std::vector<Nodes>& closures) const;
  uint64_t CountContainers(index::NodeId image, const Nodes& closure) const;
  // Of present content and uploads.
  store::Bytes BytesOf(const Nodes& nodes) const;

  const index::GraphView& view_;
  const NaiveReach reach_;
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_NAIVE_FIGURES_H_
