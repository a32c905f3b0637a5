#include "tests/support/naive_usage.h"

#include <functional>
#include <vector>

#include "index/node.h"
#include "tests/support/naive_figures.h"

namespace reclaim::tests {
namespace {

using index::NodeFields;
using index::NodeId;
using index::NodeKind;
using index::NodeState;
using index::Tally;
using Nodes = NaiveFigures::Nodes;
using RootSet = NaiveFigures::RootSet;

class NaiveCounter {
 public:
  NaiveCounter(const index::GraphView& view, absl::Time now,
               absl::Duration grace_period)
      : view_(view),
        now_(now),
        grace_period_(grace_period),
        figures_(view, now, grace_period),
        live_(figures_.Reached(RootSet::kAll)),
        without_tags_(figures_.Reached(RootSet::kWithoutTags)) {
    FindImaged();
  }

  NaiveUsage Run() {
    CountContent();
    usage_.tag_count = AllOf(NodeKind::kTag).size();
    usage_.repository_count = AllOf(NodeKind::kRepository).size();
    usage_.rows = {Images(), Containers(), Volumes(),     BuildCache(),
                   Others(), Quarantine(), Row("Orphans")};
    if (AllOf(NodeKind::kSnapshot).empty()) return usage_;
    const NaiveRow unpacked = Unpacked();
    usage_.unpacked = {unpacked.total_count, unpacked.bytes};
    usage_.rows.push_back(unpacked);
    return usage_;
  }

 private:
  static NaiveRow Row(const char* type) {
    NaiveRow row;
    row.type = type;
    return row;
  }
  static bool Has(const Nodes& nodes, NodeId id) { return nodes.count(id) > 0; }

  Nodes AllOf(NodeKind kind) const {
    Nodes nodes;
    for (const NodeId id : figures_.all()) {
      if (view_.kind(id) == kind) nodes.insert(id);
    }
    return nodes;
  }
  bool IsStored(NodeId id) const {
    return IsContent(view_.kind(id)) || view_.kind(id) == NodeKind::kUpload;
  }
  bool IsPresent(NodeId id) const {
    return view_.state(id) == NodeState::kPresent;
  }
  void Add(NodeId id, Tally* tally) const {
    ++tally->count;
    tally->bytes += view_.fields(id).bytes;
  }

  // A row of these; active or not, and what would go.
  using Test = std::function<bool(NodeId)>;
  NaiveRow Count(const char* type, const Nodes& nodes, const Test& is_active,
                 const Test& goes) const {
    NaiveRow row = Row(type);
    for (const NodeId id : nodes) {
      ++row.total_count;
      row.bytes += view_.fields(id).bytes;
      if (is_active(id)) ++row.active_count;
      if (goes(id)) row.reclaimable += view_.fields(id).bytes;
    }
    return row;
  }

  // Manifests, and what one that is here lists.
  void FindImaged() {
    for (const NodeId id : figures_.all()) {
      if (!IsManifestLike(view_.kind(id))) continue;
      imaged_.insert(id);
      if (!IsPresent(id)) continue;
      for (const NodeId child : view_.Kept(id)) imaged_.insert(child);
    }
  }

  void CountContent() {
    for (const NodeId id : figures_.all()) {
      if (!IsStored(id)) continue;
      if (view_.state(id) == NodeState::kQuarantined) {
        Add(id, &usage_.quarantined);
      }
      if (!IsPresent(id)) continue;
      Add(id, Has(live_, id) ? &usage_.live : &usage_.candidate);
      Add(id, &usage_.content);
    }
  }

  // As many as are listed, but the bytes of all that some image has.  Of these
  // goes what nothing but tags keeps.
  NaiveRow Images() {
    Nodes content;
    for (const NodeId id : imaged_) {
      if (IsPresent(id)) content.insert(id);
    }
    const auto none = [](NodeId) { return false; };
    NaiveRow row = Count("Images", content, none,
                         [&](NodeId id) { return !Has(without_tags_, id); });
    row.total_count = 0;
    for (const NaiveImage& image : figures_.Images()) {
      ++row.total_count;
      if (image.is_active) ++row.active_count;
      if (image.is_dangling) ++usage_.dangling_image_count;
    }
    usage_.image_count = row.total_count;
    return row;
  }

  NaiveRow Containers() const {
    const auto runs = [&](NodeId id) {
      return (view_.fields(id).flags & index::kRunning) != 0;
    };
    return Count("Containers", AllOf(NodeKind::kContainer), runs,
                 [&](NodeId id) { return !runs(id); });
  }

  NaiveRow Volumes() const {
    Nodes used;
    for (const NodeId id : AllOf(NodeKind::kContainer)) {
      for (const NodeId kept : view_.Kept(id)) used.insert(kept);
    }
    return Count(
        "Local Volumes", AllOf(NodeKind::kVolume),
        [&](NodeId id) { return Has(used, id); },
        [&](NodeId id) { return !Has(used, id); });
  }

  NaiveRow BuildCache() const {
    const auto has = [&](NodeId id, index::NodeFlag flag) {
      return (view_.fields(id).flags & flag) != 0;
    };
    return Count(
        "Build Cache", AllOf(NodeKind::kBuildCache),
        [&](NodeId id) { return has(id, index::kInUse); },
        [&](NodeId id) {
          return !has(id, index::kInUse) && !has(id, index::kShared);
        });
  }

  // Uploads, and what no image has.
  NaiveRow Others() const {
    Nodes others;
    for (const NodeId id : figures_.all()) {
      if (IsStored(id) && IsPresent(id) && !Has(imaged_, id)) others.insert(id);
    }
    return Count(
        "Other Content", others, [&](NodeId id) { return Has(live_, id); },
        [&](NodeId id) { return !Has(live_, id); });
  }

  NaiveRow Quarantine() const {
    Nodes quarantined;
    for (const NodeId id : figures_.all()) {
      if (view_.state(id) == NodeState::kQuarantined) quarantined.insert(id);
    }
    return Count(
        "Quarantine", quarantined, [](NodeId) { return false; },
        [](NodeId) { return true; });
  }

  // Those of `snapshots` and what they stand on.
  Nodes WithBases(Nodes snapshots) const {
    size_t before = 0;
    while (before != snapshots.size()) {
      before = snapshots.size();
      for (const NodeId id : Nodes(snapshots)) {
        for (const NodeId kept : view_.Kept(id)) {
          if (IsSnapshot(kept)) snapshots.insert(kept);
        }
      }
    }
    return snapshots;
  }
  bool IsSnapshot(NodeId id) const {
    return Has(figures_.all(), id) && view_.kind(id) == NodeKind::kSnapshot;
  }
  std::vector<NodeId> ImagesOf(NodeId snapshot) const {
    std::vector<NodeId> images;
    for (const NodeId kept : view_.Kept(snapshot)) {
      if (Has(figures_.all(), kept) && IsContent(view_.kind(kept))) {
        images.push_back(kept);
      }
    }
    return images;
  }
  // By itself, or as the unpacked layers of an image.
  bool IsNeededBy(const Nodes& reached, NodeId snapshot) const {
    for (const NodeId image : ImagesOf(snapshot)) {
      if (Has(reached, image)) return true;
    }
    return Has(reached, snapshot);
  }
  // It is known of what it is, or what for.
  bool IsExplained(NodeId snapshot, const Nodes& snapshots) const {
    if (!ImagesOf(snapshot).empty()) return true;
    for (const NodeId other : snapshots) {
      for (const NodeId kept : view_.Kept(other)) {
        if (kept == snapshot) return true;
      }
    }
    return false;
  }

  // A container needs them, or `image prune -a` would leave them: something
  // other than a tag needs them, they are young, or nothing explains them.
  // With each stay those that it stands on.
  NaiveRow Unpacked() const {
    const Nodes snapshots = AllOf(NodeKind::kSnapshot);
    const Nodes used = figures_.Reached(RootSet::kContainers);
    Nodes active;
    Nodes stay;
    for (const NodeId id : snapshots) {
      if (IsNeededBy(used, id)) active.insert(id);
      const bool is_young = view_.fields(id).recorded + grace_period_ > now_;
      if (is_young || IsNeededBy(without_tags_, id) ||
          !IsExplained(id, snapshots)) {
        stay.insert(id);
      }
    }
    active = WithBases(active);
    stay = WithBases(stay);
    return Count(
        "Unpacked Layers", snapshots,
        [&](NodeId id) { return Has(active, id); },
        [&](NodeId id) { return !Has(stay, id); });
  }

  const index::GraphView& view_;
  const absl::Time now_;
  const absl::Duration grace_period_;
  const NaiveFigures figures_;
  const Nodes live_;
  const Nodes without_tags_;
  Nodes imaged_;
  NaiveUsage usage_;
};

}  // namespace

NaiveUsage CountUsageNaively(const index::GraphView& view, absl::Time now,
                             absl::Duration grace_period) {
  return NaiveCounter(view, now, grace_period).Run();
}

}  // namespace reclaim::tests
