// gc/adopted_blobs.h — private to gc: whether something names what was found in
// quarantine without a record.
//
// The graph has no node for its bytes, so it is named if a node of its digest
// is, which has none.  There may be as many of them as the store ever held.

#ifndef RECLAIM_GC_ADOPTED_BLOBS_H_
#define RECLAIM_GC_ADOPTED_BLOBS_H_

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::gc {

// What stands for a digest in a place of a store, and in the place "" for who
// holds it wherever it is.  kNoNode for none.
std::array<index::NodeId, 2> NodesOf(const index::GraphView& view,
                                     index::StoreId store,
                                     const store::Place& place,
                                     const oci::Digest& digest);

// Whether something that is there names the node, which has no bytes.  False
// for kNoNode.
bool IsNamedAndAbsent(const index::GraphReader& reader, index::NodeId node);

// Those of a store, for as long as a purge takes.  Each is looked up in the
// graph once; whatever names one after that has made a node that is new, or
// names one of the few that stood for one already.  Not thread-safe.
class AdoptedBlobs {
 public:
  void Add(const store::Place& place, const oci::Digest& digest) {
    blobs_[place].insert(digest);
  }
  // Once, after the last of them.  Yields.
  void LookUp(const index::GraphView& view, index::StoreId store);
  bool empty() const { return blobs_.empty(); }

  // Those of `places` where one is named, or was at an earlier call.
  std::set<store::Place> NamedPlaces(const index::GraphReader& reader,
                                     index::StoreId store,
                                     std::set<store::Place> places);
  // How often a node was looked at or looked for.
  uint64_t look_count() const { return look_count_; }

 private:
  // From the first id on that has not been seen.
  void LookAtNewNodes(const index::GraphView& view, index::StoreId store);

  std::map<store::Place, absl::flat_hash_set<oci::Digest>> blobs_;
  std::map<store::Place, std::vector<index::NodeId>> nodes_;
  index::NodeId seen_ = 0;  // no id is given twice
  std::set<store::Place> named_;
  uint64_t look_count_ = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_ADOPTED_BLOBS_H_
