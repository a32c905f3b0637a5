// accounting/tree.h — an image with all that hangs on it, for a person.
//
// Depth-first: tags that name it, platforms, configs, layers, referrers and
// snapshots.  What was shown before is shown again without its children.
// Pure.

#ifndef RECLAIM_ACCOUNTING_TREE_H_
#define RECLAIM_ACCOUNTING_TREE_H_

#include <cstddef>
#include <vector>

#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::accounting {

enum class TreeRole : uint8_t {
  kTop = 0,
  kTag = 1,
  kManifest = 2,
  kConfig = 3,
  kLayer = 4,
  kBlob = 5,
  kReferrer = 6,
  kSnapshot = 7,
  kContainer = 8,
};
const char* ToString(TreeRole role);

struct TreeNode {
  index::NodeId node = index::kNoNode;
  uint32_t depth = 0;  // 0 is the top
  TreeRole role = TreeRole::kTop;
  bool is_repeated = false;
};

struct Tree {
  std::vector<TreeNode> nodes;
  bool is_truncated = false;  // by depth or by count
};

// At most `depth_max` levels below `top` and `node_count_max` nodes.
Tree MakeTree(const index::GraphView& view, index::NodeId top,
              uint32_t depth_max, size_t node_count_max);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_TREE_H_
