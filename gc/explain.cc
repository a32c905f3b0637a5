#include "gc/explain.h"

#include <algorithm>
#include <deque>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace reclaim::gc {
namespace {

using index::GraphView;
using index::kNoNode;
using index::NodeId;

constexpr uint64_t kRootCountMax = 1000;
constexpr uint64_t kYieldInterval = 4096;

// Whether reachability passes from `keeper` to what it keeps: not through a
// flat lease, except to the node that was asked about.
bool PassesOn(const GraphView& view, NodeId keeper, NodeId to, NodeId asked) {
  const bool is_flat = view.kind(keeper) == index::NodeKind::kLease &&
                       (view.fields(keeper).flags & index::kFlat) != 0;
  return !is_flat || to == asked || view.kind(to) == index::NodeKind::kSnapshot;
}

// What no repository links is kept itself and passes nothing on.
bool StartsAt(index::RootReason reason, bool is_asked) {
  return is_asked || reason != index::RootReason::kUnlinked;
}

}  // namespace

absl::StatusOr<Explanation> Explain(const GraphView& view,
                                    absl::Span<const Root> roots, NodeId node,
                                    int path_count_max, uint64_t visit_max) {
  absl::flat_hash_map<NodeId, index::RootReason> reasons;
  for (const Root& root : roots) reasons.try_emplace(root.node, root.reason);
  Explanation explanation;
  // Towards the roots; `next` leads back to the node that was asked about.
  absl::flat_hash_map<NodeId, NodeId> next = {{node, kNoNode}};
  std::deque<NodeId> queue = {node};
  uint64_t visited = 0;
  while (!queue.empty()) {
    if (++visited > visit_max) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", visit_max, " nodes lead to this one"));
    }
    if (visited % kYieldInterval == 0) view.Yield();
    const NodeId id = queue.front();
    queue.pop_front();
    const auto reason = reasons.find(id);
    if (reason != reasons.end() && StartsAt(reason->second, id == node) &&
        explanation.root_count < kRootCountMax) {
      ++explanation.root_count;
      if (explanation.paths.size() < static_cast<size_t>(path_count_max)) {
        KeepPath path;
        path.reason = reason->second;
        for (NodeId at = id; at != kNoNode; at = next.at(at)) {
          path.nodes.push_back(at);
        }
        explanation.paths.push_back(std::move(path));
      }
    }
    std::vector<NodeId> keepers;
    view.ForEachKeeper(id, [&](NodeId keeper) {
      if (view.Exists(keeper) && PassesOn(view, keeper, id, node)) {
        keepers.push_back(keeper);
      }
      return true;
    });
    std::sort(keepers.begin(), keepers.end());
    for (const NodeId keeper : keepers) {
      if (next.try_emplace(keeper, id).second) queue.push_back(keeper);
    }
    if (id == node) explanation.dead_keepers = keepers;
  }
  explanation.is_kept = explanation.root_count > 0;
  if (explanation.is_kept) explanation.dead_keepers.clear();
  return explanation;
}

}  // namespace reclaim::gc
