#include "accounting/unpacked_usage.h"

#include <algorithm>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace reclaim::accounting {
namespace {

using index::GraphView;
using index::NodeId;
using index::NodeKind;

using NodeSet = absl::flat_hash_set<NodeId>;

void Reach(const GraphView& view, std::vector<NodeId> stack, NodeSet* reached) {
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (!view.Exists(id) || !reached->insert(id).second) continue;
    for (const NodeId kept : view.Kept(id)) stack.push_back(kept);
  }
}

}  // namespace

UsageRow UnpackedUsage(const GraphView& view, index::StoreId store,
                       absl::Time now) {
  std::vector<NodeId> holders;
  for (const NodeKind kind :
       {NodeKind::kContainer, NodeKind::kLease, NodeKind::kPin}) {
    view.ForEachNamed(kind, store, [&](NodeId id) {
      if (view.fields(id).expires >= now) holders.push_back(id);
      return true;
    });
  }
  NodeSet needed;
  Reach(view, std::move(holders), &needed);
  std::vector<NodeId> snapshots;
  std::vector<NodeId> of_needed_images;
  view.ForEachNamed(NodeKind::kSnapshot, store, [&](NodeId id) {
    snapshots.push_back(id);
    const auto kept = view.Kept(id);
    const bool is_needed = std::any_of(kept.begin(), kept.end(), [&](NodeId k) {
      return IsContent(view.kind(k)) && needed.contains(k);
    });
    if (is_needed) of_needed_images.push_back(id);
    return true;
  });
  Reach(view, std::move(of_needed_images), &needed);
  UsageRow row;
  row.type = "Unpacked Layers";
  for (const NodeId id : snapshots) {
    const index::NodeFields fields = view.fields(id);
    ++row.total_count;
    row.bytes += fields.bytes;
    if ((fields.flags & index::kUnknownSize) != 0) ++row.unknown_size_count;
    if (needed.contains(id)) {
      ++row.active_count;
    } else {
      row.reclaimable += fields.bytes;
    }
  }
  return row;
}

}  // namespace reclaim::accounting
