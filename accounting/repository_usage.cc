#include "accounting/repository_usage.h"

#include <map>

#include "absl/container/flat_hash_set.h"

namespace reclaim::accounting {
namespace {

using index::GraphView;
using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using index::NodeState;

constexpr NodeId kYieldInterval = 4096;

// Everything that the tags in `tags` reach, as the collector reaches it:
// content, referrers and the extents behind hard links.
std::vector<NodeId> Reached(const GraphView& view,
                            const std::vector<NodeId>& tags,
                            std::vector<uint32_t>* seen, uint32_t walk) {
  std::vector<NodeId> reached;
  std::vector<NodeId> stack = tags;
  auto push = [&](NodeId id) {
    if (id >= seen->size()) seen->resize(id + 1, 0);
    if ((*seen)[id] == walk) return;
    (*seen)[id] = walk;
    stack.push_back(id);
  };
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (IsContent(view.kind(id))) reached.push_back(id);
    for (const NodeId child : view.Kept(id)) push(child);
    for (const NodeId referrer : view.Referrers(id)) push(referrer);
    if (const NodeId extent = view.ExtentOf(id); extent != kNoNode) {
      push(extent);
    }
  }
  return reached;
}

// The index-th of `count` shares of `bytes`; the shares add up to `bytes`.
uint64_t Share(uint64_t bytes, uint32_t count, uint32_t index) {
  return bytes / count + (index < bytes % count ? 1 : 0);
}

std::map<NodeId, std::vector<NodeId>> TagsByRepository(const GraphView& view,
                                                       index::StoreId store) {
  std::map<NodeId, std::vector<NodeId>> tags;
  view.ForEachNamed(NodeKind::kRepository, store, [&](NodeId repository) {
    tags[repository];
    return true;
  });
  view.ForEachNamed(NodeKind::kTag, store, [&](NodeId tag) {
    const index::NamedKey key = view.named_key(tag);
    const NodeId repository =
        view.FindNamed({NodeKind::kRepository, store, "", key.scope});
    if (repository != kNoNode) tags[repository].push_back(tag);
    return true;
  });
  return tags;
}

void Count(const store::Bytes& bytes, index::Tally* tally) {
  ++tally->count;
  tally->bytes += bytes;
}

// Whether a name that is none of the store's keeps it on the disk.
bool IsHeldElsewhere(const GraphView& view, NodeId id) {
  return view.kind(id) == NodeKind::kExtent && view.IsLinkedElsewhere(id);
}

// Which groups reach what.
struct Reach {
  std::vector<std::vector<NodeId>> by_group;  // in order of the groups
  std::vector<uint32_t> group_count;          // by node
};

Reach ReachAll(const GraphView& view,
               const std::vector<std::vector<NodeId>>& groups) {
  Reach reach;
  reach.group_count.assign(view.node_count(), 0);
  std::vector<uint32_t> seen(view.node_count(), 0);
  uint32_t walk = 0;
  for (const std::vector<NodeId>& tags : groups) {
    reach.by_group.push_back(Reached(view, tags, &seen, ++walk));
    for (const NodeId id : reach.by_group.back()) {
      if (id >= reach.group_count.size()) reach.group_count.resize(id + 1, 0);
      ++reach.group_count[id];
    }
    view.Yield();
  }
  return reach;
}

// What tags of no group reach, as a bit a node.
std::vector<bool> ReachedByOthers(
    const GraphView& view, index::StoreId store,
    const std::vector<std::vector<NodeId>>& groups) {
  absl::flat_hash_set<NodeId> grouped;
  for (const auto& tags : groups) grouped.insert(tags.begin(), tags.end());
  std::vector<NodeId> others;
  view.ForEachNamed(NodeKind::kTag, store, [&](NodeId tag) {
    if (!grouped.contains(tag)) others.push_back(tag);
    return true;
  });
  std::vector<uint32_t> seen(view.node_count(), 0);
  std::vector<bool> reached(view.node_count(), false);
  for (const NodeId id : Reached(view, others, &seen, 1)) {
    if (id < reached.size()) reached[id] = true;
  }
  return reached;
}

store::Bytes Unattributed(const GraphView& view, index::StoreId store,
                          const Reach& reach, const Judgement& judge) {
  store::Bytes bytes;
  for (NodeId id = 0; id < view.node_count(); ++id) {
    if (id % kYieldInterval == 0) view.Yield();
    if (!view.Exists(id) || view.fields(id).store != store) continue;
    const bool is_counted =
        IsContent(view.kind(id)) || view.kind(id) == NodeKind::kUpload;
    const bool is_attributed =
        id < reach.group_count.size() && reach.group_count[id] > 0;
    if (!is_counted || is_attributed || !judge.is_live(id)) continue;
    if (view.state(id) != NodeState::kPresent) continue;
    bytes += view.fields(id).bytes;
  }
  return bytes;
}

}  // namespace

GroupShares ShareGroups(const GraphView& view, index::StoreId store,
                        const std::vector<std::vector<NodeId>>& groups,
                        const Judgement& judge) {
  const Reach reach = ReachAll(view, groups);
  const std::vector<bool> others = ReachedByOthers(view, store, groups);
  GroupShares shares;
  std::vector<uint32_t> next_share(reach.group_count.size(), 0);
  for (size_t group = 0; group < groups.size(); ++group) {
    GroupUsage usage;
    usage.tag_count = groups[group].size();
    for (const NodeId id : reach.by_group[group]) {
      if (view.state(id) != NodeState::kPresent) continue;
      const store::Bytes bytes = view.fields(id).bytes;
      const uint32_t sharers = reach.group_count[id];
      const bool is_elsewhere = id < others.size() && others[id];
      Count(bytes, &usage.reachable);
      if (sharers == 1 && !is_elsewhere && !judge.is_kept_otherwise(id) &&
          !IsHeldElsewhere(view, id)) {
        Count(bytes, &usage.exclusive);
      }
      if (!judge.is_live(id)) continue;
      const uint32_t turn = next_share[id]++;
      usage.apportioned.logical_bytes +=
          Share(bytes.logical_bytes, sharers, turn);
      usage.apportioned.allocated_bytes +=
          Share(bytes.allocated_bytes, sharers, turn);
    }
    shares.groups.push_back(usage);
  }
  shares.unattributed = Unattributed(view, store, reach, judge);
  return shares;
}

StoreShares ShareStore(const GraphView& view, index::StoreId store,
                       const Judgement& judge) {
  std::vector<NodeId> repositories;
  std::vector<std::vector<NodeId>> groups;
  for (auto& [repository, tags] : TagsByRepository(view, store)) {
    repositories.push_back(repository);
    groups.push_back(tags);
  }
  const GroupShares by_group = ShareGroups(view, store, groups, judge);
  StoreShares shares;
  for (size_t i = 0; i < repositories.size(); ++i) {
    const GroupUsage& usage = by_group.groups[i];
    shares.repositories.push_back({repositories[i], usage.tag_count,
                                   usage.reachable, usage.exclusive,
                                   usage.apportioned});
  }
  shares.unattributed = by_group.unattributed;
  return shares;
}

}  // namespace reclaim::accounting
