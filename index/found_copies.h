// index/found_copies.h — private: where content is that is named in no place.
//
// Who holds or asks for a digest and does not say where means each copy
// (index/held_copies.cc).  To find them is digests times places, or a walk over
// the graph: too much while other writers wait.  So they are found before the
// write order is taken; with it, only what has come since is looked at.  Nodes
// of content do not go, nor change their names, so that is all of them: in what
// state they are is asked when they are used.
//
// Not thread-safe.

#ifndef RECLAIM_INDEX_FOUND_COPIES_H_
#define RECLAIM_INDEX_FOUND_COPIES_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "index/graph_view.h"
#include "index/mutation.h"
#include "index/node.h"
#include "oci/digest.h"

namespace reclaim::index {

class FoundCopies {
 public:
  // What is to be found; before Look().
  void Want(StoreId store, const oci::Digest& digest) {
    nodes_[{store, digest}];
  }
  // What the operation names in no place.
  void Want(const GraphView& view, const Operation& operation);
  bool empty() const { return nodes_.empty(); }

  // Finds the nodes.  Yields.
  void Look(const GraphView& view);
  // Finds those that have come since.  Does not yield.
  void Follow(const GraphView& view);

  // The nodes of the digest in all places, also absent ones; null if it was not
  // wanted.
  const std::vector<NodeId>* Find(StoreId store,
                                  const oci::Digest& digest) const {
    const auto it = nodes_.find({store, digest});
    return it == nodes_.end() ? nullptr : &it->second;
  }

 private:
  using Name = std::pair<StoreId, oci::Digest>;
  using Places = absl::flat_hash_map<StoreId, std::vector<PlaceId>>;

  void LookUp(const GraphView& view, const Places& places, NodeId end);
  void AddIfWanted(const GraphView& view, NodeId id);

  absl::flat_hash_map<Name, std::vector<NodeId>> nodes_;
  NodeId seen_ = 0;  // all below it were looked at
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_FOUND_COPIES_H_
