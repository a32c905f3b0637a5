#include "tests/support/naive_figures.h"

#include <algorithm>

namespace reclaim::tests {

using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using index::NodeState;
using Nodes = NaiveFigures::Nodes;

namespace {

store::Bytes Less(const store::Bytes& a, const store::Bytes& b) {
  return {a.logical_bytes - b.logical_bytes,
          a.allocated_bytes - b.allocated_bytes};
}

// What the `turn`-th of `count` pays: what a division leaves over, the first
// pay.
store::Bytes ShareOf(const store::Bytes& bytes, uint64_t count, uint64_t turn) {
  const auto share = [&](uint64_t all) {
    return all / count + (turn < all % count ? 1 : 0);
  };
  return {share(bytes.logical_bytes), share(bytes.allocated_bytes)};
}

}  // namespace

// Only its expiry ends an upload here: the lifetime is the collector's.
NaiveFigures::NaiveFigures(const index::GraphView& view, absl::Time now,
                           absl::Duration grace_period)
    : view_(view),
      reach_(view, {0, now, grace_period, absl::InfiniteDuration()}) {}

bool NaiveFigures::IsPresentManifest(NodeId id) const {
  return IsManifestLike(view_.kind(id)) &&
         view_.state(id) == NodeState::kPresent;
}

Nodes NaiveFigures::NamesOf(NodeId extent) const {
  Nodes names;
  for (const NodeId id : all()) {
    if (view_.ExtentOf(id) == extent) names.insert(id);
  }
  return names;
}

bool NaiveFigures::IsHeldElsewhere(NodeId extent) const {
  if (view_.kind(extent) != NodeKind::kExtent) return false;
  uint64_t name_count = 0;
  for (const NodeId name : NamesOf(extent)) {
    if (view_.state(name) != NodeState::kAbsent) ++name_count;
  }
  return view_.LinkCount(extent) > name_count;
}

Nodes NaiveFigures::RootsOf(RootSet set) const {
  Nodes roots;
  for (const NodeId id : all()) {
    const NodeKind kind = view_.kind(id);
    bool is_root = false;
    if (kind == NodeKind::kTag) {
      is_root = set == RootSet::kAll;
    } else if (set == RootSet::kContainers) {
      is_root = kind == NodeKind::kContainer;
    } else {
      is_root = reach_.IsRoot(id) || IsHeldElsewhere(id);
    }
    if (is_root) roots.insert(id);
  }
  return roots;
}

Nodes NaiveFigures::Reached(RootSet set) const {
  return reach_.Reach(RootsOf(set), set != RootSet::kContainers);
}

store::Bytes NaiveFigures::BytesOf(const Nodes& nodes) const {
  store::Bytes bytes;
  for (const NodeId id : nodes) {
    const bool is_counted =
        IsContent(view_.kind(id)) || view_.kind(id) == NodeKind::kUpload;
    if (is_counted && view_.state(id) == NodeState::kPresent) {
      bytes += view_.fields(id).bytes;
    }
  }
  return bytes;
}

// An index, or an image that was built from it, lists it: then a tag has to
// name it.
bool NaiveFigures::IsListed(NodeId id) const {
  if (!IsPresentManifest(id)) return false;
  if ((view_.fields(id).flags & index::kReferrer) != 0) return false;
  bool is_part = false;
  for (const NodeId keeper : reach_.KeepersOf(id)) {
    if (view_.kind(keeper) == NodeKind::kTag) return true;
    is_part |= IsPresentManifest(keeper);
  }
  return !is_part;
}

Nodes NaiveFigures::Closure(NodeId image) const {
  Nodes closure = {image};
  size_t before = 0;
  while (before != closure.size()) {
    before = closure.size();
    for (const NodeId id : Nodes(closure)) {
      for (const NodeId child : view_.Kept(id)) {
        if (IsContent(view_.kind(child))) closure.insert(child);
      }
      if (view_.ExtentOf(id) != kNoNode) closure.insert(view_.ExtentOf(id));
    }
  }
  return closure;
}

// Another image has it, or something else has its file.
bool NaiveFigures::IsSharedBy(NodeId id, const Nodes& closure,
                              const std::vector<Nodes>& closures) const {
  const auto sharers =
      std::count_if(closures.begin(), closures.end(),
                    [&](const Nodes& other) { return other.count(id) > 0; });
  if (sharers > 1 || IsHeldElsewhere(id)) return true;
  if (view_.kind(id) != NodeKind::kExtent) return false;
  for (const NodeId name : NamesOf(id)) {
    const bool is_present = view_.state(name) == NodeState::kPresent;
    if (is_present && closure.count(name) == 0) return true;
  }
  return false;
}

// Those of the image, of a platform that it lists, or of a config of it.
uint64_t NaiveFigures::CountContainers(NodeId image,
                                       const Nodes& closure) const {
  Nodes parts = {image};
  for (const NodeId child : view_.Kept(image)) {
    if (IsManifestLike(view_.kind(child))) parts.insert(child);
  }
  for (const NodeId id : closure) {
    if (view_.kind(id) == NodeKind::kConfig) parts.insert(id);
  }
  Nodes containers;
  for (const NodeId id : all()) {
    if (view_.kind(id) != NodeKind::kContainer) continue;
    for (const NodeId kept : view_.Kept(id)) {
      if (parts.count(kept) > 0) containers.insert(id);
    }
  }
  return containers.size();
}

std::vector<NaiveImage> NaiveFigures::Images() const {
  std::vector<NaiveImage> images;
  std::vector<Nodes> closures;
  const Nodes used = Reached(RootSet::kContainers);
  for (const NodeId id : all()) {
    if (!IsListed(id)) continue;
    images.emplace_back();
    images.back().node = id;
    closures.push_back(Closure(id));
  }
  for (size_t i = 0; i < images.size(); ++i) {
    NaiveImage& image = images[i];
    Nodes shared;
    for (const NodeId id : closures[i]) {
      if (view_.state(id) == NodeState::kAbsent) ++image.absent_count;
      if (IsSharedBy(id, closures[i], closures)) shared.insert(id);
    }
    image.size = BytesOf(closures[i]);
    image.shared = BytesOf(shared);
    image.unique = Less(image.size, image.shared);
    image.container_count = CountContainers(image.node, closures[i]);
    image.is_active = reach_.Touches(used, image.node);
    image.is_dangling = true;
    for (const NodeId keeper : reach_.KeepersOf(image.node)) {
      if (view_.kind(keeper) == NodeKind::kTag) image.is_dangling = false;
    }
  }
  return images;
}

Nodes NaiveFigures::TagsOf(NodeId repository) const {
  Nodes tags;
  for (const NodeId id : all()) {
    if (view_.kind(id) == NodeKind::kTag &&
        reach_.RepositoryOf(id) == repository) {
      tags.insert(id);
    }
  }
  return tags;
}

NaiveShares NaiveFigures::Shares() const {
  NaiveShares shares;
  const Nodes live = Reached(RootSet::kAll);
  std::vector<Nodes> reached;
  for (const NodeId id : all()) {
    if (view_.kind(id) != NodeKind::kRepository) continue;
    const Nodes tags = TagsOf(id);
    Nodes others = RootsOf(RootSet::kAll);
    for (const NodeId tag : tags) others.erase(tag);
    reached.push_back(reach_.Reach(tags, false));
    NaiveRepository repository;
    repository.repository = id;
    repository.reachable = BytesOf(reached.back());
    repository.exclusive =
        Less(BytesOf(live), BytesOf(reach_.Reach(others, true)));
    shares.repositories.push_back(repository);
  }
  for (const NodeId id : live) {
    const store::Bytes bytes = BytesOf({id});
    std::vector<size_t> sharers;
    for (size_t i = 0; i < reached.size(); ++i) {
      if (reached[i].count(id) > 0) sharers.push_back(i);
    }
    if (sharers.empty()) shares.unattributed += bytes;
    for (size_t turn = 0; turn < sharers.size(); ++turn) {
      shares.repositories[sharers[turn]].apportioned +=
          ShareOf(bytes, sharers.size(), turn);
    }
  }
  return shares;
}

}  // namespace reclaim::tests
