#include "gc/adopted_blobs.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace reclaim::gc {
namespace {

using index::kNoNode;
using index::NodeId;
using index::NodeState;

constexpr uint64_t kYieldInterval = 4096;

}  // namespace

std::array<NodeId, 2> NodesOf(const index::GraphView& view,
                              index::StoreId store, const store::Place& place,
                              const oci::Digest& digest) {
  std::array<NodeId, 2> nodes = {kNoNode, kNoNode};
  const index::PlaceId here = view.FindPlace(store, place);
  if (here != index::kNoPlace) nodes[0] = view.FindContent(here, digest);
  const index::PlaceId nowhere = view.FindPlace(store, "");
  if (nowhere != here && nowhere != index::kNoPlace) {
    nodes[1] = view.FindContent(nowhere, digest);
  }
  return nodes;
}

bool IsNamedAndAbsent(const index::GraphReader& reader, NodeId node) {
  const index::GraphView& view = reader.view();
  if (node == kNoNode || !view.Exists(node) ||
      view.state(node) != NodeState::kAbsent) {
    return false;
  }
  if (reader.IsLive(node)) return true;
  bool is_named = false;
  view.ForEachKeeper(node, [&](NodeId above) {
    is_named = view.Exists(above) && (!IsContent(view.kind(above)) ||
                                      view.state(above) == NodeState::kPresent);
    return !is_named;
  });
  return is_named;
}

void AdoptedBlobs::LookUp(const index::GraphView& view, index::StoreId store) {
  // First: what comes while the graph is given up is new.
  seen_ = view.node_count();
  for (const auto& [place, digests] : blobs_) {
    for (const oci::Digest& digest : digests) {
      if (++look_count_ % kYieldInterval == 0) view.Yield();
      for (const NodeId node : NodesOf(view, store, place, digest)) {
        if (node != kNoNode && node < seen_) nodes_[place].push_back(node);
      }
    }
  }
}

void AdoptedBlobs::LookAtNewNodes(const index::GraphView& view,
                                  index::StoreId store) {
  for (; seen_ < view.node_count(); ++seen_) {
    ++look_count_;
    if (!view.Exists(seen_) || !IsContent(view.kind(seen_)) ||
        view.kind(seen_) == index::NodeKind::kExtent) {
      continue;
    }
    const index::NodeFields fields = view.fields(seen_);
    if (fields.store != store) continue;
    const store::Place where = view.PlaceName(fields.place);
    const oci::Digest digest = view.digest(seen_);
    for (const auto& [place, digests] : blobs_) {
      if (where != place && !where.empty()) continue;
      if (digests.contains(digest)) nodes_[place].push_back(seen_);
    }
  }
}

std::set<store::Place> AdoptedBlobs::NamedPlaces(
    const index::GraphReader& reader, index::StoreId store,
    std::set<store::Place> places) {
  LookAtNewNodes(reader.view(), store);
  for (auto place = places.begin(); place != places.end();) {
    const std::vector<NodeId>& nodes = nodes_[*place];
    const bool is_named =
        named_.count(*place) > 0 ||
        std::any_of(nodes.begin(), nodes.end(), [&](NodeId node) {
          ++look_count_;
          return IsNamedAndAbsent(reader, node);
        });
    if (is_named) named_.insert(*place);
    place = is_named ? std::next(place) : places.erase(place);
  }
  return places;
}

}  // namespace reclaim::gc
