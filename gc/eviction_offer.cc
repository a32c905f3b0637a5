#include "gc/eviction_offer.h"

#include <algorithm>

namespace reclaim::gc {

using index::kNoNode;
using index::NodeKind;

namespace {

constexpr uint64_t kStepsPerSlice = 1024;

}  // namespace

uint32_t RecencyTier(absl::Duration idle) {
  uint32_t halvings = 0;
  for (absl::Duration left = idle;
       left >= absl::Hours(24) && halvings + 1 < kRecencyTierCount; left /= 2) {
    ++halvings;
  }
  return kRecencyTierCount - 1 - halvings;
}

EvictionOffer::EvictionOffer(const index::GraphView& view, const LiveSet& kept,
                             const std::vector<NodeId>& offered,
                             const std::map<NodeId, uint32_t>& named)
    : view_(view), kept_(kept) {
  for (const NodeId id : offered) AddPiece(id);
  for (const NodeId id : offered) AddExtentOf(id);
  if (!offered.empty()) FindFlatTargets(view_.fields(offered[0]).store);
  FindEdges();
  std::vector<bool> is_led_to(nodes_.size(), false);
  for (const uint32_t vertex : edges_) is_led_to[vertex] = true;
  for (const auto& [id, tier] : named) {
    const auto it = vertices_.find(id);
    if (it != vertices_.end() && it->second < problem_.piece_count()) {
      AddCandidate(it->second, tier);
    }
  }
  for (const NodeId id : offered) {
    const uint32_t piece = vertices_.at(id);
    if (!is_led_to[piece] && named.count(id) == 0) {
      AddCandidate(piece, kNoRegretTier);
    }
  }
  // Referrers that name each other: one of them stands for all.
  for (const NodeId id : offered) {
    const uint32_t piece = vertices_.at(id);
    if (seen_[piece] == 0) AddCandidate(piece, kNoRegretTier);
  }
}

void EvictionOffer::YieldNowAndThen() {
  if (++step_count_ % kStepsPerSlice == 0) view_.Yield();
}

void EvictionOffer::AddPiece(NodeId id) {
  YieldNowAndThen();
  vertices_[id] = problem_.AddPiece(view_.fields(id).bytes.allocated_bytes);
  nodes_.push_back(id);
  if (!view_.Exists(id) || view_.kind(id) != NodeKind::kSnapshot) return;
  for (const NodeId to : view_.Kept(id)) {
    if (view_.kind(to) != NodeKind::kSnapshot) unpacked_[to].push_back(id);
  }
}

// What a flat lease holds is kept, and holds nothing itself till something else
// reaches it (gc/mark.h): so what leads to it leads on.
void EvictionOffer::FindFlatTargets(index::StoreId store) {
  view_.ForEachNamed(NodeKind::kLease, store, [this](NodeId lease) {
    if ((view_.fields(lease).flags & index::kFlat) == 0) return true;
    for (const NodeId target : view_.Kept(lease)) flat_targets_.insert(target);
    return true;
  });
}

bool EvictionOffer::IsKeptAlone(NodeId id) const {
  return flat_targets_.contains(id) ||
         (view_.Exists(id) && IsContent(view_.kind(id)) &&
          view_.DoubtAbout(id) == index::Doubt::kUnlinked);
}

// The file behind several names goes with the last of them.
void EvictionOffer::AddExtentOf(NodeId id) {
  YieldNowAndThen();
  const NodeId extent = view_.ExtentOf(id);
  if (extent == kNoNode || vertices_.contains(extent)) return;
  bool goes = !view_.IsLinkedElsewhere(extent);
  if (!goes) return;
  view_.ForEachKeeper(extent, [&](NodeId name) {
    goes = view_.state(name) != index::NodeState::kPresent ||
           vertices_.contains(name);
    return goes;
  });
  if (goes) AddPiece(extent);
}

void EvictionOffer::ForEachEdge(NodeId id,
                                absl::FunctionRef<void(NodeId)> visit) const {
  if (!view_.Exists(id)) return;
  const bool is_snapshot = view_.kind(id) == NodeKind::kSnapshot;
  for (const NodeId to : view_.Kept(id)) {
    // A snapshot is of its image; the image is not of the snapshot.
    if (!is_snapshot || view_.kind(to) == NodeKind::kSnapshot) visit(to);
  }
  if (!IsContent(view_.kind(id))) return;
  for (const NodeId referrer : view_.Referrers(id)) visit(referrer);
  if (const NodeId extent = view_.ExtentOf(id); extent != kNoNode) {
    visit(extent);
  }
  const auto unpacked = unpacked_.find(id);
  if (unpacked == unpacked_.end()) return;
  for (const NodeId snapshot : unpacked->second) visit(snapshot);
}

// Each vertex is asked once: a layer that a thousand images share would tell
// each of them the same.
void EvictionOffer::FindEdges() {
  for (uint32_t vertex = 0; vertex < nodes_.size(); ++vertex) {
    YieldNowAndThen();
    first_edge_.push_back(edges_.size());
    ForEachEdge(nodes_[vertex], [&](NodeId to) {
      if (to >= kept_.node_count()) return;
      const auto next = static_cast<uint32_t>(nodes_.size());
      auto it = vertices_.find(to);
      if (it == vertices_.end()) {
        // An extent may be a piece although a name that is not here reaches it.
        if (kept_.Contains(to) && !IsKeptAlone(to)) return;
        it = vertices_.emplace(to, next).first;
        nodes_.push_back(to);
      }
      edges_.push_back(it->second);
    });
  }
  first_edge_.push_back(edges_.size());
  seen_.assign(nodes_.size(), 0);
}

void EvictionOffer::AddCandidate(uint32_t top, uint32_t tier) {
  const uint32_t mark = problem_.candidate_count() + 1;
  std::vector<uint32_t> reached;
  std::vector<uint32_t> stack;
  const auto push = [&](uint32_t vertex) {
    if (seen_[vertex] == mark) return;
    seen_[vertex] = mark;
    if (vertex < problem_.piece_count()) reached.push_back(vertex);
    stack.push_back(vertex);
  };
  push(top);
  while (!stack.empty()) {
    const uint32_t vertex = stack.back();
    stack.pop_back();
    for (size_t i = first_edge_[vertex]; i < first_edge_[vertex + 1]; ++i) {
      push(edges_[i]);
    }
    YieldNowAndThen();
  }
  problem_.AddCandidate(tier, reached);
}

absl::flat_hash_set<index::NodeId> EvictionOffer::GoneWith(
    const std::vector<uint32_t>& chosen) const {
  std::vector<uint32_t> users(problem_.piece_count(), 0);
  for (uint32_t i = 0; i < problem_.candidate_count(); ++i) {
    for (const uint32_t piece : problem_.pieces(i)) ++users[piece];
  }
  absl::flat_hash_set<NodeId> gone;
  for (const uint32_t candidate : chosen) {
    for (const uint32_t piece : problem_.pieces(candidate)) {
      if (--users[piece] == 0) gone.insert(nodes_[piece]);
    }
  }
  return gone;
}

}  // namespace reclaim::gc
