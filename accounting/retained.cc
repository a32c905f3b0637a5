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

  // Once, at the end.
  RetainedSizes Sum(size_t tenant_count);

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

  // The nearest one on both paths to the top; here and below nodes that are
  // reached go by their numbers.
  uint32_t Intersect(uint32_t a, uint32_t b) const {
    while (a != b) {
      while (a > b) a = dominator_[a];
      while (b > a) b = dominator_[b];
    }
    return a;
  }
  void Merge(uint32_t from, uint32_t to,
             std::vector<uint32_t>* dominators) const {
    uint32_t& dominator = (*dominators)[to];
    dominator = dominator == kUnreached ? from : Intersect(dominator, from);
  }
  // Whom the bytes of a node hang on where that is not the node itself.
  using Holders = absl::flat_hash_map<NodeId, uint32_t>;
  Holders OddHolders() const;

  const GraphView& view_;
  const NodeId count_;
  const NodeId top_;
  const size_t size_;
  absl::flat_hash_map<NodeId, std::vector<NodeId>> above_;
  absl::flat_hash_map<NodeId, bool> owned_;
  std::vector<NodeId> unlinked_;
  std::vector<NodeId> order_;     // reverse postorder; the top is the first
  std::vector<uint32_t> number_;  // by node: its place in `order_`
  std::vector<uint32_t> dominator_;
  // Edges against the order, the cycles: to, from.
  std::vector<std::pair<uint32_t, uint32_t>> backward_;
};

void Dominators::Number() {
  std::vector<bool> is_seen(size_, false);
  order_.reserve(size_);
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
  dominator_.assign(order_.size(), kUnreached);
  dominator_[0] = 0;
  for (uint32_t i = 0; i < order_.size(); ++i) {
    if (i % kStepsPerSlice == 0) view_.Yield();
    ForEachKept(order_[i], [&](NodeId to) {
      if (number_[to] <= i) backward_.push_back({number_[to], i});
    });
  }
  std::sort(backward_.begin(), backward_.end());
}

// True if another pass is needed: only where there are cycles.
bool Dominators::Pass() {
  bool is_changed = false;
  std::vector<uint32_t> next(order_.size(), kUnreached);
  size_t back = 0;
  for (uint32_t i = 0; i < order_.size(); ++i) {
    if (i % kStepsPerSlice == 0) view_.Yield();
    // All that keep it by an edge along the order went while the lock was given
    // up: it hangs on the top.  It must before its cycles are looked at, for
    // one of those alone would lead down and back here, and Intersect() would
    // never end: it relies on dominators having lower numbers.
    if (next[i] >= i) next[i] = 0;
    for (; back < backward_.size() && backward_[back].first == i; ++back) {
      const uint32_t from = backward_[back].second;
      if (dominator_[from] != kUnreached) Merge(from, i, &next);
    }
    is_changed |= dominator_[i] != next[i];
    dominator_[i] = next[i];
    ForEachKept(order_[i], [&](NodeId to) {
      if (number_[to] != kUnreached && number_[to] > i) {
        Merge(i, number_[to], &next);
      }
    });
  }
  return is_changed && !backward_.empty();
}

// What it and the flat leases on it have in common, or the top.
Dominators::Holders Dominators::OddHolders() const {
  Holders holders;
  for (uint32_t i = 0; i < order_.size(); ++i) {
    if (i % kStepsPerSlice == 0) view_.Yield();
    const NodeId id = order_[i];
    if (id >= count_ || !view_.Exists(id) || !IsFlat(id)) continue;
    for (const NodeId target : view_.Kept(id)) {
      if (target >= count_) continue;
      for (const NodeId held : {target, view_.ExtentOf(target)}) {
        if (held >= count_) continue;
        uint32_t& holder =
            holders.try_emplace(held, number_[held]).first->second;
        holder = holder == kUnreached ? i : Intersect(holder, i);
      }
    }
  }
  // A name elsewhere keeps a file, whoever has others of it.
  for (NodeId id = 0; id < count_; ++id) {
    if (id % kStepsPerSlice == 0) view_.Yield();
    if (view_.Exists(id) && view_.kind(id) == NodeKind::kExtent &&
        view_.IsLinkedElsewhere(id)) {
      holders[id] = 0;
    }
  }
  // What no repository links is held from above, and passes nothing on.
  uint32_t step = 0;
  for (const NodeId id : unlinked_) {
    if (++step % kStepsPerSlice == 0) view_.Yield();
    for (const NodeId held : {id, view_.ExtentOf(id)}) {
      if (held < count_) holders[held] = 0;
    }
  }
  return holders;
}

RetainedSizes Dominators::Sum(size_t tenant_count) {
  const Holders odd = OddHolders();
  const size_t reached_count = order_.size();
  order_ = std::vector<NodeId>();
  backward_ = {};
  std::vector<store::Bytes> sums(reached_count);
  for (NodeId id = 0; id < count_; ++id) {
    if (id % kStepsPerSlice == 0) view_.Yield();
    uint32_t holder = number_[id];
    if (!odd.empty()) {
      const auto it = odd.find(id);
      if (it != odd.end()) holder = it->second;
    }
    if (holder == kUnreached || !view_.Exists(id)) continue;
    if (!IsContent(view_.kind(id))) continue;
    if (view_.state(id) == index::NodeState::kPresent) {
      sums[holder] += view_.bytes(id);
    }
  }
  for (size_t i = reached_count - 1; i > 0; --i) {
    sums[dominator_[i]] += sums[i];
  }
  const store::Bytes live = sums[0];
  std::vector<store::Bytes> by_tenant;
  for (size_t i = 0; i < tenant_count; ++i) {
    by_tenant.push_back(sums[number_[top_ + 1 + i]]);
  }
  number_.resize(count_);
  RetainedSizes sizes(std::move(number_), std::move(sums));
  sizes.by_tenant = std::move(by_tenant);
  sizes.live = live;
  return sizes;
}

}  // namespace

RetainedSizes MakeRetainedSizes(const GraphView& view,
                                const std::vector<gc::Root>& roots,
                                absl::Span<const std::vector<NodeId>> tenants) {
  return Dominators(view, roots, tenants).Sum(tenants.size());
}

}  // namespace reclaim::accounting
