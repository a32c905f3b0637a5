#include "index/resident_graph.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/mutex.h"
#include "index/resident_settling.h"

namespace reclaim::index {

ResidentGraph::ResidentGraph(absl::Duration grace_period, base::Mutex* mutex,
                             const std::string& scratch_folder)
    : grace_period_(grace_period),
      mutex_(mutex),
      digests_(scratch_folder),
      reach_{ReachCounter(this, 0), ReachCounter(this, 1),
             ReachCounter(this, 2)},
      holds_{ReachCounter(&snapshot_edges_, 0),
             ReachCounter(&snapshot_edges_, 1),
             ReachCounter(&snapshot_edges_, 2)} {
  // The name of what has none yet.
  names_.Grow(1);
  words_.Add("");
}

ResidentGraph::Node& ResidentGraph::Ensure(NodeId id) {
  RECLAIM_CHECK(id < IdLists::kIdEnd, "a row has an id");
  if (id >= nodes_.size()) {
    if (nodes_.size() == 0) first_now_ = ToPackedMicros(now_);
    nodes_.Grow(id + 1);
    if (id >= room_) MakeRoom(id);
  }
  return nodes_[id];
}

// Beside the nodes, for some thousands at once.
void ResidentGraph::MakeRoom(NodeId id) {
  constexpr NodeId kStep = 4096;
  room_ = (id / kStep + 1) * kStep;
  labels_.Grow(room_);
  edge_bits_.resize(room_ / 64);
  imaged_refs_.Grow(room_);
  tag_refs_.Grow(room_);
  for (ReachCounter& reach : reach_) reach.Resize(room_);
  for (ReachCounter& hold : holds_) hold.Resize(room_);
}

void ResidentGraph::PutStore(StoreId store, std::string name, DoubtUnit unit) {
  stores_[store] = std::move(name);
  if (unit == DoubtUnit::kRepository) doubted_by_repository_.insert(store);
  totals_[store];
}

void ResidentGraph::PutPlace(PlaceId place, StoreId store, store::Place name) {
  place_ids_[{store, name}] = place;
  places_[place] = {store, std::move(name)};
}

void ResidentGraph::AddContent(const ContentRow& row) {
  Node& node = Ensure(row.id);
  node.set_exists(true);
  node.set_kind(row.kind);
  SetHome(&node, row.store, row.key.place, row.stamp);
  node.set_recorded(row.recorded);
  if (!reach_[0].IsLive(row.id)) NoteUnreferenced(row.id);
  if (IsManifestLike(row.kind)) flipped_.insert(row.id);
  if (row.kind != NodeKind::kExtent) AddDigest(row.id, row.key);
  Contribute(row.id, +1);
  RefreshSnapshots(row.id);
}

void ResidentGraph::PutContent(const ContentRow& row) {
  if (!Exists(row.id)) AddContent(row);
  if (row.kind == NodeKind::kExtent) {
    {
      const Settling settling(this, row.id);
      SetBytes(row.id, row.bytes);
    }
    if (row.link_count > 0) {
      link_counts_[row.id] = row.link_count;
    } else {
      link_counts_.erase(row.id);
    }
    RefreshExtent(row.id);
    return;
  }
  // The old presence and edges stop counting, the new ones begin.
  SetUnlinked(row.id, false);
  if (nodes_[row.id].state() == NodeState::kPresent) CountPresence(row.id, -1);
  {
    const Settling settling(this, row.id);
    Node& node = nodes_[row.id];
    node.set_kind(row.kind);
    node.set_state(row.state);
    node.set_flags(row.flags);
    SetBytes(row.id, row.bytes);
    SetHome(&node, StoreOf(node), PlaceOf(node), row.stamp);
    node.set_recorded(row.recorded);
    SetUsed(row.id, row.used);
  }
  SetExtent(row.id, row.extent);
  SetKept(row.id, row.children);
  if (row.state == NodeState::kPresent) CountPresence(row.id, +1);
  if (row.extent != kNoNode) RefreshExtent(row.extent);
  SetSubject(row.id, row.subject);
  RefreshDoubt(row.id);
  Reroot(row.id);
}

void ResidentGraph::SetSubject(NodeId id, NodeId subject) {
  const NodeId old = SubjectOf(id);
  if (old == subject) return;
  if (old != kNoNode) RemoveReferrer(old, id);
  nodes_[id].set_has_subject(subject != kNoNode);
  if (subject == kNoNode) {
    subjects_.erase(id);
    return;
  }
  Ensure(subject);
  subjects_[id] = subject;
  AddReferrer(subject, id);
}

void ResidentGraph::AddNamed(const NamedRow& row) {
  Node& node = Ensure(row.id);
  if (row.key.kind == NodeKind::kSnapshot) BecomeSnapshot(row.id);
  node.set_exists(true);
  node.set_kind(row.key.kind);
  node.set_state(NodeState::kPresent);
  SetHome(&node, row.key.store, kNoPlace, row.stamp);
  if (!reach_[0].IsLive(row.id)) NoteUnreferenced(row.id);
  AddName(row.id, row.key);
  Contribute(row.id, +1);
}

void ResidentGraph::PutNamed(const NamedRow& row) {
  const bool is_new = !Exists(row.id);
  if (is_new) AddNamed(row);
  if (nodes_[row.id].is_flat_applied()) ApplyFlat(row.id, false);
  // A lease that turns flat, or is flat no more, lets go of all that it keeps
  // in the one way before it keeps anything in the other, the same targets too.
  if (((nodes_[row.id].flags() ^ row.flags) & kFlat) != 0) SetKept(row.id, {});
  {
    const Settling settling(this, row.id);
    Node& node = nodes_[row.id];
    node.set_flags(row.flags);
    SetHome(&node, row.key.store, row.place, row.stamp);
    SetBytes(row.id, row.bytes);
    node.set_recorded(row.recorded);
    SetUsed(row.id, row.used);
    SetExpiry(row.id, row.expires);
  }
  SetKept(row.id, row.targets);
  Reroot(row.id);
  if (is_new && row.key.kind == NodeKind::kRepository) {
    RefreshDoubtsAbout(row.id);
  }
}

void ResidentGraph::RemoveNamed(NodeId id) {
  if (!Exists(id)) return;
  for (const MembershipRow& row : memberships_.MembersOf(id)) {
    RemoveMembership(id, row.content, row.kind);
  }
  if (nodes_[id].is_flat_applied()) ApplyFlat(id, false);
  SetKept(id, {});
  // Keepers of a named node (containers of a volume) keep an edge to a node
  // that is not there any more; readers skip it by Exists().
  Unsettle(id);
  nodes_[id].set_exists(false);
  Reroot(id);
  Settle(id);
  RemoveName(id);
  if (nodes_[id].kind() == NodeKind::kRepository) RefreshDoubtsAbout(id);
}

void ResidentGraph::SetKept(NodeId id, const std::vector<NodeId>& targets) {
  const absl::Span<const NodeId> span = Kept(id);
  const std::vector<NodeId> old(span.begin(), span.end());
  if (old == targets) return;
  for (const NodeId target : targets) Ensure(target);
  for (const NodeId target : old) LinkKeeper(id, target, -1);
  {
    const Settling settling(this, id);
    lists_.Set(&nodes_[id].kept, targets);
    NoteEdges(id);
  }
  for (const NodeId target : targets) LinkKeeper(id, target, +1);
  const bool is_snapshot = nodes_[id].kind() == NodeKind::kSnapshot;
  if (is_snapshot) MoveHolds(id, old, targets);
  // Retain before release: what stays must not die in between.
  for (ReachCounter& reach : reach_) {
    if (!reach.Passes(id)) continue;
    const bool is_flat = (nodes_[id].flags() & kFlat) != 0;
    const auto passes_on = [&](NodeId target) {
      return !is_flat || nodes_[target].kind() == NodeKind::kSnapshot;
    };
    for (const NodeId target : targets) {
      if (passes_on(target)) reach.Retain(target);
    }
    for (const NodeId target : old) {
      if (passes_on(target)) reach.Release(target);
    }
  }
  if (nodes_[id].kind() == NodeKind::kImageIndex) {
    const Settling settling(this, id);
    active_children_.Set(
        id, static_cast<uint32_t>(std::count_if(
                targets.begin(), targets.end(),
                [&](NodeId child) { return reach_[2].IsLive(child); })));
  }
  if (doubts_.empty() && !is_snapshot) return;
  for (const std::vector<NodeId>* list : {&old, &targets}) {
    for (const NodeId target : *list) {
      if (doubts_.Knows(target)) RefreshDoubt(target);
      // Something stands on it now, or does so no more.
      const bool is_base = nodes_[target].kind() == NodeKind::kSnapshot;
      if (is_snapshot && is_base) RefreshRoot(target);
    }
  }
}

void ResidentGraph::LinkKeeper(NodeId keeper, NodeId target, int sign) {
  const NodeKind kind = nodes_[keeper].kind();
  const bool is_counted = kind == NodeKind::kTag ||
                          kind == NodeKind::kContainer ||
                          kind == NodeKind::kLease;
  // Of what is here it counts only who the keeper is.
  const bool is_here = nodes_[target].state() == NodeState::kPresent;
  std::optional<Settling> settling;
  if (is_counted || !is_here) settling.emplace(this, target);
  if (sign > 0) {
    keepers_.Append(&nodes_[target].keepers, keeper);
  } else {
    keepers_.Remove(&nodes_[target].keepers, keeper);
  }
  if (kind == NodeKind::kTag) tag_refs_.Add(target, sign);
  if (kind == NodeKind::kContainer) container_refs_.Add(target, sign);
  if (kind == NodeKind::kLease) lease_refs_.Add(target, sign);
  if (kind == NodeKind::kSnapshot) snapshot_refs_.Add(target, sign);
}

// A manifest that becomes present (or ceases to be) changes what its children
// count as.
void ResidentGraph::CountPresence(NodeId id, int sign) {
  // An index lists its images, an image its parents.
  const bool is_lister = IsManifestLike(nodes_[id].kind());
  for (const NodeId child : Kept(id)) {
    // Layers count the same from the first image on.
    const bool is_first = imaged_refs_[child] == (sign > 0 ? 0u : 1u);
    const bool matters = is_first || IsManifestLike(nodes_[child].kind());
    std::optional<Settling> settling;
    if (matters) settling.emplace(this, child);
    imaged_refs_.Add(child, sign);
    if (!is_lister) unlisting_refs_.Add(child, sign);
    settling.reset();
    if (matters && nodes_[child].has_extent()) RefreshExtent(ExtentOf(child));
  }
}

void ResidentGraph::NoteEdges(NodeId id) {
  const Node& node = nodes_[id];
  const bool has_edges =
      !lists_.IsEmpty(node.kept) || node.has_referrers() || node.has_extent();
  const uint64_t bit = uint64_t{1} << (id % 64);
  uint64_t& word = edge_bits_[id / 64];
  word = has_edges ? word | bit : word & ~bit;
}

void ResidentGraph::AddReferrer(NodeId subject, NodeId referrer) {
  IdLists::List& list =
      referrers_.try_emplace(subject, IdLists::kEmpty).first->second;
  lists_.Append(&list, referrer);
  nodes_[subject].set_has_referrers(true);
  NoteEdges(subject);
  for (ReachCounter& reach : reach_) {
    if (reach.Passes(subject)) reach.Retain(referrer);
  }
}

void ResidentGraph::RemoveReferrer(NodeId subject, NodeId referrer) {
  const auto it = referrers_.find(subject);
  lists_.Remove(&it->second, referrer);
  if (lists_.IsEmpty(it->second)) {
    referrers_.erase(it);
    nodes_[subject].set_has_referrers(false);
    NoteEdges(subject);
  }
  for (ReachCounter& reach : reach_) {
    if (reach.Passes(subject)) reach.Release(referrer);
  }
}

void ResidentGraph::PutMembership(const MembershipRow& row) {
  const std::optional<MembershipRow> old = memberships_.Put(row);
  const bool was_only_name = old && old->is_only_name;
  only_name_refs_.Add(row.content,
                      (row.is_only_name ? 1 : 0) - (was_only_name ? 1 : 0));
  if (doubts_.Knows(row.content)) RefreshDoubt(row.content);
  Reroot(row.content);
}

void ResidentGraph::RemoveMembership(NodeId repository, NodeId content,
                                     store::MembershipKind kind) {
  const std::optional<MembershipRow> old =
      memberships_.Remove(repository, content, kind);
  if (!old) return;
  if (old->is_only_name) only_name_refs_.Add(content, -1);
  if (doubts_.Knows(content)) RefreshDoubt(content);
  Reroot(content);
}

void ResidentGraph::RemoveContent(NodeId id) {
  nodes_[id].set_exists(false);
  if (nodes_[id].kind() != NodeKind::kExtent) RemoveDigest(id);
}

// The nodes of a store only reference each other: they can go one by one, as
// long as each is dead and empty before it goes.
void ResidentGraph::RemoveStore(StoreId store) {
  for (NodeId id = 0; id < node_count(); ++id) {
    if (!Exists(id) || StoreOf(nodes_[id]) != store) continue;
    if (!IsContent(nodes_[id].kind())) RemoveNamed(id);
  }
  for (NodeId id = 0; id < node_count(); ++id) {
    if (!Exists(id) || StoreOf(nodes_[id]) != store) continue;
    ContentRow row;
    row.id = id;
    row.kind = nodes_[id].kind();
    row.store = store;
    // It is known: its key is not looked at.  Nor is its digest read, which
    // could fail: the engine has removed it already and could not tell it.
    PutContent(row);
  }
  for (NodeId id = 0; id < node_count(); ++id) {
    if (Exists(id) && StoreOf(nodes_[id]) == store) RemoveContent(id);
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
  doubted_by_repository_.erase(store);
  totals_.erase(store);
  lease_ages_.erase(store);
}

}  // namespace reclaim::index
