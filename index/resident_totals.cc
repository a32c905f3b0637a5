// The counters of the resident graph.

#include <array>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "index/resident_graph.h"
#include "index/resident_settling.h"

namespace reclaim::index {
namespace {

void AddBytes(Tally* tally, const store::Bytes& bytes, int sign) {
  // Modular, unlike Bytes::operator+=: a database of an earlier version may
  // have sizes of which the sum does not fit, and it has to be what it was when
  // they are gone.
  if (sign > 0) {
    tally->bytes.logical_bytes += bytes.logical_bytes;
    tally->bytes.allocated_bytes += bytes.allocated_bytes;
  } else {
    tally->bytes.logical_bytes -= bytes.logical_bytes;
    tally->bytes.allocated_bytes -= bytes.allocated_bytes;
  }
}

void Add(Tally* tally, const store::Bytes& bytes, int sign) {
  RECLAIM_CHECK(sign > 0 || tally->count > 0,
                "a tally loses what it counted (I6)");
  if (sign > 0) {
    ++tally->count;
  } else {
    --tally->count;
  }
  AddBytes(tally, bytes, sign);
}

// A file with several names is none of the things that are counted: these are.
void Add(Tally* tally, NodeKind kind, const store::Bytes& bytes, int sign) {
  if (kind == NodeKind::kExtent) {
    AddBytes(tally, bytes, sign);
  } else {
    Add(tally, bytes, sign);
  }
}

}  // namespace

void ResidentGraph::Unsettle(NodeId id) {
  Ensure(id);
  const uint8_t depth = nodes_[id].settle_depth();
  RECLAIM_CHECK(depth < Node::kSettleDepthMax, "settling is nested but twice");
  nodes_[id].set_settle_depth(depth + 1);
  if (depth == 0) Contribute(id, -1);
}

void ResidentGraph::Settle(NodeId id) {
  const uint8_t depth = nodes_[id].settle_depth() - 1;
  nodes_[id].set_settle_depth(depth);
  if (depth == 0) Contribute(id, +1);
}

void ResidentGraph::Contribute(NodeId id, int sign) {
  const Node& node = nodes_[id];
  if (!node.exists()) return;
  if (node.settle_depth() > 0 && sign > 0) return;
  if (IsContent(node.kind()) || node.kind() == NodeKind::kUpload) {
    ContributeContent(id, sign);
  } else {
    ContributeNamed(id, sign);
  }
}

void ResidentGraph::ContributeContent(NodeId id, int sign) {
  const Node& node = nodes_[id];
  const NodeKind kind = node.kind();
  StoreTotals& totals = totals_[StoreOf(node)];
  const store::Bytes bytes = BytesOf(id);
  if (node.state() == NodeState::kQuarantined) {
    Add(&totals.quarantined, kind, bytes, sign);
    // Of an extent the root is a link from elsewhere.
    if (kind == NodeKind::kExtent && node.root_bits() != 0) {
      Add(&totals.quarantined_held, kind, bytes, sign);
    }
    return;
  }
  if (node.state() == NodeState::kAbsent) {
    if (kind != NodeKind::kExtent && !keepers_.IsEmpty(node.keepers)) {
      Add(&totals.absent, {}, sign);
    }
    return;
  }
  Add(&totals.by_kind[static_cast<size_t>(kind)], bytes, sign);
  if (kind != NodeKind::kUpload && lease_refs_[id] > 0) {
    Add(&totals.leased, kind, bytes, sign);
  }
  const bool is_live = IsLive(id);
  Add(is_live ? &totals.live : &totals.candidate, kind, bytes, sign);
  if (kind != NodeKind::kUpload && IsImaged(id)) {
    Add(&totals.imaged, kind, bytes, sign);
    if (is_live) Add(&totals.imaged_live, kind, bytes, sign);
    if (reach_[1].IsLive(id)) {
      Add(&totals.imaged_without_tags, kind, bytes, sign);
    }
  } else {
    Add(&totals.loose, kind, bytes, sign);
    if (is_live) Add(&totals.loose_live, kind, bytes, sign);
  }
  if (IsManifestLike(kind)) ContributeImage(id, sign);
}

void ResidentGraph::ContributeImage(NodeId id, int sign) {
  const Node& node = nodes_[id];
  // What an index lists is part of it, unless a tag names it as well.
  const bool is_listed = imaged_refs_[id] > unlisting_refs_[id];
  const bool is_part = is_listed && tag_refs_.IsZero(id);
  if (is_part || (node.flags() & kReferrer) != 0) return;
  StoreTotals& totals = totals_[StoreOf(node)];
  totals.image_count += sign;
  if (tag_refs_.IsZero(id)) totals.dangling_image_count += sign;
  if (reach_[2].IsLive(id) || active_children_[id] > 0) {
    totals.active_image_count += sign;
  }
}

void ResidentGraph::ContributeNamed(NodeId id, int sign) {
  const Node& node = nodes_[id];
  StoreTotals& totals = totals_[StoreOf(node)];
  const store::Bytes bytes = BytesOf(id);
  Add(&totals.by_kind[static_cast<size_t>(node.kind())], bytes, sign);
  if ((node.flags() & kUnknownSize) != 0) totals.unknown_size_count += sign;
  switch (node.kind()) {
    case NodeKind::kContainer:
      if ((node.flags() & kRunning) != 0) {
        totals.running_container_count += sign;
        Add(&totals.running_containers, bytes, sign);
      }
      break;
    case NodeKind::kVolume:
      if (container_refs_[id] == 0) Add(&totals.unused_volumes, bytes, sign);
      break;
    case NodeKind::kBuildCache:
      if ((node.flags() & kInUse) != 0) {
        totals.used_cache_count += sign;
      } else if ((node.flags() & kShared) == 0) {
        Add(&totals.reclaimable_cache, bytes, sign);
      }
      break;
    case NodeKind::kSnapshot:
      if (holds_[0].IsLive(id)) Add(&totals.unpacked_kept, bytes, sign);
      if (holds_[1].IsLive(id)) Add(&totals.unpacked_without_tags, bytes, sign);
      if (holds_[2].IsLive(id)) totals.active_unpacked_count += sign;
      if ((node.flags() & kUnknownSize) != 0) {
        totals.unknown_unpacked_count += sign;
      }
      break;
    case NodeKind::kLease:
      ContributeLease(id, sign);
      break;
    default:
      break;
  }
}

void ResidentGraph::ContributeLease(NodeId id, int sign) {
  const StoreId store = StoreOf(nodes_[id]);
  absl::btree_set<LeaseAge>& ages = lease_ages_[store];
  const LeaseAge age(nodes_[id].recorded(), id);
  if (sign > 0) {
    ages.insert(age);
  } else {
    ages.erase(age);
  }
  totals_[store].oldest_lease =
      ages.empty() ? absl::InfiniteFuture() : ages.begin()->first;
}

bool ResidentGraph::IsLive(NodeId id) const { return reach_[0].IsLive(id); }

uint32_t ResidentGraph::ReferenceCount(NodeId id) const {
  return reach_[0].count(id);
}

const StoreTotals& ResidentGraph::totals(StoreId store) const {
  static const StoreTotals* const kNone = new StoreTotals();
  const auto it = totals_.find(store);
  return it == totals_.end() ? *kNone : it->second;
}

void ResidentGraph::SetOrphans(StoreId store, const Tally& orphans) {
  totals_[store].orphan = orphans;
}

void ResidentGraph::SetAdopted(StoreId store, const AdoptedTally& adopted) {
  StoreTotals& totals = totals_[store];
  totals.quarantined.count += adopted.all.count - totals.adopted.count;
  AddBytes(&totals.quarantined, totals.adopted.bytes, -1);
  AddBytes(&totals.quarantined, adopted.all.bytes, +1);
  AddBytes(&totals.quarantined_held, totals.adopted_held, -1);
  AddBytes(&totals.quarantined_held, adopted.held, +1);
  totals.adopted = adopted.all;
  totals.adopted_held = adopted.held;
}

uint8_t ResidentGraph::RootBits(NodeId id) const {
  const Node& node = nodes_[id];
  if (!node.exists()) return 0;
  switch (node.kind()) {
    case NodeKind::kTag:
      return kAll;
    case NodeKind::kContainer:
      return kAll | kWithoutTags | kContainers;
    case NodeKind::kPin:
    case NodeKind::kVolume:
    case NodeKind::kNetwork:
    case NodeKind::kBuildCache:
      return kAll | kWithoutTags;
    case NodeKind::kLease:
    case NodeKind::kUpload:
      return ExpiryOf(id) >= now_ ? kAll | kWithoutTags : 0;
    case NodeKind::kRepository:
      return 0;
    case NodeKind::kSnapshot:
      return SnapshotBits(id);
    case NodeKind::kExtent:
      return IsLinkedElsewhere(id) ? kAll | kWithoutTags : 0;
    default:
      break;
  }
  const bool is_young = node.state() == NodeState::kPresent &&
                        node.recorded() + grace_period_ > now_;
  const bool is_root = is_young || only_name_refs_[id] > 0 ||
                       (node.flags() & kOpaque) != 0 ||
                       DoubtAbout(id) == Doubt::kReach;
  return is_root ? kAll | kWithoutTags : 0;
}

void ResidentGraph::RefreshRoot(NodeId id) {
  const uint8_t bits = RootBits(id);
  const uint8_t old = nodes_[id].root_bits();
  nodes_[id].set_root_bits(bits);
  std::array<ReachCounter, kReachClassCount>& reach =
      nodes_[id].kind() == NodeKind::kSnapshot ? holds_ : reach_;
  for (int i = 0; i < kReachClassCount; ++i) {
    const uint8_t bit = static_cast<uint8_t>(1 << i);
    if ((bits & bit) != 0 && (old & bit) == 0) reach[i].Retain(id);
    if ((bits & bit) == 0 && (old & bit) != 0) reach[i].Release(id);
  }
}

void ResidentGraph::Reroot(NodeId id) {
  RefreshRoot(id);
  const uint8_t bits = nodes_[id].root_bits();
  const bool is_flat_lease = nodes_[id].kind() == NodeKind::kLease &&
                             (nodes_[id].flags() & kFlat) != 0;
  const bool wants_flat = is_flat_lease && bits != 0;
  if (wants_flat != nodes_[id].is_flat_applied()) ApplyFlat(id, wants_flat);
  SetUnlinked(id, DoubtAbout(id) == Doubt::kUnlinked);
  const absl::Time deadline = Deadline(id);
  if (bits != 0 && deadline != absl::InfiniteFuture() && deadline > now_) {
    expiries_.push({deadline, id});
  }
}

void ResidentGraph::ApplyFlat(NodeId id, bool is_applied) {
  nodes_[id].set_flat_applied(is_applied);
  for (const NodeId target : Kept(id)) {
    if (nodes_[target].kind() != NodeKind::kSnapshot) {
      HoldFlat(target, is_applied);
    }
  }
}

void ResidentGraph::HoldFlat(NodeId id, bool is_held) {
  for (const NodeId held : {id, ExtentOf(id)}) {
    if (held == kNoNode) continue;
    for (int i = 0; i < 2; ++i) {
      if (is_held) {
        reach_[i].RetainFlat(held);
      } else {
        reach_[i].ReleaseFlat(held);
      }
    }
  }
}

absl::Time ResidentGraph::Deadline(NodeId id) const {
  const Node& node = nodes_[id];
  if (!node.exists() || node.kind() == NodeKind::kExtent) {
    return absl::InfiniteFuture();
  }
  if (IsContent(node.kind())) {
    return node.state() == NodeState::kPresent ? node.recorded() + grace_period_
                                               : absl::InfiniteFuture();
  }
  if (node.kind() == NodeKind::kSnapshot) {
    return node.recorded() + grace_period_;
  }
  // An expiry that is exactly now has not passed (SEMANTICS, case 100).
  return ExpiryOf(id) + absl::Nanoseconds(1);
}

bool ResidentGraph::IsDue(absl::Time now) const {
  return now_ == absl::InfinitePast() ||
         (!expiries_.empty() && expiries_.top().first <= now);
}

void ResidentGraph::AdvanceTo(absl::Time now) {
  if (now > now_) now_ = now;
  while (!expiries_.empty() && expiries_.top().first <= now_) {
    const NodeId id = expiries_.top().second;
    expiries_.pop();
    if (id < nodes_.size()) Reroot(id);
  }
}

void ResidentGraph::ForEachEdge(NodeId id,
                                absl::FunctionRef<void(NodeId)> visit) const {
  // Most have none, and need not be looked at.
  if (!HasEdges(id)) return;
  const Node& node = nodes_[id];
  const bool is_flat = (node.flags() & kFlat) != 0;
  for (const NodeId target : Kept(id)) {
    if (!is_flat || nodes_[target].kind() == NodeKind::kSnapshot) visit(target);
  }
  for (const NodeId referrer : Referrers(id)) visit(referrer);
  if (node.has_extent()) visit(ExtentOf(id));
}

void ResidentGraph::BeforeFlip(int, NodeId id) { Unsettle(id); }

void ResidentGraph::AfterFlip(int reach_class, NodeId id) {
  if (reach_class == 0) {
    if (reach_[0].IsLive(id)) {
      unreferenced_since_.erase(id);
    } else {
      NoteUnreferenced(id);
    }
    if (IsManifestLike(nodes_[id].kind())) flipped_.insert(id);
  }
  Settle(id);
  if (reach_class == 2 && IsContent(nodes_[id].kind())) CountActive(id);
  RefreshSnapshots(id);
}

void ResidentGraph::NoteUnreferenced(NodeId id) {
  const int64_t now = ToPackedMicros(now_);
  if (now == first_now_) {
    unreferenced_since_.erase(id);
  } else {
    unreferenced_since_[id] = now;
  }
}

absl::Time ResidentGraph::UnreferencedSince(NodeId id) const {
  if (reach_[0].IsLive(id)) return absl::InfiniteFuture();
  const auto it = unreferenced_since_.find(id);
  return FromPackedMicros(it == unreferenced_since_.end() ? first_now_
                                                          : it->second);
}

void ResidentGraph::RestoreUnreferenced(NodeId id, absl::Time since) {
  if (!Exists(id) || reach_[0].IsLive(id)) return;
  if (since < UnreferencedSince(id)) {
    unreferenced_since_[id] = ToPackedMicros(since);
  }
}

absl::flat_hash_set<NodeId> ResidentGraph::TakeFlipped() {
  return std::exchange(flipped_, {});
}

// A container has begun or ceased to reach `manifest`.
void ResidentGraph::CountActive(NodeId manifest) {
  const int sign = reach_[2].IsLive(manifest) ? +1 : -1;
  keepers_.ForEach(nodes_[manifest].keepers, [&](NodeId keeper) {
    if (nodes_[keeper].kind() == NodeKind::kImageIndex) {
      const Settling settling(this, keeper);
      active_children_.Add(keeper, sign);
    }
    return true;
  });
}

}  // namespace reclaim::index
