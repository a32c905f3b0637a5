#include "tests/benchmark/naive_graph.h"

#include <algorithm>
#include <unordered_map>

#include "base/check.h"

namespace reclaim::benchmark {

using index::NodeId;

void NaiveGraph::OnContent(const index::ContentRow& row) {
  RECLAIM_CHECK(row.id == node_count(), "rows come in order of their ids");
  bytes_.push_back(row.bytes.logical_bytes);
  to_.insert(to_.end(), row.children.begin(), row.children.end());
  begin_.push_back(static_cast<uint32_t>(to_.size()));
  if (index::IsManifestLike(row.kind)) images_.push_back(row.id);
  if (row.subject != index::kNoNode) {
    referrers_.push_back({row.subject, row.id});
  }
}

void NaiveGraph::OnNamed(const index::NamedRow& row) {
  RECLAIM_CHECK(row.id == node_count(), "rows come in order of their ids");
  bytes_.push_back(0);
  to_.insert(to_.end(), row.targets.begin(), row.targets.end());
  begin_.push_back(static_cast<uint32_t>(to_.size()));
  if (row.key.kind == index::NodeKind::kTag) tags_.push_back(row.id);
}

void NaiveGraph::Finish() {
  std::sort(referrers_.begin(), referrers_.end());
  size_t at = 0;
  all_begin_.reserve(begin_.size());
  all_to_.reserve(to_.size() + referrers_.size());
  all_begin_.push_back(0);
  for (NodeId id = 0; id < node_count(); ++id) {
    all_to_.insert(all_to_.end(), to_.begin() + begin_[id],
                   to_.begin() + begin_[id + 1]);
    for (; at < referrers_.size() && referrers_[at].first == id; ++at) {
      all_to_.push_back(referrers_[at].second);
    }
    all_begin_.push_back(static_cast<uint32_t>(all_to_.size()));
  }
}

std::vector<uint64_t> NaiveGraph::BareMark() const {
  std::vector<uint64_t> bits((node_count() + 63) / 64);
  std::vector<NodeId> stack;
  const auto push = [&](NodeId id) {
    const uint64_t bit = uint64_t{1} << (id % 64);
    if ((bits[id / 64] & bit) != 0) return;
    bits[id / 64] |= bit;
    if (all_begin_[id] != all_begin_[id + 1]) stack.push_back(id);
  };
  for (const NodeId tag : tags_) push(tag);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    for (uint32_t i = all_begin_[id]; i < all_begin_[id + 1]; ++i) {
      push(all_to_[i]);
    }
  }
  return bits;
}

std::vector<NodeId> NaiveGraph::Closure(NodeId image,
                                        std::vector<uint32_t>* seen) const {
  std::vector<NodeId> closure = {image};
  (*seen)[image] = image;
  for (size_t i = 0; i < closure.size(); ++i) {
    for (uint32_t e = begin_[closure[i]]; e < begin_[closure[i] + 1]; ++e) {
      if ((*seen)[to_[e]] == image) continue;
      (*seen)[to_[e]] = image;
      closure.push_back(to_[e]);
    }
  }
  return closure;
}

// A count and the XOR of the referring images name the only one that is left.
std::vector<uint64_t> NaiveGraph::BareExclusive() const {
  std::vector<uint32_t> seen(node_count(), index::kNoNode);
  std::vector<uint32_t> counts(node_count());
  std::vector<NodeId> xors(node_count());
  std::vector<NodeId> closure;
  for (const NodeId image : images_) {
    closure.assign(1, image);
    seen[image] = image;
    for (size_t i = 0; i < closure.size(); ++i) {
      const NodeId id = closure[i];
      ++counts[id];
      xors[id] ^= image;
      for (uint32_t e = begin_[id]; e < begin_[id + 1]; ++e) {
        if (seen[to_[e]] == image) continue;
        seen[to_[e]] = image;
        closure.push_back(to_[e]);
      }
    }
  }
  std::vector<uint64_t> exclusive(node_count());
  for (NodeId id = 0; id < node_count(); ++id) {
    if (counts[id] == 1) exclusive[xors[id]] += bytes_[id];
  }
  return exclusive;
}

// Cooper, Harvey and Kennedy in one pass: there is no cycle.  The top is
// numbered 0.
uint64_t NaiveGraph::BareDominators() const {
  std::vector<bool> is_seen(node_count());
  std::vector<NodeId> order;  // reverse postorder, from the end
  std::vector<std::pair<NodeId, uint32_t>> stack;
  for (const NodeId tag : tags_) {
    if (is_seen[tag]) continue;
    is_seen[tag] = true;
    stack.push_back({tag, all_begin_[tag]});
    while (!stack.empty()) {
      auto& [id, edge] = stack.back();
      if (edge == all_begin_[id + 1]) {
        order.push_back(id);
        stack.pop_back();
        continue;
      }
      const NodeId to = all_to_[edge++];
      if (is_seen[to]) continue;
      is_seen[to] = true;
      stack.push_back({to, all_begin_[to]});
    }
  }
  std::vector<uint32_t> number(node_count());
  const auto count = static_cast<uint32_t>(order.size());
  for (uint32_t i = 0; i < count; ++i) number[order[i]] = count - i;
  std::vector<uint32_t> dominator(count + 1, index::kNoNode);
  for (const NodeId tag : tags_) dominator[number[tag]] = 0;
  std::vector<uint64_t> sums(count + 1);
  for (uint32_t n = 1; n <= count; ++n) {
    const NodeId id = order[count - n];
    sums[n] = bytes_[id];
    for (uint32_t e = all_begin_[id]; e < all_begin_[id + 1]; ++e) {
      uint32_t a = dominator[number[all_to_[e]]];
      uint32_t b = n;
      while (a != index::kNoNode && a != b) {
        if (a > b) std::swap(a, b);
        b = dominator[b];
      }
      dominator[number[all_to_[e]]] = b;
    }
  }
  for (uint32_t n = count; n > 0; --n) sums[dominator[n]] += sums[n];
  return sums[0];
}

std::vector<bool> NaiveGraph::ReachBySweeps(NodeId without) const {
  std::vector<bool> reached(node_count());
  for (const NodeId tag : tags_) reached[tag] = tag != without;
  for (bool is_changed = true; is_changed;) {
    is_changed = false;
    for (NodeId id = node_count(); id-- > 0;) {
      if (!reached[id]) continue;
      for (uint32_t e = begin_[id]; e < begin_[id + 1]; ++e) {
        if (reached[to_[e]] || to_[e] == without) continue;
        reached[to_[e]] = true;
        is_changed = true;
      }
    }
    for (const auto& [subject, referrer] : referrers_) {
      if (!reached[subject] || reached[referrer] || referrer == without) {
        continue;
      }
      reached[referrer] = true;
      is_changed = true;
    }
  }
  return reached;
}

std::vector<uint64_t> NaiveGraph::ExclusiveOf(
    const std::vector<NodeId>& sample) const {
  std::vector<uint32_t> seen(node_count(), index::kNoNode);
  std::unordered_map<NodeId, uint32_t> counts;
  for (const NodeId image : sample) {
    for (const NodeId id : Closure(image, &seen)) counts[id] = 0;
  }
  std::fill(seen.begin(), seen.end(), index::kNoNode);
  for (const NodeId image : images_) {
    for (const NodeId id : Closure(image, &seen)) {
      const auto count = counts.find(id);
      if (count != counts.end()) ++count->second;
    }
  }
  std::fill(seen.begin(), seen.end(), index::kNoNode);
  std::vector<uint64_t> exclusive;
  for (const NodeId image : sample) {
    exclusive.push_back(0);
    for (const NodeId id : Closure(image, &seen)) {
      if (counts[id] == 1) exclusive.back() += bytes_[id];
    }
  }
  return exclusive;
}

uint64_t NaiveGraph::BytesOf(const std::vector<bool>& nodes) const {
  uint64_t sum = 0;
  for (NodeId id = 0; id < node_count(); ++id) {
    if (nodes[id]) sum += bytes_[id];
  }
  return sum;
}

}  // namespace reclaim::benchmark
