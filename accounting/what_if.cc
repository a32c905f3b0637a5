#include "accounting/what_if.h"

#include <algorithm>
#include <map>

#include "base/status_macros.h"
#include "gc/mark.h"

namespace reclaim::accounting {
namespace {

using index::GraphView;
using index::kNoNode;
using index::NodeId;
using index::NodeState;

constexpr size_t kKeeperCountMax = 20;
constexpr NodeId kYieldInterval = 4096;

// For each node the first of `roots` that reaches it, as an index into `roots`;
// roots.size() for none.
std::vector<uint32_t> FirstRoots(const GraphView& view,
                                 const std::vector<gc::Root>& roots) {
  const uint32_t none = static_cast<uint32_t>(roots.size());
  std::vector<uint32_t> owner(view.node_count(), none);
  std::vector<NodeId> stack;
  for (uint32_t i = 0; i < roots.size(); ++i) {
    auto push = [&](NodeId id) {
      if (id >= owner.size() || owner[id] != none) return;
      owner[id] = i;
      stack.push_back(id);
    };
    push(roots[i].node);
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      for (const NodeId child : view.Kept(id)) push(child);
      for (const NodeId referrer : view.Referrers(id)) push(referrer);
      if (view.ExtentOf(id) != kNoNode) push(view.ExtentOf(id));
    }
    view.Yield();
  }
  return owner;
}

void ListKeepers(const GraphView& view, const std::vector<gc::Root>& roots,
                 const gc::LiveSet& kept, WhatIfReport* report) {
  const std::vector<uint32_t> owner = FirstRoots(view, roots);
  std::map<uint32_t, store::Bytes> by_root;
  for (NodeId id = 0; id < owner.size(); ++id) {
    if (kept.Contains(id) && owner[id] < roots.size()) {
      by_root[owner[id]] += view.fields(id).bytes;
    }
  }
  for (const auto& [root, bytes] : by_root) {
    if (bytes.logical_bytes > 0) {
      report->keepers.push_back({roots[root], bytes});
    }
  }
  std::stable_sort(report->keepers.begin(), report->keepers.end(),
                   [](const RootShare& a, const RootShare& b) {
                     return a.bytes.logical_bytes > b.bytes.logical_bytes;
                   });
  if (report->keepers.size() > kKeeperCountMax) {
    report->keepers.resize(kKeeperCountMax);
  }
}

}  // namespace

absl::StatusOr<WhatIfReport> WhatIf(
    const GraphView& view, const std::vector<gc::Root>& roots,
    const absl::flat_hash_set<NodeId>& removed) {
  std::vector<gc::Root> remaining;
  for (const gc::Root& root : roots) {
    if (!removed.contains(root.node)) remaining.push_back(root);
  }
  std::vector<gc::Root> asked;
  for (const NodeId id : removed) {
    asked.push_back({id, index::RootReason::kNone});
  }
  RECLAIM_ASSIGN_OR_RETURN(const gc::LiveSet reach,
                           gc::Mark(view, asked, gc::MarkOptions()));
  RECLAIM_ASSIGN_OR_RETURN(const gc::LiveSet after,
                           gc::Mark(view, remaining, gc::MarkOptions()));
  WhatIfReport report;
  gc::LiveSet kept(view.node_count());
  for (NodeId id = 0; id < reach.node_count(); ++id) {
    if (id % kYieldInterval == 0) view.Yield();
    if (!reach.Contains(id) || !IsContent(view.kind(id))) continue;
    if (view.state(id) != NodeState::kPresent) continue;
    index::Tally& tally = after.Contains(id) ? report.kept : report.freed;
    ++tally.count;
    tally.bytes += view.fields(id).bytes;
    if (after.Contains(id) && id < kept.node_count()) kept.Insert(id);
  }
  ListKeepers(view, remaining, kept, &report);
  return report;
}

}  // namespace reclaim::accounting
