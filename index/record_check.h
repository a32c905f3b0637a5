// index/record_check.h — whether durable records fit together.
//
// The resident arrays trust their rows: an edge to a node that was never given
// an id, a place that nobody knows or a kind that does not exist would be read
// past the end of an array, or make counters wrong.  So each row out of the
// database is looked at before it goes in.
//
// Errors are DATA_LOSS and name the record.  Only reads the graph.  Not
// thread-safe.

#ifndef RECLAIM_INDEX_RECORD_CHECK_H_
#define RECLAIM_INDEX_RECORD_CHECK_H_

#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "index/memberships.h"
#include "index/node.h"
#include "index/resident_graph.h"

namespace reclaim::index {

class RecordCheck {
 public:
  // `graph` has all stores and places, and every row that was found good so
  // far; not owned.  Ids from `node_count` on were never given.
  RecordCheck(const ResidentGraph* graph, NodeId node_count)
      : graph_(*graph), node_count_(node_count) {}

  absl::Status Check(const ContentRow& row);
  absl::Status Check(const NamedRow& row);
  // Of the row alone: the graph is not looked at.
  absl::Status Check(const MembershipRow& row) const;

  // Both after all content and names.  Whether all files of content are files
  // of its store, and all subjects are content.
  absl::Status CheckContentEdges() const;
  // Whether all links are of repositories, and lead to content.
  absl::Status CheckLinks(const Memberships& links) const;
  // Of content whose digest another one has (ResidentLoader::IndexDigests()).
  static absl::Status DigestTwice(NodeId content);

 private:
  bool IsId(NodeId id) const { return id < node_count_; }
  bool IsIdOrNone(NodeId id) const { return id == kNoNode || IsId(id); }
  bool AreEdges(const std::vector<NodeId>& kept);
  bool IsStore(StoreId store);
  bool IsPlaceOf(PlaceId place, StoreId store);

  const ResidentGraph& graph_;
  const NodeId node_count_;
  // The last that were good: neighbours are nearly always of one place.
  std::optional<StoreId> store_;
  std::optional<std::pair<StoreId, PlaceId>> place_;
  std::vector<NodeId> sorted_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RECORD_CHECK_H_
