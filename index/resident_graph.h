// index/resident_graph.h — the reference graph in memory, with its counters.
//
// Plain arrays over dense node ids (PERFORMANCE.md, decision 1).  It is fed by
// rows, one for each durable record, both when the graph is opened and after
// each commit; putting an equal row changes nothing.  The totals of each store
// are kept exact by taking a node's contribution out before every change of it
// and putting it back afterwards.
//
// Not thread-safe by itself: writers hold `mutex` exclusively, readers share
// it; Yield() gives the shared lock up for a moment.

#ifndef RECLAIM_INDEX_RESIDENT_GRAPH_H_
#define RECLAIM_INDEX_RESIDENT_GRAPH_H_

#include <array>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/mutex.h"
#include "index/graph_view.h"
#include "index/reach_counter.h"
#include "index/totals.h"

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

struct MembershipRow {
  NodeId repository = kNoNode;
  NodeId content = kNoNode;
  store::MembershipKind kind = store::MembershipKind::kRevision;
  absl::Time linked;
  bool is_only_name = false;
};

class ResidentGraph final : public GraphView, private ReachListener {
 public:
  // `mutex` may be null where nobody else reads.  Not owned.
  ResidentGraph(absl::Duration grace_period, base::Mutex* mutex);

  void PutStore(StoreId store, std::string name);
  void PutPlace(PlaceId place, StoreId store, store::Place name);
  void RemoveStore(StoreId store);  // with all of its nodes
  void PutContent(const ContentRow& row);
  void PutNamed(const NamedRow& row);
  void RemoveNamed(NodeId id);  // a repository goes with its memberships
  void PutMembership(const MembershipRow& row);
  void RemoveMembership(NodeId repository, NodeId content,
                        store::MembershipKind kind);
  void SetOrphans(StoreId store, const Tally& orphans);
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
  absl::Duration grace_period() const { return grace_period_; }
  absl::Time now() const { return now_; }
  // Content nodes of a place.
  void ForEachContent(PlaceId place,
                      absl::FunctionRef<void(NodeId)> visit) const;
  const MembershipRow* FindMembership(NodeId repository, NodeId content,
                                      store::MembershipKind kind) const;

  // GraphView.
  NodeId node_count() const override {
    return static_cast<NodeId>(nodes_.size());
  }
  bool Exists(NodeId id) const override {
    return id < nodes_.size() && nodes_[id].exists;
  }
  NodeKind kind(NodeId id) const override { return nodes_[id].kind; }
  NodeState state(NodeId id) const override { return nodes_[id].state; }
  NodeFields fields(NodeId id) const override;
  absl::Span<const NodeId> Kept(NodeId id) const override;
  absl::Span<const NodeId> Referrers(NodeId id) const override;
  NodeId ExtentOf(NodeId id) const override { return nodes_[id].extent; }
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
  bool HasOpaque(PlaceId place) const override;
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

  struct Node {
    NodeKind kind = NodeKind::kBlob;
    NodeState state = NodeState::kAbsent;
    bool exists = false;
    uint8_t root_bits = 0;     // reach classes in which it is retained as root
    uint8_t settle_depth = 0;  // > 0: its contribution is taken out
    bool is_flat_applied = false;
    uint16_t flags = 0;
    StoreId store = 0;
    PlaceId place = kNoPlace;
    Epoch stamp = 0;
    NodeId extent = kNoNode;
    NodeId subject = kNoNode;
    uint32_t kept_begin = 0;  // in edges_
    uint32_t kept_count = 0;
    uint32_t first_keeper = kNoLink;
    uint32_t imaged_refs = 0;      // present manifests that list it
    uint32_t listed_refs = 0;      // present manifests that list it
    uint32_t tag_refs = 0;         // tags that name it
    uint32_t container_refs = 0;   // containers that reference it
    uint32_t keeper_refs = 0;      // keepers of any kind
    uint32_t active_children = 0;  // listed manifests that containers reach
    uint32_t only_name_refs = 0;
    uint32_t name = 0;  // index in digests_ or names_
    store::Bytes bytes;
    absl::Time recorded;
    absl::Time used;
    absl::Time unreferenced_since = absl::InfiniteFuture();
    absl::Time expires = absl::InfiniteFuture();
  };
  struct KeeperLink {
    NodeId keeper = kNoNode;
    uint32_t next = 0;
  };
  static constexpr uint32_t kNoLink = 0xffffffff;
  using MemberKey = std::pair<NodeId, store::MembershipKind>;
  using NameOrder = std::map<std::pair<std::string, std::string>, NodeId>;

  Node& Ensure(NodeId id);
  void AddContent(const ContentRow& row);
  void SetSubject(NodeId id, NodeId subject);
  void SetKept(NodeId id, const std::vector<NodeId>& targets);
  void LinkKeeper(NodeId keeper, NodeId target, int sign);
  void CountPresence(NodeId id, int sign);
  void AddReferrer(NodeId subject, NodeId referrer);
  void RemoveReferrer(NodeId subject, NodeId referrer);
  void SetExtent(NodeId id, NodeId extent);
  void RefreshExtent(NodeId extent);
  void RemoveContent(NodeId id);
  void SetOpaquePlace(PlaceId place, int sign);

  // Counters (resident_totals.cc).
  class Settling;
  void Unsettle(NodeId id);
  void Settle(NodeId id);
  void Contribute(NodeId id, int sign);
  void ContributeContent(const Node& node, NodeId id, int sign);
  void ContributeImage(const Node& node, NodeId id, int sign);
  void ContributeNamed(const Node& node, int sign);
  bool IsImaged(const Node& node) const;
  uint8_t RootBits(const Node& node) const;
  void Reroot(NodeId id);
  void ApplyFlat(NodeId id, bool is_applied);
  absl::Time Deadline(const Node& node) const;
  void ForEachEdge(NodeId id,
                   absl::FunctionRef<void(NodeId)> visit) const override;
  void BeforeFlip(int reach_class, NodeId id) override;
  void AfterFlip(int reach_class, NodeId id) override;
  void CountActive(NodeId manifest);

  absl::Duration grace_period_;
  base::Mutex* mutex_;
  absl::Time now_ = absl::InfinitePast();

  std::vector<Node> nodes_;
  std::vector<NodeId> edges_;
  std::vector<KeeperLink> links_;
  uint32_t free_link_ = kNoLink;
  std::vector<oci::Digest> digests_;
  std::vector<NamedKey> names_;
  absl::flat_hash_map<ContentKey, NodeId> content_ids_;
  absl::flat_hash_map<NamedKey, NodeId> named_ids_;
  absl::flat_hash_map<NodeId, std::vector<NodeId>> referrers_;
  absl::flat_hash_map<NodeId, std::vector<NodeId>> extent_blobs_;
  absl::flat_hash_map<NodeId, std::map<MemberKey, MembershipRow>> members_;
  absl::flat_hash_map<NodeId, std::map<NodeId, int>> repositories_of_;
  std::map<std::pair<NodeKind, StoreId>, NameOrder> order_;
  std::map<StoreId, std::string> stores_;
  std::map<PlaceId, std::pair<StoreId, store::Place>> places_;
  std::map<std::pair<StoreId, store::Place>, PlaceId> place_ids_;
  absl::flat_hash_map<PlaceId, uint32_t> opaque_counts_;
  mutable std::map<StoreId, StoreTotals> totals_;
  absl::flat_hash_set<NodeId> flipped_;
  std::array<ReachCounter, kReachClassCount> reach_;
  using Expiry = std::pair<absl::Time, NodeId>;
  std::priority_queue<Expiry, std::vector<Expiry>, std::greater<Expiry>>
      expiries_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RESIDENT_GRAPH_H_
