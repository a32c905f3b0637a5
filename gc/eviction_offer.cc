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
  seen_.assign(nodes_.size(), 0);
  absl::flat_hash_set<NodeId> led_to;
  uint64_t step = 0;
  for (const NodeId id : offered) {
    if (++step % kStepsPerSlice == 0) view_.Yield();
    for (const NodeId next : Next(id)) led_to.insert(next);
  }
  for (const auto& [id, tier] : named) {
    if (pieces_.contains(id)) AddCandidate(id, tier);
  }
  for (const NodeId id : offered) {
    if (!led_to.contains(id) && named.count(id) == 0) {
      AddCandidate(id, kNoRegretTier);
    }
  }
  // Referrers that name each other: one of them stands for all.
  for (const NodeId id : offered) {
    if (seen_[pieces_.at(id)] == 0) AddCandidate(id, kNoRegretTier);
  }
}

void EvictionOffer::AddPiece(NodeId id) {
  pieces_[id] = problem_.AddPiece(view_.fields(id).bytes.allocated_bytes);
  nodes_.push_back(id);
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
  const NodeId extent = view_.ExtentOf(id);
  if (extent == kNoNode || pieces_.contains(extent)) return;
  bool goes = true;
  view_.ForEachKeeper(extent, [&](NodeId name) {
    goes = view_.state(name) != index::NodeState::kPresent ||
           pieces_.contains(name);
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
  view_.ForEachKeeper(id, [&](NodeId keeper) {
    if (view_.kind(keeper) == NodeKind::kSnapshot && pieces_.contains(keeper)) {
      visit(keeper);
    }
    return true;
  });
}

std::vector<index::NodeId> EvictionOffer::Next(NodeId id) const {
  std::vector<NodeId> next;
  absl::flat_hash_set<NodeId> passed = {id};
  std::vector<NodeId> stack = {id};
  while (!stack.empty()) {
    const NodeId from = stack.back();
    stack.pop_back();
    ForEachEdge(from, [&](NodeId to) {
      if (to >= kept_.node_count() || !passed.insert(to).second) return;
      // An extent may be a piece although a name that is not here reaches it.
      if (pieces_.contains(to)) {
        next.push_back(to);
      } else if (!kept_.Contains(to) || IsKeptAlone(to)) {
        stack.push_back(to);
      }
    });
  }
  return next;
}

void EvictionOffer::AddCandidate(NodeId top, uint32_t tier) {
  const uint32_t mark = problem_.candidate_count() + 1;
  std::vector<uint32_t> reached;
  std::vector<NodeId> stack;
  const auto push = [&](NodeId id) {
    const uint32_t piece = pieces_.at(id);
    if (seen_[piece] == mark) return;
    seen_[piece] = mark;
    reached.push_back(piece);
    stack.push_back(id);
  };
  push(top);
  uint64_t step = 0;
  while (!stack.empty()) {
    if (++step % kStepsPerSlice == 0) view_.Yield();
    const NodeId id = stack.back();
    stack.pop_back();
    for (const NodeId next : Next(id)) push(next);
  }
  if (problem_.candidate_count() % kStepsPerSlice == 0) view_.Yield();
  problem_.AddCandidate(tier, reached);
}

absl::flat_hash_set<index::NodeId> EvictionOffer::GoneWith(
    const std::vector<uint32_t>& chosen) const {
  std::vector<uint32_t> users(nodes_.size(), 0);
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
