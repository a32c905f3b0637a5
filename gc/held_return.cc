#include "gc/held_return.h"

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "gc/records.h"
#include "gc/restore.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using index::NodeId;
using index::NodeKind;

constexpr uint64_t kStepsPerSlice = 4096;

using Content = std::pair<store::Place, oci::Digest>;

// What holders of a store reach and is in quarantine.
class HeldAway {
 public:
  explicit HeldAway(const index::GraphReader& reader)
      : reader_(reader), view_(reader.view()) {}

  std::set<Content> Find(index::StoreId store) {
    std::vector<NodeId> holders;
    for (const NodeKind kind : {NodeKind::kPin, NodeKind::kLease,
                                NodeKind::kContainer, NodeKind::kSnapshot}) {
      view_.ForEachNamed(kind, store, [&](NodeId holder) {
        // A lease that has expired holds nothing.
        if (reader_.IsLive(holder)) holders.push_back(holder);
        return true;
      });
    }
    for (const NodeId holder : holders) {
      Pause();
      if (view_.Exists(holder)) AddHeldBy(holder);
    }
    while (!stack_.empty()) {
      Pause();
      const NodeId id = stack_.back();
      stack_.pop_back();
      if (!view_.Exists(id)) continue;
      Look(id);
      for (const NodeId kept : view_.Kept(id)) Push(kept);
      for (const NodeId referrer : view_.Referrers(id)) Push(referrer);
    }
    return std::move(away_);
  }

 private:
  void AddHeldBy(NodeId holder) {
    const index::NodeEdges edges = view_.Edges(holder);
    for (const NodeId kept : edges.kept) {
      if (!view_.Exists(kept)) continue;
      // Of what a flat lease holds nothing but the content itself is.
      if (edges.is_flat && view_.kind(kept) != NodeKind::kSnapshot) {
        Look(kept);
      } else {
        Push(kept);
      }
    }
  }

  void Look(NodeId id) {
    const NodeKind kind = view_.kind(id);
    if (!IsContent(kind) || kind == NodeKind::kExtent ||
        view_.state(id) != index::NodeState::kQuarantined) {
      return;
    }
    away_.insert({view_.PlaceName(view_.fields(id).place), view_.digest(id)});
  }

  void Push(NodeId id) {
    if (seen_.insert(id).second) stack_.push_back(id);
  }

  void Pause() {
    if (++step_ % kStepsPerSlice == 0) view_.Yield();
  }

  const index::GraphReader& reader_;
  const index::GraphView& view_;
  absl::flat_hash_set<NodeId> seen_;
  std::vector<NodeId> stack_;
  std::set<Content> away_;
  uint64_t step_ = 0;
};

}  // namespace

absl::Status ReturnHeld(CollectedStore* site, absl::string_view actor) {
  if (site->store->traits().is_read_only) return absl::OkStatus();
  std::set<Content> away;
  {
    const auto reader = site->graph->Read();
    if (reader->totals(site->id).quarantined.count > 0) {
      away = HeldAway(*reader).Find(site->id);
    }
  }
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records,
                           RecordsOfContent(*site, away));
  return RestoreRecords(site, std::move(records), actor, nullptr,
                        RestoreOrder::kBytesLast);
}

}  // namespace reclaim::gc
