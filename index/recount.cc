#include "index/recount.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace reclaim::index {
namespace {

enum RootSet { kEverything, kWithoutTags, kContainersOnly };

// Modular as the counters are (index/resident_totals.cc).
void AddBytes(Tally* tally, const store::Bytes& bytes) {
  tally->bytes.logical_bytes += bytes.logical_bytes;
  tally->bytes.allocated_bytes += bytes.allocated_bytes;
}

void Add(Tally* tally, const store::Bytes& bytes) {
  ++tally->count;
  AddBytes(tally, bytes);
}

// Its names are counted, not the file.
void AddNode(Tally* tally, const NodeFields& node) {
  if (node.kind != NodeKind::kExtent) ++tally->count;
  AddBytes(tally, node.bytes);
}

class Recounter {
 public:
  Recounter(const GraphView& view, const RecountInputs& inputs)
      : view_(view), inputs_(inputs) {}

  StoreTotals Run() {
    FindDoubt();
    CountNames();
    live_ = Reach(kEverything);
    without_tags_ = Reach(kWithoutTags);
    used_ = Reach(kContainersOnly);
    kept_unpacked_ = KeptSnapshots(kEverything, live_);
    unpacked_without_tags_ = KeptSnapshots(kWithoutTags, without_tags_);
    used_unpacked_ = KeptSnapshots(kContainersOnly, used_);
    FindImaged();
    totals_.orphan = inputs_.orphans;
    totals_.adopted = inputs_.adopted;
    totals_.quarantined = inputs_.adopted;
    totals_.adopted_held = inputs_.adopted_held;
    totals_.quarantined_held.bytes = inputs_.adopted_held;
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (!IsOurs(id)) continue;
      const bool is_bytes =
          IsContent(view_.kind(id)) || view_.kind(id) == NodeKind::kUpload;
      if (is_bytes) {
        CountContent(id);
      } else {
        CountNamed(id);
      }
    }
    return totals_;
  }

 private:
  bool IsOurs(NodeId id) const {
    return view_.Exists(id) && view_.fields(id).store == inputs_.store;
  }

  bool IsRoot(NodeId id, RootSet set) const {
    const NodeFields f = view_.fields(id);
    switch (f.kind) {
      case NodeKind::kContainer:
        return true;
      case NodeKind::kTag:
        return set == kEverything;
      case NodeKind::kPin:
      case NodeKind::kVolume:
      case NodeKind::kNetwork:
      case NodeKind::kBuildCache:
        return set != kContainersOnly;
      case NodeKind::kLease:
      case NodeKind::kUpload:
        return set != kContainersOnly && f.expires >= inputs_.now;
      case NodeKind::kExtent:
        return set != kContainersOnly && HasStrangeName(id);
      default:
        break;
    }
    if (!IsContent(f.kind)) return false;
    if (set == kContainersOnly) return false;
    const bool is_young = f.state == NodeState::kPresent &&
                          f.recorded + inputs_.grace_period > inputs_.now;
    return is_young || (f.flags & (kOpaque | kOnlyName)) != 0 || IsInDoubt(id);
  }

  // How many names of each file with several this store holds.
  void CountNames() {
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (!IsOurs(id) || view_.ExtentOf(id) == kNoNode) continue;
      if (view_.state(id) != NodeState::kAbsent) ++names_[view_.ExtentOf(id)];
    }
  }
  bool HasStrangeName(NodeId extent) const {
    const auto held = names_.find(extent);
    return view_.LinkCount(extent) > (held == names_.end() ? 0 : held->second);
  }

  bool Keeps(NodeId keeper, NodeId target) const {
    const auto kept = view_.Kept(keeper);
    return std::find(kept.begin(), kept.end(), target) != kept.end();
  }

  // What an opaque manifest of a registry puts in doubt: see index/doubts.h.
  void FindDoubtOf(NodeId manifest, PlaceId place) {
    std::set<NodeId> repositories;
    view_.ForEachRepositoryOf(manifest, [&](NodeId repository) {
      repositories.insert(repository);
      return true;
    });
    bool is_whole = false;
    bool is_listed = false;
    view_.ForEachKeeper(manifest, [&](NodeId keeper) {
      if (!view_.Exists(keeper) || !Keeps(keeper, manifest)) return true;
      is_listed = true;
      if (view_.kind(keeper) != NodeKind::kTag) return true;
      const std::string name = view_.named_key(keeper).scope;
      const NodeId repository =
          view_.FindNamed({NodeKind::kRepository, inputs_.store, "", name});
      if (repository == kNoNode) is_whole = true;
      repositories.insert(repository);
      return true;
    });
    is_whole |= repositories.empty() && is_listed;
    if (is_whole) doubted_places_.insert(place);
    if (is_whole || !repositories.empty()) touched_places_.insert(place);
    doubted_repositories_.insert(repositories.begin(), repositories.end());
  }

  void FindDoubt() {
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (!IsOurs(id) || !IsContent(view_.kind(id))) continue;
      const NodeFields f = view_.fields(id);
      if ((f.flags & kOpaque) == 0) continue;
      if (view_.UnitOfDoubt(inputs_.store) == DoubtUnit::kPlace) {
        doubted_places_.insert(f.place);
      } else {
        FindDoubtOf(id, f.place);
      }
    }
  }

  std::vector<NodeId> RepositoriesOf(NodeId id) const {
    std::vector<NodeId> repositories;
    view_.ForEachRepositoryOf(id, [&](NodeId repository) {
      repositories.push_back(repository);
      return true;
    });
    return repositories;
  }
  bool IsInDoubt(NodeId id) const {
    const PlaceId place = view_.fields(id).place;
    if (doubted_places_.count(place) > 0) return true;
    if (touched_places_.count(place) == 0) return false;
    for (const NodeId repository : RepositoriesOf(id)) {
      if (doubted_repositories_.count(repository) > 0) return true;
    }
    return false;
  }
  // Kept for itself: no repository of a place in doubt links it.
  bool IsUnlinked(NodeId id) const {
    const NodeFields f = view_.fields(id);
    return IsContent(f.kind) && f.kind != NodeKind::kExtent &&
           f.state == NodeState::kPresent &&
           touched_places_.count(f.place) > 0 && RepositoriesOf(id).empty();
  }

  std::vector<bool> Reach(RootSet set) const {
    std::vector<bool> reached(view_.node_count(), false);
    std::vector<bool> flat(view_.node_count(), false);
    const auto hold = [&](NodeId id) {
      flat[id] = true;
      if (view_.ExtentOf(id) != kNoNode) flat[view_.ExtentOf(id)] = true;
    };
    std::vector<NodeId> stack;
    const auto push = [&](NodeId id) {
      if (reached[id]) return;
      reached[id] = true;
      stack.push_back(id);
    };
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (IsOurs(id) && IsRoot(id, set)) push(id);
    }
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      const bool is_flat = (view_.fields(id).flags & kFlat) != 0;
      for (const NodeId target : view_.Kept(id)) {
        if (is_flat && view_.kind(target) != NodeKind::kSnapshot) {
          hold(target);
        } else {
          push(target);
        }
      }
      for (const NodeId referrer : view_.Referrers(id)) push(referrer);
      if (view_.ExtentOf(id) != kNoNode) push(view_.ExtentOf(id));
    }
    for (NodeId id = 0; set != kContainersOnly && id < flat.size(); ++id) {
      if (IsOurs(id) && IsUnlinked(id)) hold(id);
    }
    for (size_t id = 0; id < reached.size(); ++id) {
      if (flat[id]) reached[id] = true;
    }
    return reached;
  }

  // A named node of `kind` that references it.
  bool HasKeeperOf(NodeKind kind, NodeId id) const {
    bool has_one = false;
    view_.ForEachKeeper(id, [&](NodeId keeper) {
      has_one = view_.Exists(keeper) && view_.kind(keeper) == kind;
      return !has_one;
    });
    return has_one;
  }

  // Whether a snapshot stays, whatever stands on it.
  bool StaysByItself(NodeId id, RootSet set,
                     const std::vector<bool>& reached) const {
    bool is_needed = reached[id];
    bool is_explained = false;
    for (const NodeId target : view_.Kept(id)) {
      if (!view_.Exists(target) || !IsContent(view_.kind(target))) continue;
      is_explained = true;
      is_needed |= reached[target];
    }
    if (set == kContainersOnly || is_needed) return is_needed;
    is_explained |= HasKeeperOf(NodeKind::kSnapshot, id);
    const absl::Time recorded = view_.fields(id).recorded;
    return !is_explained || recorded + inputs_.grace_period > inputs_.now;
  }

  // Those that stay by themselves, and what they stand on.
  std::vector<bool> KeptSnapshots(RootSet set,
                                  const std::vector<bool>& reached) const {
    std::vector<bool> kept(view_.node_count(), false);
    std::vector<NodeId> stack;
    const auto push = [&](NodeId id) {
      if (kept[id] || !IsOurs(id) || view_.kind(id) != NodeKind::kSnapshot) {
        return;
      }
      kept[id] = true;
      stack.push_back(id);
    };
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (!IsOurs(id) || view_.kind(id) != NodeKind::kSnapshot) continue;
      if (StaysByItself(id, set, reached)) push(id);
    }
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      for (const NodeId target : view_.Kept(id)) push(target);
    }
    return kept;
  }

  void FindImaged() {
    imaged_.assign(view_.node_count(), false);
    listed_.assign(view_.node_count(), false);
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (!IsOurs(id)) continue;
      if (!IsManifestLike(view_.kind(id))) continue;
      imaged_[id] = true;
      if (view_.state(id) != NodeState::kPresent) continue;
      for (const NodeId child : view_.Kept(id)) {
        imaged_[child] = true;
        listed_[child] = true;
      }
    }
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (!IsOurs(id) || view_.ExtentOf(id) == kNoNode) continue;
      const bool is_present = view_.state(id) == NodeState::kPresent;
      if (imaged_[id] && is_present) imaged_[view_.ExtentOf(id)] = true;
    }
  }

  // Whether a manifest or a name lists it; being a referrer is no listing.
  bool HasKeeper(NodeId id) const {
    bool is_listed = false;
    view_.ForEachKeeper(id, [&](NodeId keeper) {
      for (const NodeId target : view_.Kept(keeper)) {
        is_listed |= target == id;
      }
      return !is_listed;
    });
    return is_listed;
  }

  void CountContent(NodeId id) {
    const NodeFields f = view_.fields(id);
    if (f.state == NodeState::kQuarantined) {
      AddNode(&totals_.quarantined, f);
      if (f.kind == NodeKind::kExtent && HasStrangeName(id)) {
        AddNode(&totals_.quarantined_held, f);
      }
      return;
    }
    if (f.state == NodeState::kAbsent) {
      if (f.kind != NodeKind::kExtent && HasKeeper(id)) {
        Add(&totals_.absent, {});
      }
      return;
    }
    Add(&totals_.by_kind[static_cast<size_t>(f.kind)], f.bytes);
    if (f.kind != NodeKind::kUpload && HasKeeperOf(NodeKind::kLease, id)) {
      AddNode(&totals_.leased, f);
    }
    const bool is_live = live_[id];
    AddNode(is_live ? &totals_.live : &totals_.candidate, f);
    if (f.kind != NodeKind::kUpload && imaged_[id]) {
      AddNode(&totals_.imaged, f);
      if (is_live) AddNode(&totals_.imaged_live, f);
      if (without_tags_[id]) AddNode(&totals_.imaged_without_tags, f);
    } else {
      AddNode(&totals_.loose, f);
      if (is_live) AddNode(&totals_.loose_live, f);
    }
    if (IsManifestLike(f.kind)) CountImage(id, f);
  }

  void CountImage(NodeId id, const NodeFields& f) {
    const bool is_tagged = HasKeeperOf(NodeKind::kTag, id);
    if ((listed_[id] && !is_tagged) || (f.flags & kReferrer) != 0) return;
    ++totals_.image_count;
    if (!is_tagged) ++totals_.dangling_image_count;
    bool is_active = used_[id];
    if (f.kind == NodeKind::kImageIndex) {
      for (const NodeId child : view_.Kept(id)) is_active |= used_[child];
    }
    if (is_active) ++totals_.active_image_count;
  }

  void CountNamed(NodeId id) {
    const NodeFields f = view_.fields(id);
    Add(&totals_.by_kind[static_cast<size_t>(f.kind)], f.bytes);
    if ((f.flags & kUnknownSize) != 0) ++totals_.unknown_size_count;
    if (f.kind == NodeKind::kContainer && (f.flags & kRunning) != 0) {
      ++totals_.running_container_count;
      Add(&totals_.running_containers, f.bytes);
    }
    if (f.kind == NodeKind::kVolume && !HasKeeperOf(NodeKind::kContainer, id)) {
      Add(&totals_.unused_volumes, f.bytes);
    }
    if (f.kind == NodeKind::kBuildCache) {
      if ((f.flags & kInUse) != 0) {
        ++totals_.used_cache_count;
      } else if ((f.flags & kShared) == 0) {
        Add(&totals_.reclaimable_cache, f.bytes);
      }
    }
    if (f.kind == NodeKind::kSnapshot) CountSnapshot(id, f);
    if (f.kind == NodeKind::kLease) {
      totals_.oldest_lease = std::min(totals_.oldest_lease, f.recorded);
    }
  }

  void CountSnapshot(NodeId id, const NodeFields& f) {
    if (kept_unpacked_[id]) Add(&totals_.unpacked_kept, f.bytes);
    if (unpacked_without_tags_[id]) {
      Add(&totals_.unpacked_without_tags, f.bytes);
    }
    if (used_unpacked_[id]) ++totals_.active_unpacked_count;
    if ((f.flags & kUnknownSize) != 0) ++totals_.unknown_unpacked_count;
  }

  const GraphView& view_;
  const RecountInputs& inputs_;
  StoreTotals totals_;
  std::map<NodeId, uint64_t> names_;
  std::vector<bool> live_;
  std::vector<bool> without_tags_;
  std::vector<bool> used_;
  std::vector<bool> kept_unpacked_;
  std::vector<bool> unpacked_without_tags_;
  std::vector<bool> used_unpacked_;
  std::vector<bool> imaged_;
  std::vector<bool> listed_;
  std::set<PlaceId> doubted_places_;  // whole
  std::set<PlaceId> touched_places_;  // in which a repository is in doubt
  std::set<NodeId> doubted_repositories_;
};

}  // namespace

StoreTotals Recount(const GraphView& view, const RecountInputs& inputs) {
  return Recounter(view, inputs).Run();
}

}  // namespace reclaim::index
