// The read-only face of the resident graph.

#include "base/mutex.h"
#include "index/resident_graph.h"

namespace reclaim::index {

NodeFields ResidentGraph::fields(NodeId id) const {
  const Node& node = nodes_[id];
  NodeFields fields;
  fields.kind = node.kind();
  fields.state = node.state();
  fields.flags = node.flags();
  if (only_name_refs_[id] > 0) fields.flags |= kOnlyName;
  fields.store = StoreOf(node);
  fields.place = PlaceOf(node);
  fields.bytes = BytesOf(id);
  fields.stamp = StampOf(node);
  fields.recorded = node.recorded();
  fields.used = absl::InfinitePast();
  if (node.has_use()) fields.used = FromPackedMicros(uses_.find(id)->second);
  fields.unreferenced_since = UnreferencedSince(id);
  fields.expires = ExpiryOf(id);
  return fields;
}

absl::Span<const NodeId> ResidentGraph::Referrers(NodeId id) const {
  if (!nodes_[id].has_referrers()) return {};
  return lists_.Get(referrers_.find(id)->second);
}

NodeId ResidentGraph::ExtentOf(NodeId id) const {
  return nodes_[id].has_extent() ? extents_.find(id)->second : kNoNode;
}

NodeEdges ResidentGraph::Edges(NodeId id) const {
  const Node& node = nodes_[id];
  NodeEdges edges;
  if (!node.exists()) return edges;
  edges.kept = lists_.Get(node.kept);
  if (node.has_referrers()) edges.referrers = Referrers(id);
  if (node.has_extent()) edges.extent = ExtentOf(id);
  edges.is_flat =
      node.kind() == NodeKind::kLease && (node.flags() & kFlat) != 0;
  return edges;
}

NodeId ResidentGraph::SubjectOf(NodeId id) const {
  return nodes_[id].has_subject() ? subjects_.find(id)->second : kNoNode;
}

uint64_t ResidentGraph::LinkCount(NodeId extent) const {
  const auto it = link_counts_.find(extent);
  return it == link_counts_.end() ? 0 : it->second;
}

void ResidentGraph::ForEachKeeper(NodeId id,
                                  absl::FunctionRef<bool(NodeId)> visit) const {
  bool goes_on = true;
  keepers_.ForEach(nodes_[id].keepers, [&](NodeId keeper) {
    goes_on = visit(keeper);
    return goes_on;
  });
  if (!goes_on) return;
  const NodeId subject = SubjectOf(id);
  if (subject != kNoNode && !visit(subject)) return;
  if (nodes_[id].kind() != NodeKind::kExtent) return;
  const auto blobs = extent_blobs_.find(id);
  if (blobs == extent_blobs_.end()) return;
  for (const NodeId blob : lists_.Get(blobs->second)) {
    if (!visit(blob)) return;
  }
}

StoreId ResidentGraph::FindStore(absl::string_view name) const {
  for (const auto& [id, store] : stores_) {
    if (store == name) return id;
  }
  return kNoStore;
}

std::string ResidentGraph::StoreName(StoreId store) const {
  const auto it = stores_.find(store);
  return it == stores_.end() ? "" : it->second;
}

store::Place ResidentGraph::PlaceName(PlaceId place) const {
  const auto it = places_.find(place);
  return it == places_.end() ? "" : it->second.second;
}

StoreId ResidentGraph::PlaceStore(PlaceId place) const {
  const auto it = places_.find(place);
  return it == places_.end() ? kNoStore : it->second.first;
}

PlaceId ResidentGraph::FindPlace(StoreId store,
                                 const store::Place& name) const {
  const auto it = place_ids_.find({store, name});
  return it == place_ids_.end() ? kNoPlace : it->second;
}

void ResidentGraph::ForEachPlace(StoreId store,
                                 absl::FunctionRef<void(PlaceId)> visit) const {
  for (auto it = place_ids_.lower_bound({store, store::Place()});
       it != place_ids_.end() && it->first.first == store; ++it) {
    visit(it->second);
  }
}

std::optional<absl::Time> ResidentGraph::LinkedAt(
    NodeId repository, NodeId content, store::MembershipKind kind) const {
  const std::optional<MembershipRow> row =
      FindMembership(repository, content, kind);
  if (!row) return std::nullopt;
  return row->linked;
}

void ResidentGraph::ForEachContent(
    PlaceId place, absl::FunctionRef<void(NodeId)> visit) const {
  for (NodeId id = 0; id < node_count(); ++id) {
    const Node& node = nodes_[id];
    if (node.exists() && IsContent(node.kind()) && PlaceOf(node) == place) {
      visit(id);
    }
  }
}

std::optional<MembershipRow> ResidentGraph::FindMembership(
    NodeId repository, NodeId content, store::MembershipKind kind) const {
  return memberships_.Find(repository, content, kind);
}

void ResidentGraph::SetStamp(NodeId id, Epoch stamp) {
  Node& node = nodes_[id];
  SetHome(&node, StoreOf(node), PlaceOf(node), stamp);
}

void ResidentGraph::ForEachNamed(NodeKind kind, StoreId store,
                                 absl::FunctionRef<bool(NodeId)> visit) const {
  const auto it = order_.find({kind, store});
  if (it == order_.end()) return;
  for (const NodeId id : it->second) {
    if (!visit(id)) return;
  }
}

void ResidentGraph::ForEachNamedIn(
    NodeKind kind, StoreId store, absl::string_view scope,
    absl::FunctionRef<bool(NodeId)> visit) const {
  const auto order = order_.find({kind, store});
  const std::optional<uint32_t> word = words_.Find(scope);
  if (order == order_.end() || !word) return;
  const NameOrder& names = order->second;
  for (auto it = names.lower_bound(ScopeBegin{*word});
       it != names.end() && NameOf(*it).scope == *word; ++it) {
    if (!visit(*it)) return;
  }
}

void ResidentGraph::ForEachMember(
    NodeId repository,
    absl::FunctionRef<bool(NodeId, store::MembershipKind, absl::Time)> visit)
    const {
  memberships_.ForEachMember(repository, [&](const MembershipRow& row) {
    return visit(row.content, row.kind, row.linked);
  });
}

void ResidentGraph::ForEachRepositoryOf(
    NodeId content, absl::FunctionRef<bool(NodeId)> visit) const {
  for (const NodeId repository : memberships_.RepositoriesOf(content)) {
    if (!visit(repository)) return;
  }
}

void ResidentGraph::Yield() const {
  if (mutex_ == nullptr) return;
  mutex_->AssertReaderHeld();
  mutex_->ReaderUnlock();
  mutex_->ReaderLock();
}

}  // namespace reclaim::index
