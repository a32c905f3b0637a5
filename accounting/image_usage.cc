#include "accounting/image_usage.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace reclaim::accounting {
namespace {

using index::GraphView;
using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using index::NodeState;

constexpr NodeId kYieldInterval = 4096;

bool IsPresentManifest(const GraphView& view, NodeId id) {
  return view.Exists(id) && IsManifestLike(view.kind(id)) &&
         view.state(id) == NodeState::kPresent;
}

// Marks nodes by the number of the walk that saw them last, so that a walk
// needs no clearing of its predecessor's marks.
class Visits {
 public:
  void Begin(NodeId node_count) {
    if (seen_.size() < node_count) seen_.resize(node_count, 0);
    ++walk_;
  }
  // True the first time in this walk.
  bool Visit(NodeId id) {
    if (id >= seen_.size()) seen_.resize(id + 1, 0);
    if (seen_[id] == walk_) return false;
    seen_[id] = walk_;
    return true;
  }
  // Whether this walk has come there.
  bool HasVisited(NodeId id) const {
    return id < seen_.size() && seen_[id] == walk_;
  }
  // For the walk; its memory is kept for the next.
  std::vector<NodeId>& stack() { return stack_; }

 private:
  std::vector<uint32_t> seen_;
  std::vector<NodeId> stack_;
  uint32_t walk_ = 0;
};

// Calls `visit` for each node of the closure of `top`, absent ones included.
template <typename Visit>
void Walk(const GraphView& view, NodeId top, Visits* visits, Visit visit) {
  visits->Begin(view.node_count());
  std::vector<NodeId>& stack = visits->stack();
  stack.assign(1, top);
  visits->Visit(top);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    visit(id);
    if (!view.HasEdges(id)) continue;
    const index::NodeEdges edges = view.Edges(id);
    const auto kept = edges.kept;
    for (auto child = kept.rbegin(); child != kept.rend(); ++child) {
      if (IsContent(view.kind(*child)) && visits->Visit(*child)) {
        stack.push_back(*child);
      }
    }
    const NodeId extent = edges.extent;
    if (extent != kNoNode && visits->Visit(extent)) stack.push_back(extent);
  }
}

// Whether a file with several names would be on the disk without the image that
// was walked last: one of them is none of the store's, or none of the image's.
// What is in quarantine goes from there as well.
bool IsHeldWithout(const GraphView& view, NodeId extent, const Visits& walked) {
  if (view.IsLinkedElsewhere(extent)) return true;
  bool is_held = false;
  view.ForEachKeeper(extent, [&](NodeId name) {
    is_held =
        view.state(name) == NodeState::kPresent && !walked.HasVisited(name);
    return !is_held;
  });
  return is_held;
}

// A snapshot and those below it, each once for an image.
void AddChain(const GraphView& view, NodeId top, ImageUsage* image,
              absl::flat_hash_set<NodeId>* chain) {
  NodeId at = top;
  while (at != kNoNode && chain->insert(at).second) {
    image->unpacked += view.fields(at).bytes;
    NodeId parent = kNoNode;
    for (const NodeId kept : view.Kept(at)) {
      if (view.kind(kept) == NodeKind::kSnapshot) parent = kept;
    }
    at = parent;
  }
}

// What keeps an image from above: tags, containers, snapshots.
void AddKeepers(const GraphView& view, NodeId id, ImageUsage* image,
                absl::flat_hash_set<NodeId>* containers,
                absl::flat_hash_set<NodeId>* chain) {
  view.ForEachKeeper(id, [&](NodeId keeper) {
    switch (view.kind(keeper)) {
      case NodeKind::kTag:
        if (id == image->node) image->tags.push_back(keeper);
        break;
      case NodeKind::kContainer:
        containers->insert(keeper);
        break;
      case NodeKind::kSnapshot:
        AddChain(view, keeper, image, chain);
        break;
      default:
        break;
    }
    return true;
  });
}

// A container of one platform's manifest, or of its config, uses the image.
void AddUsers(const GraphView& view, ImageUsage* image) {
  absl::flat_hash_set<NodeId> containers;
  absl::flat_hash_set<NodeId> chain;
  AddKeepers(view, image->node, image, &containers, &chain);
  for (const NodeId child : view.Kept(image->node)) {
    if (IsManifestLike(view.kind(child))) {
      AddKeepers(view, child, image, &containers, &chain);
    }
  }
  for (const NodeId config : image->configs) {
    AddKeepers(view, config, image, &containers, &chain);
  }
  image->container_count = containers.size();
}

void AddRepositories(const GraphView& view, ImageUsage* image) {
  for (const NodeId tag : image->tags) {
    index::NamedKey key = view.named_key(tag);
    const NodeId repository = view.FindNamed(
        {NodeKind::kRepository, key.store, "", std::move(key.scope)});
    if (repository != kNoNode) image->repositories.push_back(repository);
  }
  view.ForEachRepositoryOf(image->node, [&](NodeId repository) {
    image->repositories.push_back(repository);
    return true;
  });
  auto& all = image->repositories;
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

void Describe(const GraphView& view, ImageUsage* image) {
  AddUsers(view, image);
  std::sort(image->tags.begin(), image->tags.end());
  image->is_dangling = image->tags.empty();
  for (const NodeId referrer : view.Referrers(image->node)) {
    if (view.state(referrer) == NodeState::kPresent) ++image->referrer_count;
  }
  AddRepositories(view, image);
}

}  // namespace

bool IsListedImage(const GraphView& view, NodeId id) {
  if (!IsPresentManifest(view, id)) return false;
  if ((view.fields(id).flags & index::kReferrer) != 0) return false;
  bool is_listed_by_other = false;  // an index, or an image built from it
  bool has_tag = false;
  view.ForEachKeeper(id, [&](NodeId keeper) {
    is_listed_by_other |= IsManifestLike(view.kind(keeper)) &&
                          view.state(keeper) == NodeState::kPresent;
    has_tag |= view.kind(keeper) == NodeKind::kTag;
    return !has_tag;
  });
  return has_tag || !is_listed_by_other;
}

void ForEachImageUsage(const GraphView& view, index::StoreId store, bool all,
                       absl::FunctionRef<void(ImageUsage)> visit) {
  std::vector<NodeId> images;
  for (NodeId id = 0; id < view.node_count(); ++id) {
    if (id % kYieldInterval == 0) view.Yield();
    if (!IsPresentManifest(view, id) || view.fields(id).store != store) {
      continue;
    }
    if (all || IsListedImage(view, id)) images.push_back(id);
  }
  // How many of the images reach each node: none, one, or more.
  std::vector<uint8_t> reach(view.node_count(), 0);
  Visits visits;
  for (const NodeId top : images) {
    Walk(view, top, &visits, [&](NodeId id) {
      if (id >= reach.size()) reach.resize(id + 1, 0);
      if (reach[id] < 2) ++reach[id];
    });
    view.Yield();
  }
  std::vector<NodeId> files;
  for (const NodeId top : images) {
    ImageUsage image;
    image.node = top;
    files.clear();
    Walk(view, top, &visits, [&](NodeId id) {
      const NodeState state = view.state(id);
      const NodeKind kind = view.kind(id);
      if (state == NodeState::kAbsent) ++image.absent_count;
      if (kind == NodeKind::kConfig) image.configs.push_back(id);
      if (state != NodeState::kPresent) return;
      const store::Bytes bytes = view.bytes(id);
      image.size += bytes;
      const bool is_shared = id < reach.size() && reach[id] > 1;
      if (!is_shared && kind == NodeKind::kExtent) {
        files.push_back(id);
        return;
      }
      (is_shared ? image.shared : image.unique) += bytes;
    });
    for (const NodeId file : files) {
      const bool is_held = IsHeldWithout(view, file, visits);
      (is_held ? image.shared : image.unique) += view.bytes(file);
    }
    Describe(view, &image);
    visit(std::move(image));
    view.Yield();
  }
}

std::vector<ImageUsage> ListImageUsage(const GraphView& view,
                                       index::StoreId store, bool all) {
  std::vector<ImageUsage> images;
  ForEachImageUsage(view, store, all, [&](ImageUsage image) {
    images.push_back(std::move(image));
  });
  return images;
}

std::vector<NodeId> ContentClosure(const GraphView& view, NodeId top) {
  std::vector<NodeId> closure;
  Visits visits;
  Walk(view, top, &visits, [&](NodeId id) {
    if (view.state(id) == NodeState::kPresent) closure.push_back(id);
  });
  return closure;
}

}  // namespace reclaim::accounting
