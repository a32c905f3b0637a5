#include "accounting/retained.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace reclaim::accounting {
namespace {

using index::GraphView;
using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using index::RootReason;

constexpr uint32_t kStepsPerSlice = 4096;
// Of a node that no root reaches.
constexpr uint32_t kUnreached = std::numeric_limits<uint32_t>::max();

// Nodes of the flow graph: those of the view, then one above all roots, then
// the tenants.
class Dominators {
 public:
  Dominators(const GraphView& view, const std::vector<gc::Root>& roots,
             absl::Span<const std::vector<NodeId>> tenants)
      : view_(view),
        count_(view.node_count()),
        top_(count_),
        size_(count_ + 1 + tenants.size()) {
    AddTenants(tenants);
    for (const gc::Root& root : roots) AddRoot(root);
    for (auto& [from, to] : above_) {
      std::sort(to.begin(), to.end());
      to.erase(std::unique(to.begin(), to.end()), to.end());
    }
    Number();
    // Each pass settles one node more at the least.
    for (size_t pass = 0; pass < order_.size() && Pass(); ++pass) {
    }
  }

  RetainedSizes Sum(size_t tenant_count) const;

 private:
  void AddTenants(absl::Span<const std::vector<NodeId>> tenants) {
    for (size_t i = 0; i < tenants.size(); ++i) {
      const NodeId tenant = top_ + 1 + static_cast<NodeId>(i);
      above_[top_].push_back(tenant);
      for (const NodeId repository : tenants[i]) {
        above_[tenant].push_back(repository);
        owned_.insert({repository, true});
      }
    }
  }

  // A repository hangs below its tenants, or else below the top.
  NodeId Repository(NodeId repository) {
    if (owned_.insert({repository, false}).second) {
      above_[top_].push_back(repository);
    }
    return repository;
  }

  void AddRoot(const gc::Root& root) {
    if (root.node >= count_) return;
    if (root.reason == RootReason::kUnlinked) {
      unlinked_.push_back(root.node);
      return;
    }
    if (root.reason == RootReason::kTag) {
      index::NamedKey key = view_.named_key(root.node);
      const NodeId repository = view_.FindNamed(
          {NodeKind::kRepository, key.store, "", std::move(key.scope)});
      const bool is_known = repository < count_;
      above_[is_known ? Repository(repository) : top_].push_back(root.node);
      return;
    }
    // Named by nothing but its link: it goes with the last repository of them.
    bool is_linked = false;
    if (root.reason == RootReason::kOnlyName) {
      view_.ForEachRepositoryOf(root.node, [&](NodeId repository) {
        if (repository < count_) {
          above_[Repository(repository)].push_back(root.node);
          is_linked = true;
        }
        return true;
      });
    }
    if (!is_linked) above_[top_].push_back(root.node);
  }

  // What a node keeps, in the flow graph.  A flat lease keeps its targets'
  // bytes and passes nothing on: it has no edges but to snapshots.
  template <typename Visit>
  void ForEachKept(NodeId id, Visit visit) const {
    const auto extra = above_.find(id);
    if (extra != above_.end()) {
      for (const NodeId to : extra->second) visit(to);
    }
    if (id >= count_ || !view_.HasEdges(id)) return;
    const index::NodeEdges edges = view_.Edges(id);
    for (const NodeId to : edges.kept) {
      if (to < count_ &&
          (!edges.is_flat || view_.kind(to) == NodeKind::kSnapshot)) {
        visit(to);
      }
    }
    for (const NodeId to : edges.referrers) {
      if (to < count_) visit(to);
    }
    if (edges.extent < count_) visit(edges.extent);
  }

  bool IsFlat(NodeId id) const {
    return view_.kind(id) == NodeKind::kLease &&
           (view_.fields(id).flags & index::kFlat) != 0;
  }

  void Number();
  bool Pass();

  // The nearest node on both paths to the top.
  NodeId Intersect(NodeId a, NodeId b) const {
    while (a != b) {
      while (number_[a] > number_[b]) a = dominator_[a];
      while (number_[b] > number_[a]) b = dominator_[b];
    }
    return a;
  }
  void Merge(NodeId from, NodeId to, std::vector<NodeId>* dominators) const {
    NodeId& dominator = (*dominators)[to];
    dominator = dominator == kNoNode ? from : Intersect(dominator, from);
  }
  std::vector<NodeId> Holders() const;

  const GraphView& view_;
  const NodeId count_;
  const NodeId top_;
  const size_t size_;
  absl::flat_hash_map<NodeId, std::vector<NodeId>> above_;
  absl::flat_hash_map<NodeId, bool> owned_;
  std::vector<NodeId> unlinked_;
  std::vector<NodeId> order_;     // reverse postorder
  std::vector<uint32_t> number_;  // by node: its place in `order_`
  std::vector<NodeId> dominator_;
  // Edges against the order: the cycles.
  std::vector<std::pair<NodeId, NodeId>> backward_;
};

void Dominators::Number() {
  std::vector<bool> is_seen(size_, false);
  // A node and, once its children are done, whether to put it down.
  std::vector<std::pair<NodeId, bool>> stack = {{top_, false}};
  uint32_t step = 0;
  while (!stack.empty()) {
    if (++step % kStepsPerSlice == 0) view_.Yield();
    const auto [id, is_done] = stack.back();
    stack.pop_back();
    if (is_done) {
      order_.push_back(id);
      continue;
    }
    if (is_seen[id]) continue;
    is_seen[id] = true;
    stack.push_back({id, true});
    ForEachKept(id, [&](NodeId to) {
      if (!is_seen[to]) stack.push_back({to, false});
    });
  }
  std::reverse(order_.begin(), order_.end());
  number_.assign(size_, kUnreached);
  for (uint32_t i = 0; i < order_.size(); ++i) number_[order_[i]] = i;
  dominator_.assign(size_, kNoNode);
  dominator_[top_] = top_;
  for (const NodeId id : order_) {
    if (number_[id] % kStepsPerSlice == 0) view_.Yield();
    ForEachKept(id, [&](NodeId to) {
      if (number_[to] <= number_[id]) backward_.push_back({id, to});
    });
  }
  std::sort(backward_.begin(), backward_.end(), [&](auto a, auto b) {
    return std::make_pair(number_[a.second], a.first) <
           std::make_pair(number_[b.second], b.first);
  });
}

// True if another pass is needed: only where there are cycles.
bool Dominators::Pass() {
  bool is_changed = false;
  std::vector<NodeId> next(size_, kNoNode);
  size_t back = 0;
  for (const NodeId id : order_) {
    if (number_[id] % kStepsPerSlice == 0) view_.Yield();
    for (; back < backward_.size() && backward_[back].second == id; ++back) {
      const NodeId from = backward_[back].first;
      if (dominator_[from] != kNoNode) Merge(from, id, &next);
    }
    if (id != top_) {
      // Its keepers went while the lock was given up.
      if (next[id] == kNoNode) next[id] = top_;
      is_changed |= dominator_[id] != next[id];
      dominator_[id] = next[id];
    }
    ForEachKept(id, [&](NodeId to) {
      if (number_[to] != kUnreached && number_[to] > number_[id]) {
        Merge(id, to, &next);
      }
    });
  }
  return is_changed && !backward_.empty();
}

// Whom the bytes of a node hang on: itself, or what it and the flat leases on
// it have in common.  kNoNode if nothing holds them.
std::vector<NodeId> Dominators::Holders() const {
  std::vector<NodeId> holders(size_, kNoNode);
  for (const NodeId id : order_) holders[id] = id;
  for (const NodeId id : order_) {
    if (number_[id] % kStepsPerSlice == 0) view_.Yield();
    if (id >= count_ || !view_.Exists(id) || !IsFlat(id)) continue;
    for (const NodeId target : view_.Kept(id)) {
      if (target >= count_) continue;
      for (const NodeId held : {target, view_.ExtentOf(target)}) {
        if (held >= count_) continue;
        NodeId& holder = holders[held];
        holder = holder == kNoNode ? id : Intersect(holder, id);
      }
    }
  }
  // A name elsewhere keeps a file, whoever has others of it.
  for (NodeId id = 0; id < count_; ++id) {
    if (id % kStepsPerSlice == 0) view_.Yield();
    if (view_.Exists(id) && view_.kind(id) == NodeKind::kExtent &&
        view_.IsLinkedElsewhere(id)) {
      holders[id] = top_;
    }
  }
  // What no repository links is held from above, and passes nothing on.
  uint32_t step = 0;
  for (const NodeId id : unlinked_) {
    if (++step % kStepsPerSlice == 0) view_.Yield();
    for (const NodeId held : {id, view_.ExtentOf(id)}) {
      if (held < count_) holders[held] = top_;
    }
  }
  return holders;
}

RetainedSizes Dominators::Sum(size_t tenant_count) const {
  std::vector<store::Bytes> sums(size_);
  const std::vector<NodeId> holders = Holders();
  for (NodeId id = 0; id < count_; ++id) {
    if (id % kStepsPerSlice == 0) view_.Yield();
    if (holders[id] == kNoNode || !view_.Exists(id)) continue;
    if (!IsContent(view_.kind(id))) continue;
    if (view_.state(id) == index::NodeState::kPresent) {
      sums[holders[id]] += view_.bytes(id);
    }
  }
  for (auto id = order_.rbegin(); id != order_.rend(); ++id) {
    if (*id != top_) sums[dominator_[*id]] += sums[*id];
  }
  RetainedSizes sizes;
  sizes.live = sums[top_];
  for (size_t i = 0; i < tenant_count; ++i) {
    sizes.by_tenant.push_back(sums[top_ + 1 + i]);
  }
  sums.resize(count_);
  sizes.by_node = std::move(sums);
  return sizes;
}

}  // namespace

RetainedSizes MakeRetainedSizes(const GraphView& view,
                                const std::vector<gc::Root>& roots,
                                absl::Span<const std::vector<NodeId>> tenants) {
  return Dominators(view, roots, tenants).Sum(tenants.size());
}

}  // namespace reclaim::accounting
