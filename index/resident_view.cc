// The read-only face of the resident graph.

#include "base/mutex.h"
#include "index/resident_graph.h"

namespace reclaim::index {

NodeFields ResidentGraph::fields(NodeId id) const {
  const Node& node = nodes_[id];
  NodeFields fields;
  fields.kind = node.kind;
  fields.state = node.state;
  fields.flags = node.flags;
  if (node.only_name_refs > 0) fields.flags |= kOnlyName;
  fields.store = node.store;
  fields.place = node.place;
  fields.bytes = node.bytes;
  fields.stamp = node.stamp;
  fields.recorded = node.recorded;
  fields.used = node.used;
  fields.unreferenced_since = node.unreferenced_since;
  fields.expires = node.expires;
  return fields;
}

absl::Span<const NodeId> ResidentGraph::Kept(NodeId id) const {
  const Node& node = nodes_[id];
  return absl::MakeConstSpan(edges_).subspan(node.kept_begin, node.kept_count);
}

absl::Span<const NodeId> ResidentGraph::Referrers(NodeId id) const {
  const auto it = referrers_.find(id);
  if (it == referrers_.end()) return {};
  return it->second;
}

void ResidentGraph::ForEachKeeper(NodeId id,
                                  absl::FunctionRef<bool(NodeId)> visit) const {
  const Node& node = nodes_[id];
  for (uint32_t link = node.first_keeper; link != kNoLink;
       link = links_[link].next) {
    if (!visit(links_[link].keeper)) return;
  }
  if (node.subject != kNoNode && !visit(node.subject)) return;
  const auto blobs = extent_blobs_.find(id);
  if (blobs == extent_blobs_.end()) return;
  for (const NodeId blob : blobs->second) {
    if (!visit(blob)) return;
  }
}

NodeId ResidentGraph::FindContent(PlaceId place,
                                  const oci::Digest& digest) const {
  const auto it = content_ids_.find(ContentKey{place, digest});
  return it == content_ids_.end() ? kNoNode : it->second;
}

NodeId ResidentGraph::FindNamed(const NamedKey& key) const {
  const auto it = named_ids_.find(key);
  return it == named_ids_.end() ? kNoNode : it->second;
}

oci::Digest ResidentGraph::digest(NodeId id) const {
  if (nodes_[id].kind == NodeKind::kExtent) return {};
  return digests_[nodes_[id].name];
}

NamedKey ResidentGraph::named_key(NodeId id) const {
  return names_[nodes_[id].name];
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

bool ResidentGraph::HasOpaque(PlaceId place) const {
  const auto it = opaque_counts_.find(place);
  return it != opaque_counts_.end() && it->second > 0;
}

std::optional<absl::Time> ResidentGraph::LinkedAt(
    NodeId repository, NodeId content, store::MembershipKind kind) const {
  const MembershipRow* row = FindMembership(repository, content, kind);
  if (row == nullptr) return std::nullopt;
  return row->linked;
}

void ResidentGraph::ForEachContent(
    PlaceId place, absl::FunctionRef<void(NodeId)> visit) const {
  for (NodeId id = 0; id < node_count(); ++id) {
    const Node& node = nodes_[id];
    if (node.exists && IsContent(node.kind) && node.place == place) visit(id);
  }
}

const MembershipRow* ResidentGraph::FindMembership(
    NodeId repository, NodeId content, store::MembershipKind kind) const {
  const auto members = members_.find(repository);
  if (members == members_.end()) return nullptr;
  const auto it = members->second.find({content, kind});
  return it == members->second.end() ? nullptr : &it->second;
}

void ResidentGraph::SetStamp(NodeId id, Epoch stamp) {
  nodes_[id].stamp = stamp;
}

void ResidentGraph::ForEachNamed(NodeKind kind, StoreId store,
                                 absl::FunctionRef<bool(NodeId)> visit) const {
  const auto it = order_.find({kind, store});
  if (it == order_.end()) return;
  for (const auto& [name, id] : it->second) {
    if (!visit(id)) return;
  }
}

void ResidentGraph::ForEachMember(
    NodeId repository,
    absl::FunctionRef<bool(NodeId, store::MembershipKind, absl::Time)> visit)
    const {
  const auto it = members_.find(repository);
  if (it == members_.end()) return;
  for (const auto& [key, row] : it->second) {
    if (!visit(key.first, key.second, row.linked)) return;
  }
}

void ResidentGraph::ForEachRepositoryOf(
    NodeId content, absl::FunctionRef<bool(NodeId)> visit) const {
  const auto it = repositories_of_.find(content);
  if (it == repositories_of_.end()) return;
  for (const auto& [repository, count] : it->second) {
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
