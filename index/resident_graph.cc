#include "index/resident_graph.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutex.h"
#include "index/resident_settling.h"

namespace reclaim::index {

ResidentGraph::ResidentGraph(absl::Duration grace_period, base::Mutex* mutex)
    : grace_period_(grace_period),
      mutex_(mutex),
      reach_{ReachCounter(this, 0), ReachCounter(this, 1),
             ReachCounter(this, 2)} {}

ResidentGraph::Node& ResidentGraph::Ensure(NodeId id) {
  RECLAIM_CHECK(id != kNoNode, "a row has an id");
  if (id >= nodes_.size()) {
    nodes_.resize(id + 1);
    for (ReachCounter& reach : reach_) reach.Resize(id + 1);
  }
  return nodes_[id];
}

void ResidentGraph::PutStore(StoreId store, std::string name) {
  stores_[store] = std::move(name);
  totals_[store];
}

void ResidentGraph::PutPlace(PlaceId place, StoreId store, store::Place name) {
  place_ids_[{store, name}] = place;
  places_[place] = {store, std::move(name)};
}

void ResidentGraph::AddContent(const ContentRow& row) {
  Node& node = Ensure(row.id);
  node.exists = true;
  node.kind = row.kind;
  node.store = row.store;
  node.place = row.key.place;
  node.recorded = row.recorded;
  node.unreferenced_since =
      reach_[0].IsLive(row.id) ? absl::InfiniteFuture() : now_;
  if (IsManifestLike(row.kind)) flipped_.insert(row.id);
  if (row.kind != NodeKind::kExtent) {
    node.name = static_cast<uint32_t>(digests_.size());
    digests_.push_back(row.key.digest);
    content_ids_[row.key] = row.id;
  }
  Contribute(row.id, +1);
}

void ResidentGraph::PutContent(const ContentRow& row) {
  if (!Exists(row.id)) AddContent(row);
  if (row.kind == NodeKind::kExtent) {
    const Settling settling(this, row.id);
    nodes_[row.id].bytes = row.bytes;
    RefreshExtent(row.id);
    return;
  }
  // The old presence and edges stop counting, the new ones begin.
  const bool was_opaque = (nodes_[row.id].flags & kOpaque) != 0;
  if (nodes_[row.id].state == NodeState::kPresent) CountPresence(row.id, -1);
  {
    const Settling settling(this, row.id);
    Node& node = nodes_[row.id];
    node.kind = row.kind;
    node.state = row.state;
    node.flags = row.flags;
    node.bytes = row.bytes;
    node.stamp = row.stamp;
    node.recorded = row.recorded;
    node.used = row.used;
  }
  SetExtent(row.id, row.extent);
  SetKept(row.id, row.children);
  if (row.state == NodeState::kPresent) CountPresence(row.id, +1);
  if (row.extent != kNoNode) RefreshExtent(row.extent);
  SetSubject(row.id, row.subject);
  const bool is_opaque = (row.flags & kOpaque) != 0;
  if (was_opaque != is_opaque) {
    SetOpaquePlace(row.key.place, is_opaque ? +1 : -1);
  }
  Reroot(row.id);
}

void ResidentGraph::SetSubject(NodeId id, NodeId subject) {
  const NodeId old = nodes_[id].subject;
  if (old == subject) return;
  if (old != kNoNode) RemoveReferrer(old, id);
  if (subject != kNoNode) Ensure(subject);
  nodes_[id].subject = subject;
  if (subject != kNoNode) AddReferrer(subject, id);
}

void ResidentGraph::PutNamed(const NamedRow& row) {
  const bool is_new = !Exists(row.id);
  Ensure(row.id);
  if (is_new) {
    Node& node = nodes_[row.id];
    node.exists = true;
    node.kind = row.key.kind;
    node.state = NodeState::kPresent;
    node.store = row.key.store;
    node.name = static_cast<uint32_t>(names_.size());
    node.unreferenced_since = now_;
    names_.push_back(row.key);
    named_ids_[row.key] = row.id;
    order_[{row.key.kind, row.key.store}][{row.key.scope, row.key.name}] =
        row.id;
    Contribute(row.id, +1);
  }
  if (nodes_[row.id].is_flat_applied) ApplyFlat(row.id, false);
  {
    const Settling settling(this, row.id);
    Node& node = nodes_[row.id];
    node.flags = row.flags;
    node.place = row.place;
    node.bytes = row.bytes;
    node.stamp = row.stamp;
    node.recorded = row.recorded;
    node.used = row.used;
    node.expires = row.expires;
  }
  SetKept(row.id, row.targets);
  Reroot(row.id);
}

void ResidentGraph::RemoveNamed(NodeId id) {
  if (!Exists(id)) return;
  if (const auto it = members_.find(id); it != members_.end()) {
    const std::map<MemberKey, MembershipRow> members = it->second;
    for (const auto& [key, row] : members) {
      RemoveMembership(id, key.first, key.second);
    }
    members_.erase(id);
  }
  if (nodes_[id].is_flat_applied) ApplyFlat(id, false);
  SetKept(id, {});
  // Keepers of a named node (containers of a volume) keep an edge to a node
  // that is not there any more; readers skip it by Exists().
  Unsettle(id);
  nodes_[id].exists = false;
  Reroot(id);
  Settle(id);
  const NamedKey& key = names_[nodes_[id].name];
  named_ids_.erase(key);
  order_[{key.kind, key.store}].erase({key.scope, key.name});
}

void ResidentGraph::SetKept(NodeId id, const std::vector<NodeId>& targets) {
  const absl::Span<const NodeId> span = Kept(id);
  const std::vector<NodeId> old(span.begin(), span.end());
  if (old == targets) return;
  for (const NodeId target : targets) Ensure(target);
  for (const NodeId target : old) LinkKeeper(id, target, -1);
  {
    const Settling settling(this, id);
    Node& node = nodes_[id];
    node.kept_begin = static_cast<uint32_t>(edges_.size());
    node.kept_count = static_cast<uint32_t>(targets.size());
    edges_.insert(edges_.end(), targets.begin(), targets.end());
  }
  for (const NodeId target : targets) LinkKeeper(id, target, +1);
  // Retain before release: what stays must not die in between.
  for (ReachCounter& reach : reach_) {
    if (!reach.Passes(id)) continue;
    const bool is_flat = (nodes_[id].flags & kFlat) != 0;
    const auto passes_on = [&](NodeId target) {
      return !is_flat || nodes_[target].kind == NodeKind::kSnapshot;
    };
    for (const NodeId target : targets) {
      if (passes_on(target)) reach.Retain(target);
    }
    for (const NodeId target : old) {
      if (passes_on(target)) reach.Release(target);
    }
  }
  if (nodes_[id].kind == NodeKind::kImageIndex) {
    const Settling settling(this, id);
    nodes_[id].active_children = static_cast<uint32_t>(
        std::count_if(targets.begin(), targets.end(),
                      [&](NodeId child) { return reach_[2].IsLive(child); }));
  }
}

void ResidentGraph::LinkKeeper(NodeId keeper, NodeId target, int sign) {
  const Settling settling(this, target);
  Node& node = nodes_[target];
  if (sign > 0) {
    uint32_t link = free_link_;
    if (link != kNoLink) {
      free_link_ = links_[link].next;
    } else {
      link = static_cast<uint32_t>(links_.size());
      links_.emplace_back();
    }
    links_[link] = {keeper, node.first_keeper};
    node.first_keeper = link;
  } else {
    uint32_t* at = &node.first_keeper;
    while (links_[*at].keeper != keeper) at = &links_[*at].next;
    const uint32_t link = *at;
    *at = links_[link].next;
    links_[link].next = free_link_;
    free_link_ = link;
  }
  node.keeper_refs += sign;
  if (nodes_[keeper].kind == NodeKind::kTag) node.tag_refs += sign;
  if (nodes_[keeper].kind == NodeKind::kContainer) node.container_refs += sign;
}

// A manifest that becomes present (or ceases to be) changes what its children
// count as.
void ResidentGraph::CountPresence(NodeId id, int sign) {
  const absl::Span<const NodeId> kept = Kept(id);
  // An index lists its images, an image its parents.
  const bool is_lister = IsManifestLike(nodes_[id].kind);
  for (const NodeId child : kept) {
    {
      const Settling settling(this, child);
      nodes_[child].imaged_refs += sign;
      if (is_lister) nodes_[child].listed_refs += sign;
    }
    if (nodes_[child].extent != kNoNode) RefreshExtent(nodes_[child].extent);
  }
}

void ResidentGraph::AddReferrer(NodeId subject, NodeId referrer) {
  Ensure(subject);
  referrers_[subject].push_back(referrer);
  for (ReachCounter& reach : reach_) {
    if (reach.Passes(subject)) reach.Retain(referrer);
  }
}

void ResidentGraph::RemoveReferrer(NodeId subject, NodeId referrer) {
  std::vector<NodeId>& all = referrers_[subject];
  all.erase(std::find(all.begin(), all.end(), referrer));
  for (ReachCounter& reach : reach_) {
    if (reach.Passes(subject)) reach.Release(referrer);
  }
}

void ResidentGraph::SetExtent(NodeId id, NodeId extent) {
  const NodeId old = nodes_[id].extent;
  if (old == extent) return;
  if (extent != kNoNode) Ensure(extent);
  nodes_[id].extent = extent;
  if (extent != kNoNode) extent_blobs_[extent].push_back(id);
  if (old != kNoNode) {
    std::vector<NodeId>& blobs = extent_blobs_[old];
    blobs.erase(std::find(blobs.begin(), blobs.end(), id));
  }
  for (ReachCounter& reach : reach_) {
    if (!reach.Passes(id)) continue;
    if (extent != kNoNode) reach.Retain(extent);
    if (old != kNoNode) reach.Release(old);
  }
  if (old != kNoNode) RefreshExtent(old);
}

void ResidentGraph::RefreshExtent(NodeId extent) {
  const Settling settling(this, extent);
  Node& node = nodes_[extent];
  node.state = NodeState::kAbsent;
  node.imaged_refs = 0;
  const auto it = extent_blobs_.find(extent);
  if (it == extent_blobs_.end()) return;
  for (const NodeId blob : it->second) {
    const Node& other = nodes_[blob];
    if (other.state == NodeState::kPresent) {
      node.state = NodeState::kPresent;
      if (IsImaged(other)) ++node.imaged_refs;
    } else if (other.state == NodeState::kQuarantined &&
               node.state == NodeState::kAbsent) {
      node.state = NodeState::kQuarantined;
    }
  }
}

void ResidentGraph::PutMembership(const MembershipRow& row) {
  const auto [it, is_new] =
      members_[row.repository].try_emplace({row.content, row.kind}, row);
  const bool was_only_name = !is_new && it->second.is_only_name;
  it->second = row;
  if (is_new) ++repositories_of_[row.content][row.repository];
  nodes_[row.content].only_name_refs +=
      (row.is_only_name ? 1 : 0) - (was_only_name ? 1 : 0);
  Reroot(row.content);
}

void ResidentGraph::RemoveMembership(NodeId repository, NodeId content,
                                     store::MembershipKind kind) {
  auto& members = members_[repository];
  const auto it = members.find({content, kind});
  if (it == members.end()) return;
  if (it->second.is_only_name) --nodes_[content].only_name_refs;
  members.erase(it);
  auto& repositories = repositories_of_[content];
  if (--repositories[repository] == 0) repositories.erase(repository);
  Reroot(content);
}

void ResidentGraph::RemoveContent(NodeId id) {
  nodes_[id].exists = false;
  if (nodes_[id].kind != NodeKind::kExtent) {
    content_ids_.erase({nodes_[id].place, digest(id)});
  }
}

// The nodes of a store only reference each other: they can go one by one, as
// long as each is dead and empty before it goes.
void ResidentGraph::RemoveStore(StoreId store) {
  for (NodeId id = 0; id < node_count(); ++id) {
    if (!Exists(id) || nodes_[id].store != store) continue;
    if (!IsContent(nodes_[id].kind)) RemoveNamed(id);
  }
  for (NodeId id = 0; id < node_count(); ++id) {
    if (!Exists(id) || nodes_[id].store != store) continue;
    ContentRow row;
    row.id = id;
    row.kind = nodes_[id].kind;
    row.store = store;
    if (row.kind != NodeKind::kExtent) row.key = {nodes_[id].place, digest(id)};
    PutContent(row);
  }
  for (NodeId id = 0; id < node_count(); ++id) {
    if (Exists(id) && nodes_[id].store == store) RemoveContent(id);
  }
  for (auto it = places_.begin(); it != places_.end();) {
    if (it->second.first != store) {
      ++it;
      continue;
    }
    place_ids_.erase(it->second);
    it = places_.erase(it);
  }
  stores_.erase(store);
  totals_.erase(store);
}

}  // namespace reclaim::index
