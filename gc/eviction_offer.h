// gc/eviction_offer.h — private to gc/plan: what a target chooses from, as an
// EvictionProblem.
//
// The pieces are the nodes that would go if all went that may go.  The
// candidates are what lets go of them: an image that loses its names, and, for
// nothing (gc::kNoRegretTier), what nothing names any more.  A piece is freed
// when all candidates that reach it go, over the same edges as a mark (content
// that is not here or in quarantine passes reachability on as well), and from
// content to the snapshots that it was unpacked to and those they stand on.
//
// Yields.

#ifndef RECLAIM_GC_EVICTION_OFFER_H_
#define RECLAIM_GC_EVICTION_OFFER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "gc/eviction.h"
#include "gc/mark.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::gc {

// Tiers of one class of regret: what was used last within a day, two, four, ...
// days is regretted alike.  The youngest is the last.
inline constexpr uint32_t kRecencyTierCount = 16;
uint32_t RecencyTier(absl::Duration idle);

class EvictionOffer {
 public:
  // `offered`: content, uploads and snapshots, ascending, none of them in
  // `kept`.  `named`: the images among them that lose their names, with their
  // tiers.  View and set are not owned.
  EvictionOffer(const index::GraphView& view, const LiveSet& kept,
                const std::vector<index::NodeId>& offered,
                const std::map<index::NodeId, uint32_t>& named);

  const EvictionProblem& problem() const { return problem_; }
  // What goes if these candidates do.
  absl::flat_hash_set<index::NodeId> GoneWith(
      const std::vector<uint32_t>& chosen) const;

 private:
  using NodeId = index::NodeId;

  void YieldNowAndThen();
  void AddPiece(NodeId id);
  void AddExtentOf(NodeId id);
  void FindFlatTargets(index::StoreId store);
  bool IsKeptAlone(NodeId id) const;
  void FindEdges();
  void AddCandidate(uint32_t top, uint32_t tier);
  void ForEachEdge(NodeId id, absl::FunctionRef<void(NodeId)> visit) const;

  const index::GraphView& view_;
  const LiveSet& kept_;
  EvictionProblem problem_;
  // The pieces, under their numbers, and then what is none and leads on to
  // some.
  absl::flat_hash_map<NodeId, uint32_t> vertices_;
  std::vector<NodeId> nodes_;  // by vertex
  // Of each vertex: edges_[first_edge_[vertex] .. first_edge_[vertex + 1]).
  std::vector<size_t> first_edge_;
  std::vector<uint32_t> edges_;
  // By content: the snapshots among the pieces that it was unpacked to.
  absl::flat_hash_map<NodeId, std::vector<NodeId>> unpacked_;
  absl::flat_hash_set<NodeId> flat_targets_;
  std::vector<uint32_t> seen_;  // by vertex: the last candidate there, and 1
  uint64_t step_count_ = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_EVICTION_OFFER_H_
