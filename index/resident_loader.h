// index/resident_loader.h — the rows of a whole graph, into an empty one.
//
// ResidentGraph has every counter right after each row, as a write needs it.
// Who opens a database asks nothing before the last row, and nearly all of what
// a row costs there is to take nodes out of the sums and to put them back, once
// for each edge.  Here a row lays down its node and its edges; who is reached,
// and what that comes to, is worked out once, in passes over the arrays.
//
// The graph is then the one that it would be had each row been put by itself,
// content first, then names, then links (resident_loader_test holds them side
// by side), but that no manifest counts as flipped: nothing has changed yet.

#ifndef RECLAIM_INDEX_RESIDENT_LOADER_H_
#define RECLAIM_INDEX_RESIDENT_LOADER_H_

#include <cstdint>
#include <vector>

#include "index/memberships.h"
#include "index/narrow_counts.h"
#include "index/node.h"
#include "index/packed_members.h"
#include "index/resident_graph.h"

namespace reclaim::index {

// The links of all repositories.  Apart from the graph, so that they can be
// read while its nodes are.  Not thread-safe.
class LinkLoader {
 public:
  // In any order; those of one repository together, ascending by content and
  // kind, cost least.  Holds less than a megabyte of them before they are
  // packed, however many one repository has.
  void Put(const MembershipRow& row);
  void Finish() { Flush(); }  // after the last row
  const Memberships& memberships() const { return memberships_; }

 private:
  friend class ResidentLoader;
  void Flush();

  Memberships memberships_;
  SparseCounts only_names_;
  // What was put last, of one repository and ascending.
  NodeId repository_ = kNoNode;
  std::vector<PackedMembers::Row> rows_;
};

// Not thread-safe but where it says so.
class ResidentLoader {
 public:
  static constexpr uint32_t kEdgesAtOnce = uint32_t{1} << 23;

  // `graph` has its stores, its places and its time, and no node.  Not owned.
  explicit ResidentLoader(ResidentGraph* graph);
  ResidentLoader(const ResidentLoader&) = delete;
  ResidentLoader& operator=(const ResidentLoader&) = delete;

  // REQUIRES: there is none of the id yet and, of a name, none of that name.
  // RecordCheck says what else is asked of rows.
  void PutContent(const ContentRow& row);
  void PutNamed(const NamedRow& row);

  // Both after the last row of these, and before Finish().  They touch nothing
  // in common: two threads may do them at once.
  //
  // Makes content to be found by its digest.  A node of which another one has
  // the digest, in the same place: then there is no graph.  kNoNode if all
  // differ.
  NodeId IndexDigests();
  // Tells each node who keeps it: in passes over all edges, each of which lays
  // out so many of them, or those of one node that has more.  Takes 4 bytes an
  // edge of these meanwhile, and 4 a node.
  void LinkKeepers(uint32_t edges_at_once = kEdgesAtOnce);

  // Counts.  The graph may be used from then on, and this object no more.
  // REQUIRES: what `links` name is there.
  void Finish(LinkLoader links);

 private:
  void SetHome(ResidentNode* node, StoreId store, PlaceId place, Epoch stamp);
  void SetKept(NodeId id, const std::vector<NodeId>& targets);
  void CountReferences(NodeId keeper);
  void FillKeepers(NodeId begin, NodeId end, std::vector<uint32_t>* at,
                   std::vector<NodeId>* laid_out);
  void JoinFiles();
  void SpreadDoubt();
  void RootAll();
  void Root(NodeId id);
  void HoldFlat(NodeId id);
  void CountActive();

  ResidentGraph& graph_;
  uint32_t home_ = 0;  // of the row before
  NodeId digest_count_ = 0;
  // In the order in which they came:
  std::vector<NodeId> keepers_;  // nodes that keep something
  std::vector<NodeId> opaque_;
  std::vector<NodeId> snapshots_;
  std::vector<NodeId> flat_leases_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RESIDENT_LOADER_H_
