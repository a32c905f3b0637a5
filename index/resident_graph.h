// index/resident_graph.h — the reference graph in memory, with its counters.
//
// Plain arrays over dense node ids (PERFORMANCE.md, decision 1): a node is 28
// bytes, and what few nodes have lies beside (index/resident_node.h); digests
// lie in a file (index/digest_shelf.h) and have four bytes of hash here.
// docs/BENCHMARKS.md has the measured sum.  Times are those of the durable
// records, to the microsecond.  It is fed by rows, one for each durable record:
// all at once when it is opened (index/resident_loader.h), then after each
// commit; putting an equal row changes nothing.  The totals of each store are
// kept exact by taking a node's contribution out before every change of it and
// putting it back afterwards.
//
// Not thread-safe by itself: writers hold `mutex` exclusively, readers share
// it; Yield() gives the shared lock up for a moment.

#ifndef RECLAIM_INDEX_RESIDENT_GRAPH_H_
#define RECLAIM_INDEX_RESIDENT_GRAPH_H_

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "index/chunked.h"
#include "index/digest_shelf.h"
#include "index/doubts.h"
#include "index/graph_view.h"
#include "index/id_lists.h"
#include "index/id_table.h"
#include "index/memberships.h"
#include "index/name_words.h"
#include "index/narrow_counts.h"
#include "index/packed_lists.h"
#include "index/reach_counter.h"
#include "index/resident_node.h"
#include "index/totals.h"
#include "oci/digest.h"

namespace reclaim::index {

// A content node, or an extent (then `key` is unused).
struct ContentRow {
  NodeId id = kNoNode;
  ContentKey key;
  NodeKind kind = NodeKind::kBlob;
  NodeState state = NodeState::kAbsent;
  uint16_t flags = 0;
  StoreId store = 0;
  store::Bytes bytes;       // zero for a blob with an extent node
  NodeId extent = kNoNode;  // of a blob whose file has several names
  uint64_t link_count = 0;  // of an extent
  Epoch stamp = 0;
  absl::Time recorded;
  absl::Time used = absl::InfinitePast();
  std::vector<NodeId> children;  // without duplicates
  NodeId subject = kNoNode;
};

struct NamedRow {
  NodeId id = kNoNode;
  NamedKey key;
  uint16_t flags = 0;
  PlaceId place = kNoPlace;
  store::Bytes bytes;
  Epoch stamp = 0;
  absl::Time recorded;
  absl::Time used = absl::InfinitePast();
  absl::Time expires = absl::InfiniteFuture();
  std::vector<NodeId> targets;  // without duplicates
};

class ResidentGraph final : public GraphView, private ReachListener {
 public:
  // `mutex` may be null where nobody else reads.  Not owned.  Digests lie in a
  // file in `scratch_folder`, or in memory if that is "".
  ResidentGraph(absl::Duration grace_period, base::Mutex* mutex,
                const std::string& scratch_folder = "");

  // Who knows the digest of a node that the file does not give back; empty if
  // nobody does.
  using DigestSource = std::function<oci::Digest(NodeId id)>;
  void SetDigestSource(DigestSource source) {
    digest_source_ = std::move(source);
  }

  // `unit` is decided once, before there is content.
  void PutStore(StoreId store, std::string name,
                DoubtUnit unit = DoubtUnit::kPlace);
  void PutPlace(PlaceId place, StoreId store, store::Place name);
  void RemoveStore(StoreId store);  // with all of its nodes
  void PutContent(const ContentRow& row);
  void PutNamed(const NamedRow& row);
  void RemoveNamed(NodeId id);  // a repository goes with its memberships
  void PutMembership(const MembershipRow& row);
  void RemoveMembership(NodeId repository, NodeId content,
                        store::MembershipKind kind);
  void SetOrphans(StoreId store, const Tally& orphans);
  void SetAdopted(StoreId store, const AdoptedTally& adopted);
  void SetStamp(NodeId id, Epoch stamp);

  // Since when a node that no root reaches has been so, as a record says; does
  // nothing for one that is live, or that has been so for longer.
  void RestoreUnreferenced(NodeId id, absl::Time since);
  // Manifests that lost their last root, or got one, since the last call.
  absl::flat_hash_set<NodeId> TakeFlipped();
  bool has_flipped() const { return !flipped_.empty(); }
  void NoteFlipped(NodeId id) { flipped_.insert(id); }

  // Settles what ended by `now`: grace periods, leases, uploads.
  void AdvanceTo(absl::Time now);
  // True if AdvanceTo(now) would change something.
  bool IsDue(absl::Time now) const;

  const StoreTotals& totals(StoreId store) const;
  bool IsLive(NodeId id) const;
  uint32_t ReferenceCount(NodeId id) const;
  bool IsLiveWithoutTags(NodeId id) const { return reach_[1].IsLive(id); }
  bool IsUsedByContainer(NodeId id) const { return reach_[2].IsLive(id); }
  // Whether a container references `id` itself.
  bool IsNamedByContainer(NodeId id) const { return container_refs_[id] > 0; }
  absl::Duration grace_period() const { return grace_period_; }
  absl::Time now() const { return now_; }
  // As ForEachNamed(), of one scope alone: costs what that holds.
  void ForEachNamedIn(NodeKind kind, StoreId store, absl::string_view scope,
                      absl::FunctionRef<bool(NodeId)> visit) const;
  // Content nodes of a place.
  void ForEachContent(PlaceId place,
                      absl::FunctionRef<void(NodeId)> visit) const;
  std::optional<MembershipRow> FindMembership(NodeId repository, NodeId content,
                                              store::MembershipKind kind) const;

  // GraphView.
  NodeId node_count() const override {
    return static_cast<NodeId>(nodes_.size());
  }
  bool Exists(NodeId id) const override {
    return id < nodes_.size() && nodes_[id].exists();
  }
  NodeKind kind(NodeId id) const override { return nodes_[id].kind(); }
  NodeState state(NodeId id) const override { return nodes_[id].state(); }
  NodeFields fields(NodeId id) const override;
  absl::Span<const NodeId> Kept(NodeId id) const override {
    return lists_.Get(nodes_[id].kept);
  }
  absl::Span<const NodeId> Referrers(NodeId id) const override;
  NodeId ExtentOf(NodeId id) const override;
  uint64_t LinkCount(NodeId extent) const override;
  NodeEdges Edges(NodeId id) const override;
  bool HasEdges(NodeId id) const override {
    return (edge_bits_[id / 64] >> (id % 64) & 1) != 0;
  }
  store::Bytes bytes(NodeId id) const override { return BytesOf(id); }
  void ForEachKeeper(NodeId id,
                     absl::FunctionRef<bool(NodeId)> visit) const override;
  NodeId FindContent(PlaceId place, const oci::Digest& digest) const override;
  NodeId FindNamed(const NamedKey& key) const override;
  oci::Digest digest(NodeId id) const override;
  NamedKey named_key(NodeId id) const override;
  StoreId FindStore(absl::string_view name) const override;
  std::string StoreName(StoreId store) const override;
  store::Place PlaceName(PlaceId place) const override;
  StoreId PlaceStore(PlaceId place) const override;
  PlaceId FindPlace(StoreId store, const store::Place& name) const override;
  void ForEachPlace(StoreId store,
                    absl::FunctionRef<void(PlaceId)> visit) const override;
  DoubtUnit UnitOfDoubt(StoreId store) const override;
  Doubt DoubtAbout(NodeId content) const override;
  bool HasDoubt(PlaceId place) const override;
  bool IsWholeInDoubt(PlaceId place) const override;
  bool IsRepositoryInDoubt(NodeId repository) const override;
  void ForEachNamed(NodeKind kind, StoreId store,
                    absl::FunctionRef<bool(NodeId)> visit) const override;
  void ForEachMember(
      NodeId repository,
      absl::FunctionRef<bool(NodeId, store::MembershipKind, absl::Time)> visit)
      const override;
  std::optional<absl::Time> LinkedAt(NodeId repository, NodeId content,
                                     store::MembershipKind kind) const override;
  void ForEachRepositoryOf(
      NodeId content, absl::FunctionRef<bool(NodeId)> visit) const override;
  // The lock is its caller's.
  void Yield() const override ABSL_NO_THREAD_SAFETY_ANALYSIS;

 private:
  static constexpr int kReachClassCount = 3;  // all, without tags, containers
  // A bit for each of them.
  static constexpr uint8_t kAll = 1 << 0;
  static constexpr uint8_t kWithoutTags = 1 << 1;
  static constexpr uint8_t kContainers = 1 << 2;

  // Fills an empty graph, and counts once (index/resident_loader.h).
  friend class ResidentLoader;

  using Node = ResidentNode;
  using LeaseAge = std::pair<absl::Time, NodeId>;

  // From snapshots to what they stand on and were unpacked from
  // (resident_snapshots.cc).
  class SnapshotEdges final : public ReachListener {
   public:
    explicit SnapshotEdges(ResidentGraph* graph) : graph_(graph) {}
    void ForEachEdge(NodeId id,
                     absl::FunctionRef<void(NodeId)> visit) const override;
    void BeforeFlip(int, NodeId id) override { graph_->Unsettle(id); }
    void AfterFlip(int, NodeId id) override { graph_->Settle(id); }

   private:
    ResidentGraph* graph_;
  };

  // The begin of all names of one scope; a number of words_.
  struct ScopeBegin {
    uint32_t scope = 0;
  };
  // By scope, then name.
  struct NameLess {
    using is_transparent = void;
    const ResidentGraph* graph;
    bool operator()(NodeId a, NodeId b) const;
    bool operator()(NodeId a, const ScopeBegin& b) const;
    bool operator()(const ScopeBegin& a, NodeId b) const;
  };
  using NameOrder = absl::btree_set<NodeId, NameLess>;

  Node& Ensure(NodeId id);
  void MakeRoom(NodeId id);
  void AddContent(const ContentRow& row);
  void AddNamed(const NamedRow& row);
  // Names (resident_names.cc).
  void AddDigest(NodeId id, const ContentKey& key);
  // All but that it is found by it.
  void ShelveDigest(NodeId id, const ContentKey& key);
  void RemoveDigest(NodeId id);
  const NameLabel& NameOf(NodeId id) const { return names_[labels_[id]]; }
  NodeId FindName(const NameLabel& label) const;
  void AddName(NodeId id, const NamedKey& key);
  void RemoveName(NodeId id);
  void SetHome(Node* node, StoreId store, PlaceId place, Epoch stamp);
  StoreId StoreOf(const Node& node) const { return homes_[node.home].store; }
  PlaceId PlaceOf(const Node& node) const { return homes_[node.home].place; }
  Epoch StampOf(const Node& node) const { return homes_[node.home].stamp; }
  store::Bytes BytesOf(NodeId id) const;
  void SetBytes(NodeId id, const store::Bytes& bytes);
  void SetUsed(NodeId id, absl::Time used);
  // Of a node that no root reaches: since now.
  void NoteUnreferenced(NodeId id);
  absl::Time UnreferencedSince(NodeId id) const;
  absl::Time ExpiryOf(NodeId id) const;
  void SetExpiry(NodeId id, absl::Time expires);
  NodeId SubjectOf(NodeId id) const;
  void SetSubject(NodeId id, NodeId subject);
  void SetKept(NodeId id, const std::vector<NodeId>& targets);
  void LinkKeeper(NodeId keeper, NodeId target, int sign);
  void CountPresence(NodeId id, int sign);
  void AddReferrer(NodeId subject, NodeId referrer);
  void RemoveReferrer(NodeId subject, NodeId referrer);
  void NoteEdges(NodeId id);
  void RemoveContent(NodeId id);

  // Extents (resident_extents.cc).
  struct FileNames {
    NodeState state = NodeState::kAbsent;  // of its names together
    uint32_t imaged_count = 0;  // present ones that count as images' bytes
  };
  FileNames NamesOf(NodeId extent) const;
  void SetExtent(NodeId id, NodeId extent);
  void RefreshExtent(NodeId extent);

  // Doubt (resident_doubts.cc).
  void RefreshDoubt(NodeId id);
  void RefreshDoubtsAbout(NodeId repository);
  void SetUnlinked(NodeId id, bool is_unlinked);

  // Counters (resident_totals.cc).
  class Settling;
  void Unsettle(NodeId id);
  void Settle(NodeId id);
  void Contribute(NodeId id, int sign);
  void ContributeContent(NodeId id, int sign);
  void ContributeImage(NodeId id, int sign);
  void ContributeNamed(NodeId id, int sign);
  void ContributeLease(NodeId id, int sign);
  bool IsImaged(NodeId id) const {
    return !imaged_refs_.IsZero(id) || IsManifestLike(nodes_[id].kind());
  }
  uint8_t RootBits(NodeId id) const;
  void RefreshRoot(NodeId id);
  void Reroot(NodeId id);
  void ApplyFlat(NodeId id, bool is_applied);
  // Keeps `id` with its bytes, and nothing that it references; or lets it go.
  void HoldFlat(NodeId id, bool is_held);
  absl::Time Deadline(NodeId id) const;
  void ForEachEdge(NodeId id,
                   absl::FunctionRef<void(NodeId)> visit) const override;
  void BeforeFlip(int reach_class, NodeId id) override;
  void AfterFlip(int reach_class, NodeId id) override;
  void CountActive(NodeId manifest);

  // Unpacked layers (resident_snapshots.cc).
  void BecomeSnapshot(NodeId id);
  uint8_t SnapshotBits(NodeId id) const;
  void MoveHolds(NodeId snapshot, const std::vector<NodeId>& from,
                 const std::vector<NodeId>& to);
  void RefreshSnapshots(NodeId id);

  absl::Duration grace_period_;
  base::Mutex* mutex_;
  absl::Time now_ = absl::InfinitePast();

  Chunked<Node> nodes_;
  NodeId room_ = 0;  // nodes that what lies beside them is long enough for
  // Of content a hash of its place and digest, of a name where it lies in
  // names_, 0 before there is one.
  Chunked<uint32_t> labels_;
  Chunked<NameLabel> names_;
  DigestShelf digests_;
  DigestSource digest_source_;
  IdLists lists_;                    // of edges
  PackedLists keepers_;              // their reverse
  std::vector<uint64_t> edge_bits_;  // HasEdges()
  // Since when the nodes that no root reaches have been so, where it is not
  // `first_now_`, as it is of all that was dead when the graph was loaded.
  absl::flat_hash_map<NodeId, int64_t> unreferenced_since_;
  int64_t first_now_ = 0;
  // Beside the nodes (index/resident_node.h).
  absl::flat_hash_map<NodeId, store::Bytes> odd_bytes_;
  absl::flat_hash_map<NodeId, int64_t> uses_;
  absl::flat_hash_map<NodeId, absl::Time> expiries_of_;
  absl::flat_hash_map<NodeId, std::array<char, 32>> digest_tails_;
  absl::flat_hash_map<NodeId, NodeId> subjects_;
  absl::flat_hash_map<NodeId, IdLists::List> referrers_;
  absl::flat_hash_map<NodeId, NodeId> extents_;
  absl::flat_hash_map<NodeId, IdLists::List> extent_blobs_;
  absl::flat_hash_map<NodeId, uint64_t> link_counts_;  // of extents, if known

  NarrowCounts imaged_refs_;      // present content that lists it
  SparseCounts unlisting_refs_;   // of these, what is no manifest
  NarrowCounts tag_refs_;         // tags that name it
  SparseCounts container_refs_;   // containers that reference it
  SparseCounts active_children_;  // listed manifests that containers reach
  SparseCounts only_name_refs_;
  SparseCounts snapshot_refs_;  // snapshots on it, or unpacked from it
  SparseCounts lease_refs_;     // leases that name it
  std::map<StoreId, absl::btree_set<LeaseAge>> lease_ages_;

  // Where nodes are and when they were touched last; the first is that of what
  // is not there yet.  One that no node has any more is taken again, for epochs
  // go on for ever.
  struct Home {
    StoreId store = 0;
    PlaceId place = kNoPlace;
    Epoch stamp = 0;
    uint32_t node_count = 0;
  };
  using HomeKey = std::tuple<StoreId, PlaceId, Epoch>;
  std::vector<Home> homes_ = {Home()};
  std::vector<uint32_t> free_homes_;
  absl::flat_hash_map<HomeKey, uint32_t> home_ids_ = {
      {HomeKey(StoreId{0}, kNoPlace, Epoch{0}), 0}};
  NameWords words_;
  IdTable content_ids_;
  IdTable named_ids_;
  std::map<std::pair<NodeKind, StoreId>, NameOrder> order_;
  Memberships memberships_;
  std::map<StoreId, std::string> stores_;
  std::map<PlaceId, std::pair<StoreId, store::Place>> places_;
  std::map<std::pair<StoreId, store::Place>, PlaceId> place_ids_;
  absl::flat_hash_set<StoreId> doubted_by_repository_;
  Doubts doubts_;
  absl::flat_hash_set<NodeId> unlinked_;  // roots as Doubt::kUnlinked
  std::map<StoreId, StoreTotals> totals_;
  absl::flat_hash_set<NodeId> flipped_;
  std::array<ReachCounter, kReachClassCount> reach_;
  // Which snapshots stay, in the same classes; the roots of these are snapshots
  // (SnapshotBits()), which keep no content.
  SnapshotEdges snapshot_edges_{this};
  std::array<ReachCounter, kReachClassCount> holds_;
  using Expiry = std::pair<absl::Time, NodeId>;
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<Expiry>>
      expiries_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RESIDENT_GRAPH_H_
