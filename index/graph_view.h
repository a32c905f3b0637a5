// index/graph_view.h — the read-only face of the resident graph.
//
// The graph is plain arrays over dense node ids (PERFORMANCE.md, decision 1).
// Mark, exclusive sizes, explanation and plans are pure functions over a
// GraphView: they know no clock, no store, no database.
//
// A view is valid while its reader holds the graph's read lock (see
// index/reference_graph.h).  A long pass gives the lock up every few thousand
// steps through Yield(), so that writers never wait for it (I10).  What can
// change across a Yield(): nodes and edges appear (their targets are stamped
// with the running epoch, which is the write barrier), named nodes and tags
// vanish, states change.  What cannot: ids are not reused, and the content
// edges of a manifest that had edges stay what they were, unless a scan finds
// that its bytes say others: these appear, stamped as all that do.

#ifndef RECLAIM_INDEX_GRAPH_VIEW_H_
#define RECLAIM_INDEX_GRAPH_VIEW_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::index {

// Everything about one node that is one word long.
struct NodeFields {
  NodeKind kind = NodeKind::kBlob;
  NodeState state = NodeState::kAbsent;
  uint16_t flags = 0;  // NodeFlag
  StoreId store = 0;
  PlaceId place = kNoPlace;
  // Of the node alone; zero while absent, and zero for a blob whose file has
  // several names: then the bytes are its extent's.
  store::Bytes bytes;
  Epoch stamp = 0;      // last epoch in which the write barrier touched it
  absl::Time recorded;  // first known here (or file time); grace counts from it
  absl::Time used;      // last use; InfinitePast() if never
  absl::Time unreferenced_since;  // InfiniteFuture() while referenced
  absl::Time expires;             // leases, uploads; InfiniteFuture() if never
};

// What a walk over the graph asks of a node.
struct NodeEdges {
  absl::Span<const NodeId> kept;
  absl::Span<const NodeId> referrers;
  NodeId extent = kNoNode;
  bool is_flat = false;  // a flat lease
};

class GraphView {
 public:
  virtual ~GraphView() = default;

  // Ids are 0 <= id < node_count(); some are holes (Exists() is false).
  virtual NodeId node_count() const = 0;
  virtual bool Exists(NodeId id) const = 0;
  virtual NodeKind kind(NodeId id) const = 0;
  virtual NodeState state(NodeId id) const = 0;
  virtual NodeFields fields(NodeId id) const = 0;

  // What `id` keeps alive: the content edges of a manifest, or the targets of a
  // named node (a repository keeps nothing).  Contiguous, without duplicates.
  virtual absl::Span<const NodeId> Kept(NodeId id) const = 0;
  // The referrers of a subject: kept by it as well, by policy.
  virtual absl::Span<const NodeId> Referrers(NodeId id) const = 0;

  // The extent that holds the bytes of a blob whose file has several names, or
  // kNoNode.  An extent is kept by every blob that names it, so bytes behind
  // hard links are counted once and go with the last of them.
  virtual NodeId ExtentOf(NodeId id) const = 0;
  // How many names the file of an extent had when its store last told, wherever
  // they lie; 0 if nobody knows.
  virtual uint64_t LinkCount(NodeId) const { return 0; }
  // Whether some of them are none of this store's blobs, here or in quarantine:
  // then its bytes stay on the disk whatever goes.
  bool IsLinkedElsewhere(NodeId extent) const {
    const uint64_t links = LinkCount(extent);
    uint64_t names = 0;
    if (links == 0) return false;
    ForEachKeeper(extent, [&](NodeId name) {
      if (state(name) != NodeState::kAbsent) ++names;
      return true;
    });
    return links > names;
  }

  // The three above in one call, for walks over millions of nodes; nothing if
  // the node does not exist.
  virtual NodeEdges Edges(NodeId id) const {
    NodeEdges edges;
    if (!Exists(id)) return edges;
    edges.kept = Kept(id);
    edges.referrers = Referrers(id);
    edges.extent = ExtentOf(id);
    edges.is_flat =
        kind(id) == NodeKind::kLease && (fields(id).flags & kFlat) != 0;
    return edges;
  }
  // False only if Edges() is empty: most nodes are leaves, and a walk that asks
  // first leaves them where they are.
  virtual bool HasEdges(NodeId) const { return true; }
  // The bytes of fields(), alone.
  virtual store::Bytes bytes(NodeId id) const { return fields(id).bytes; }

  // The keepers of `id`: reverse edges, found by the index's own adjacency.
  // Calls `visit` once for each; stops when it returns false.
  virtual void ForEachKeeper(
      NodeId id, absl::FunctionRef<bool(NodeId keeper)> visit) const = 0;

  // Names.
  virtual NodeId FindContent(PlaceId place,
                             const oci::Digest& digest) const = 0;
  virtual NodeId FindNamed(const NamedKey& key) const = 0;
  virtual oci::Digest digest(NodeId id) const = 0;              // content only
  virtual NamedKey named_key(NodeId id) const = 0;              // named only
  virtual StoreId FindStore(absl::string_view name) const = 0;  // or kNoStore
  virtual std::string StoreName(StoreId store) const = 0;
  virtual store::Place PlaceName(PlaceId place) const = 0;
  virtual StoreId PlaceStore(PlaceId place) const = 0;
  // kNoPlace if the store has no such place.
  virtual PlaceId FindPlace(StoreId store, const store::Place& name) const = 0;
  // All that anything was ever recorded in, ascending by name.
  virtual void ForEachPlace(StoreId store,
                            absl::FunctionRef<void(PlaceId)> visit) const = 0;
  // What opaque manifests (NodeFlag::kOpaque) keep from being collected (I5).
  virtual DoubtUnit UnitOfDoubt(StoreId store) const = 0;
  virtual Doubt DoubtAbout(NodeId content) const = 0;
  // Whether anything in `place` is in doubt; whether all of it is.
  virtual bool HasDoubt(PlaceId place) const = 0;
  virtual bool IsWholeInDoubt(PlaceId place) const = 0;
  // Whether all that a repository links is, its place being so included.
  virtual bool IsRepositoryInDoubt(NodeId repository) const = 0;

  // Lists by kind and store, ascending by name; complete at the time of call.
  virtual void ForEachNamed(NodeKind kind, StoreId store,
                            absl::FunctionRef<bool(NodeId)> visit) const = 0;
  // The members of a repository (revision and layer links, or unnamed entries).
  virtual void ForEachMember(
      NodeId repository,
      absl::FunctionRef<bool(NodeId content, store::MembershipKind,
                             absl::Time linked)>
          visit) const = 0;
  // When `content` became a member; unset if it is none.
  virtual std::optional<absl::Time> LinkedAt(
      NodeId repository, NodeId content, store::MembershipKind kind) const = 0;
  // The repositories that `content` is a member of.
  virtual void ForEachRepositoryOf(
      NodeId content,
      absl::FunctionRef<bool(NodeId repository)> visit) const = 0;

  // Lets writers in.  The view stays usable afterwards, under the rules above.
  virtual void Yield() const = 0;
};

inline constexpr StoreId kNoStore = std::numeric_limits<StoreId>::max();

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_GRAPH_VIEW_H_
