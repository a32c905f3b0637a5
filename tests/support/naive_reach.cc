#include "tests/support/naive_reach.h"

namespace reclaim::tests {

using index::kNoNode;
using index::NodeFields;
using index::NodeId;
using index::NodeKind;
using index::NodeState;
using store::MembershipKind;
using Nodes = NaiveReach::Nodes;

NaiveReach::NaiveReach(const index::GraphView& view, const NaiveTerms& terms)
    : view_(view), terms_(terms) {
  for (NodeId id = 0; id < view_.node_count(); ++id) {
    if (view_.Exists(id) && view_.fields(id).store == terms_.store) {
      all_.insert(id);
    }
  }
  for (const NodeId id : all_) {
    if (IsBlob(id) && (view_.fields(id).flags & index::kOpaque) != 0) {
      FindDoubtOf(id);
    }
  }
}

bool NaiveReach::IsBlob(NodeId id) const {
  return IsContent(view_.kind(id)) && view_.kind(id) != NodeKind::kExtent;
}

Nodes NaiveReach::LinkedBy(NodeId content) const {
  Nodes repositories;
  for (const NodeId id : all_) {
    if (view_.kind(id) != NodeKind::kRepository) continue;
    for (const NaiveLink& link : LinksOf(id, false)) {
      if (link.content == content) repositories.insert(id);
    }
  }
  return repositories;
}

NodeId NaiveReach::RepositoryOf(NodeId tag) const {
  for (const NodeId id : all_) {
    if (view_.kind(id) == NodeKind::kRepository &&
        view_.named_key(id).name == view_.named_key(tag).scope) {
      return id;
    }
  }
  return kNoNode;
}

std::vector<NaiveLink> NaiveReach::LinksOf(NodeId repository,
                                           bool only_young) const {
  std::vector<NaiveLink> links;
  view_.ForEachMember(
      repository, [&](NodeId content, MembershipKind kind, absl::Time linked) {
        if (!only_young || IsYoung(linked)) {
          links.push_back({repository, content, kind});
        }
        return true;
      });
  return links;
}

Nodes NaiveReach::KeepersOf(NodeId id) const {
  Nodes keepers;
  for (const NodeId keeper : all_) {
    for (const NodeId kept : view_.Kept(keeper)) {
      if (kept == id) keepers.insert(keeper);
    }
  }
  return keepers;
}

// In a registry what the repositories that link or tag it link, elsewhere all
// that lies beside it.  One that nothing names casts no doubt; one that only
// something else names, on all.
void NaiveReach::FindDoubtOf(NodeId manifest) {
  const index::PlaceId place = view_.fields(manifest).place;
  if (view_.UnitOfDoubt(terms_.store) == index::DoubtUnit::kPlace) {
    doubted_places_.insert(place);
    return;
  }
  Nodes repositories = LinkedBy(manifest);
  const Nodes keepers = KeepersOf(manifest);
  for (const NodeId id : keepers) {
    if (view_.kind(id) == NodeKind::kTag) repositories.insert(RepositoryOf(id));
  }
  const bool is_lost = repositories.erase(kNoNode) > 0;
  if (is_lost || (repositories.empty() && !keepers.empty())) {
    doubted_places_.insert(place);
  }
  if (!repositories.empty()) touched_places_.insert(place);
  doubted_repositories_.insert(repositories.begin(), repositories.end());
}

bool NaiveReach::IsInDoubt(NodeId id) const {
  if (!IsBlob(id)) return false;
  if (IsPlaceInDoubt(view_.fields(id).place)) return true;
  if (doubted_repositories_.empty()) return false;
  for (const NodeId repository : LinkedBy(id)) {
    if (IsRepositoryInDoubt(repository)) return true;
  }
  return false;
}

bool NaiveReach::IsUnlinked(NodeId id) const {
  return IsBlob(id) && view_.state(id) == NodeState::kPresent &&
         touched_places_.count(view_.fields(id).place) > 0 &&
         LinkedBy(id).empty();
}

bool NaiveReach::IsRoot(NodeId id) const {
  const NodeFields f = view_.fields(id);
  const bool is_current = f.expires >= terms_.now;
  switch (f.kind) {
    case NodeKind::kContainer:
    case NodeKind::kPin:
    case NodeKind::kVolume:
    case NodeKind::kNetwork:
    case NodeKind::kBuildCache:
      return true;
    case NodeKind::kLease:
      return is_current;
    case NodeKind::kUpload:
      return is_current && f.recorded + terms_.upload_lifetime > terms_.now;
    default:
      break;
  }
  if (!IsBlob(id)) return false;
  if ((f.flags & (index::kOpaque | index::kOnlyName)) != 0) return true;
  if (IsInDoubt(id)) return true;
  return f.state == NodeState::kPresent && IsYoung(f.recorded);
}

Nodes NaiveReach::Reach(const Nodes& roots, bool with_unlinked) const {
  Nodes reached = roots;
  Nodes flat;
  for (const NodeId id : all_) {
    if (with_unlinked && IsUnlinked(id)) flat.insert(id);
  }
  size_t before = 0;
  while (before != reached.size()) {
    before = reached.size();
    for (const NodeId id : all_) {
      if (reached.count(id) == 0) continue;
      const bool is_flat = view_.kind(id) == NodeKind::kLease &&
                           (view_.fields(id).flags & index::kFlat) != 0;
      for (const NodeId target : view_.Kept(id)) {
        const bool passes =
            !is_flat || view_.kind(target) == NodeKind::kSnapshot;
        (passes ? reached : flat).insert(target);
      }
      for (const NodeId referrer : view_.Referrers(id)) {
        reached.insert(referrer);
      }
      if (view_.ExtentOf(id) != kNoNode) reached.insert(view_.ExtentOf(id));
    }
  }
  for (const NodeId id : flat) {
    reached.insert(id);
    if (view_.ExtentOf(id) != kNoNode) reached.insert(view_.ExtentOf(id));
  }
  return reached;
}

bool NaiveReach::Touches(const Nodes& reached, NodeId image) const {
  if (reached.count(image) > 0) return true;
  if (view_.kind(image) != NodeKind::kImageIndex) return false;
  for (const NodeId child : view_.Kept(image)) {
    if (reached.count(child) > 0) return true;
  }
  return false;
}

}  // namespace reclaim::tests
