#include "index/reach_counter.h"

#include "absl/container/flat_hash_set.h"
#include "base/check.h"

namespace reclaim::index {

void ReachCounter::SetCount(NodeId id, uint32_t count) {
  const bool flips = (counts_[id] == 0) != (count == 0) && FlatCount(id) == 0;
  if (flips) listener_->BeforeFlip(reach_class_, id);
  counts_.Set(id, count);
  if (flips) listener_->AfterFlip(reach_class_, id);
}

void ReachCounter::Retain(NodeId top) {
  std::vector<NodeId> stack = {top};
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    SetCount(id, counts_[id] + 1);
    if (counts_[id] == 1) {
      listener_->ForEachEdge(id, [&](NodeId to) { stack.push_back(to); });
    }
  }
}

void ReachCounter::RetainQuietly(NodeId top) {
  std::vector<NodeId> stack;
  const auto push = [&stack](NodeId to) { stack.push_back(to); };
  if (counts_.Increment(top)) listener_->ForEachEdge(top, push);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (counts_.Increment(id)) listener_->ForEachEdge(id, push);
  }
}

bool ReachCounter::Drop(NodeId id, std::vector<NodeId>* dead) {
  RECLAIM_CHECK(counts_[id] > 0, "a node is released once for each retain");
  SetCount(id, counts_[id] - 1);
  if (counts_[id] == 0) {
    dead->push_back(id);
    return false;
  }
  bool has_edges = false;
  listener_->ForEachEdge(id, [&](NodeId) { has_edges = true; });
  return has_edges;
}

void ReachCounter::Release(NodeId top) {
  std::vector<NodeId> dead;
  std::vector<NodeId> suspects;
  if (Drop(top, &dead)) suspects.push_back(top);
  while (!dead.empty()) {
    const NodeId id = dead.back();
    dead.pop_back();
    listener_->ForEachEdge(id, [&](NodeId to) {
      if (Drop(to, &dead)) suspects.push_back(to);
    });
  }
  for (const NodeId suspect : suspects) {
    if (counts_[suspect] > 0) TryDelete(suspect);
  }
}

void ReachCounter::TryDelete(NodeId top) {
  absl::flat_hash_map<NodeId, uint32_t> inner = {{top, 0}};
  std::vector<NodeId> closure = {top};
  for (size_t i = 0; i < closure.size(); ++i) {
    listener_->ForEachEdge(closure[i], [&](NodeId to) {
      const auto [it, is_new] = inner.try_emplace(to, 0);
      ++it->second;
      if (is_new) closure.push_back(to);
    });
  }
  if (inner[top] == 0) return;  // no cycle through it: its keepers are real
  absl::flat_hash_set<NodeId> supported;
  std::vector<NodeId> stack;
  for (const NodeId id : closure) {
    if (counts_[id] > inner[id] && supported.insert(id).second) {
      stack.push_back(id);
    }
  }
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    listener_->ForEachEdge(id, [&](NodeId to) {
      if (supported.insert(to).second) stack.push_back(to);
    });
  }
  for (const NodeId id : closure) {
    if (supported.contains(id)) continue;
    listener_->ForEachEdge(id, [&](NodeId to) {
      if (supported.contains(to)) SetCount(to, counts_[to] - 1);
    });
  }
  for (const NodeId id : closure) {
    if (!supported.contains(id)) SetCount(id, 0);
  }
}

void ReachCounter::RetainFlat(NodeId id) {
  const bool flips = !IsLive(id);
  if (flips) listener_->BeforeFlip(reach_class_, id);
  ++flat_counts_[id];
  if (flips) listener_->AfterFlip(reach_class_, id);
}

void ReachCounter::ReleaseFlat(NodeId id) {
  RECLAIM_CHECK(FlatCount(id) > 0,
                "a node is released once for each flat retain");
  const bool flips = counts_[id] == 0 && FlatCount(id) == 1;
  if (flips) listener_->BeforeFlip(reach_class_, id);
  if (--flat_counts_[id] == 0) flat_counts_.erase(id);
  if (flips) listener_->AfterFlip(reach_class_, id);
}

}  // namespace reclaim::index
