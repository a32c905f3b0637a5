#include "accounting/tree.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace reclaim::accounting {
namespace {

using index::GraphView;
using index::NodeId;
using index::NodeKind;

TreeRole RoleOf(NodeKind kind) {
  switch (kind) {
    case NodeKind::kTag:
      return TreeRole::kTag;
    case NodeKind::kManifest:
    case NodeKind::kImageIndex:
      return TreeRole::kManifest;
    case NodeKind::kConfig:
      return TreeRole::kConfig;
    case NodeKind::kLayer:
      return TreeRole::kLayer;
    case NodeKind::kSnapshot:
      return TreeRole::kSnapshot;
    case NodeKind::kContainer:
      return TreeRole::kContainer;
    default:
      return TreeRole::kBlob;
  }
}

// The children of a node as a person expects them: what names or uses it, what
// it consists of, what refers to it.
std::vector<TreeNode> Children(const GraphView& view, NodeId id,
                               uint32_t depth) {
  std::vector<TreeNode> children;
  if (IsContent(view.kind(id))) {
    std::vector<NodeId> keepers;
    view.ForEachKeeper(id, [&](NodeId keeper) {
      const NodeKind kind = view.kind(keeper);
      if (kind == NodeKind::kTag || kind == NodeKind::kContainer ||
          kind == NodeKind::kSnapshot) {
        keepers.push_back(keeper);
      }
      return true;
    });
    std::sort(keepers.begin(), keepers.end());
    for (const NodeId keeper : keepers) {
      children.push_back({keeper, depth, RoleOf(view.kind(keeper)), false});
    }
  }
  for (const NodeId child : view.Kept(id)) {
    children.push_back({child, depth, RoleOf(view.kind(child)), false});
  }
  for (const NodeId referrer : view.Referrers(id)) {
    children.push_back({referrer, depth, TreeRole::kReferrer, false});
  }
  return children;
}

// Tags, containers and snapshots end a branch: the tree goes down, not around.
bool IsLeafRole(TreeRole role) {
  return role == TreeRole::kTag || role == TreeRole::kContainer ||
         role == TreeRole::kSnapshot;
}

}  // namespace

const char* ToString(TreeRole role) {
  switch (role) {
    case TreeRole::kTop:
      return "image";
    case TreeRole::kTag:
      return "tag";
    case TreeRole::kManifest:
      return "manifest";
    case TreeRole::kConfig:
      return "config";
    case TreeRole::kLayer:
      return "layer";
    case TreeRole::kBlob:
      return "blob";
    case TreeRole::kReferrer:
      return "referrer";
    case TreeRole::kSnapshot:
      return "snapshot";
    case TreeRole::kContainer:
      return "container";
  }
  return "unknown";
}

Tree MakeTree(const GraphView& view, NodeId top, uint32_t depth_max,
              size_t node_count_max) {
  Tree tree;
  absl::flat_hash_set<NodeId> shown;
  std::vector<TreeNode> stack = {{top, 0, TreeRole::kTop, false}};
  while (!stack.empty()) {
    TreeNode next = stack.back();
    stack.pop_back();
    if (tree.nodes.size() >= node_count_max) {
      tree.is_truncated = true;
      break;
    }
    // A tree that begins with a tag says so once.
    if (next.depth > 0 && next.node == top) continue;
    next.is_repeated =
        !shown.insert(next.node).second && !view.Kept(next.node).empty();
    tree.nodes.push_back(next);
    if (next.is_repeated || IsLeafRole(next.role)) continue;
    std::vector<TreeNode> children = Children(view, next.node, next.depth + 1);
    if (next.depth >= depth_max) {
      tree.is_truncated |= !children.empty();
      continue;
    }
    stack.insert(stack.end(), children.rbegin(), children.rend());
  }
  return tree;
}

}  // namespace reclaim::accounting
