// What opaque manifests keep, in the resident graph (index/doubts.h).

#include <optional>
#include <utility>
#include <vector>

#include "index/resident_graph.h"

namespace reclaim::index {

DoubtUnit ResidentGraph::UnitOfDoubt(StoreId store) const {
  return doubted_by_repository_.contains(store) ? DoubtUnit::kRepository
                                                : DoubtUnit::kPlace;
}

Doubt ResidentGraph::DoubtAbout(NodeId id) const {
  if (doubts_.empty()) return Doubt::kNone;
  const Node& node = nodes_[id];
  if (!node.exists() || !IsContent(node.kind()) ||
      node.kind() == NodeKind::kExtent) {
    return Doubt::kNone;
  }
  const PlaceId place = PlaceOf(node);
  if (!doubts_.Has(place)) return Doubt::kNone;
  if (doubts_.IsWhole(place)) return Doubt::kReach;
  const absl::Span<const NodeId> repositories = memberships_.RepositoriesOf(id);
  for (const NodeId repository : repositories) {
    if (doubts_.Concerns(repository)) return Doubt::kReach;
  }
  return repositories.empty() && node.state() == NodeState::kPresent
             ? Doubt::kUnlinked
             : Doubt::kNone;
}

bool ResidentGraph::HasDoubt(PlaceId place) const { return doubts_.Has(place); }

bool ResidentGraph::IsWholeInDoubt(PlaceId place) const {
  return doubts_.IsWhole(place);
}

bool ResidentGraph::IsRepositoryInDoubt(NodeId repository) const {
  return doubts_.Concerns(repository) ||
         doubts_.IsWhole(PlaceOf(nodes_[repository]));
}

// After each change of what decides the scope of `id`: its flag, its links, and
// what lists it.
void ResidentGraph::RefreshDoubt(NodeId id) {
  const bool is_opaque = Exists(id) && (nodes_[id].flags() & kOpaque) != 0 &&
                         IsContent(nodes_[id].kind());
  if (!is_opaque && !doubts_.Knows(id)) return;
  std::optional<DoubtScope> scope;
  if (is_opaque) scope = ScopeOfDoubt(*this, id);
  const PlaceId place = PlaceOf(nodes_[id]);
  const Doubts::Change change = doubts_.Set(id, place, std::move(scope));
  std::vector<NodeId> concerned;
  if (change.is_place) {
    ForEachContent(place,
                   [&](NodeId content) { concerned.push_back(content); });
  }
  // Also then: a repository may link content of other places.
  for (const NodeId repository : change.repositories) {
    memberships_.ForEachMember(repository, [&](const MembershipRow& row) {
      concerned.push_back(row.content);
      return true;
    });
  }
  for (const NodeId content : concerned) {
    if (Exists(content)) Reroot(content);
  }
}

void ResidentGraph::RefreshDoubtsAbout(NodeId repository) {
  for (const NodeId manifest : doubts_.ManifestsAbout(repository)) {
    RefreshDoubt(manifest);
  }
}

// It is kept, with its bytes, and passes nothing on.
void ResidentGraph::SetUnlinked(NodeId id, bool is_unlinked) {
  if (unlinked_.contains(id) == is_unlinked) return;
  if (is_unlinked) {
    unlinked_.insert(id);
  } else {
    unlinked_.erase(id);
  }
  HoldFlat(id, is_unlinked);
}

}  // namespace reclaim::index
