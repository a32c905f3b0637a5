#include "accounting/what_if.h"

#include <algorithm>
#include <map>

#include "absl/container/flat_hash_set.h"
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
    if (roots[i].reason == index::RootReason::kUnlinked) continue;
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
  // It keeps itself and passes nothing on.
  for (uint32_t i = 0; i < roots.size(); ++i) {
    const NodeId id = roots[i].node;
    if (id < owner.size() && owner[id] == none) owner[id] = i;
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

// The roots that the removal leaves.
std::vector<gc::Root> Remaining(const gc::PlanInputs& inputs,
                                const gc::GcPolicy& policy,
                                const gc::WholePlan& plan) {
  absl::flat_hash_set<NodeId> gone;
  for (const gc::PlanItem& item : plan.items) gone.insert(item.node);
  std::vector<gc::Root> remaining;
  for (const gc::Root& root : gc::CollectRoots(
           *inputs.view, inputs.store,
           {inputs.now, policy.grace_period, policy.upload_lifetime})) {
    if (!gone.contains(root.node)) remaining.push_back(root);
  }
  return remaining;
}

}  // namespace

absl::StatusOr<WhatIfReport> WhatIf(
    const gc::PlanInputs& inputs, const gc::GcPolicy& policy,
    const std::vector<std::string>& references) {
  const GraphView& view = *inputs.view;
  gc::PruneRequest request;
  request.verb = gc::PruneVerb::kImages;
  request.only_references = references;
  request.is_question = true;
  request.policy = policy;
  RECLAIM_ASSIGN_OR_RETURN(const gc::WholePlan plan,
                           gc::MakePlan(inputs, request));
  WhatIfReport report;
  report.freed.bytes = plan.totals.bytes.content;
  absl::flat_hash_set<NodeId> gone;
  for (const gc::PlanItem& item : plan.items) {
    if (item.node == kNoNode || !IsContent(item.kind)) continue;
    ++report.freed.count;
    gone.insert(item.node);
  }
  std::vector<gc::Root> asked;
  for (const NodeId id : plan.asked) {
    asked.push_back({id, index::RootReason::kNone});
  }
  RECLAIM_ASSIGN_OR_RETURN(const gc::LiveSet reach,
                           gc::Mark(view, asked, {inputs.is_cancelled}));
  gc::LiveSet kept(reach.node_count());
  for (NodeId id = 0; id < reach.node_count(); ++id) {
    if (id % kYieldInterval == 0) view.Yield();
    if (!reach.Contains(id) || gone.contains(id) || !IsContent(view.kind(id)) ||
        view.state(id) != NodeState::kPresent) {
      continue;
    }
    // An extent goes with the last of its names.
    if (view.kind(id) == index::NodeKind::kExtent &&
        !view.IsLinkedElsewhere(id)) {
      bool stays = false;
      view.ForEachKeeper(id, [&](NodeId blob) {
        stays = view.state(blob) == NodeState::kPresent && !gone.contains(blob);
        return !stays;
      });
      if (!stays) continue;
    }
    ++report.kept.count;
    report.kept.bytes += view.fields(id).bytes;
    kept.Insert(id);
  }
  ListKeepers(view, Remaining(inputs, policy, plan), kept, &report);
  return report;
}

}  // namespace reclaim::accounting
