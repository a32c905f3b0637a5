#include "index/found_copies.h"

#include <algorithm>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "oci/name.h"

namespace reclaim::index {
namespace {

// So many names are looked up one by one; more are looked for in one walk, if
// that is shorter.
constexpr uint64_t kLookupMax = 100'000;
constexpr uint64_t kYieldInterval = 4096;

// Of an operation: the digests that it names and does not say where.
struct DigestsOf {
  std::string store;
  std::vector<oci::Digest> digests;

  void operator()(const PutLease& op) {
    store = op.store;
    for (const Target& target : op.targets) Add(target);
  }
  void operator()(const PutPin& op) {
    store = op.store;
    Add(op.target);
  }
  void operator()(const PutContainer& op) {
    store = op.store;
    digests = op.mounted_images;
    if (!op.place.empty()) return;
    const auto reference = oci::ParseReference(op.image_reference);
    if (op.image) {
      digests.push_back(*op.image);
    } else if (reference.ok() && reference->digest) {
      digests.push_back(*reference->digest);
    }
  }
  void operator()(const PutSnapshot& op) {
    store = op.store;
    if (!op.place.empty()) return;
    digests = op.unpacked_from;
    if (op.image) digests.push_back(*op.image);
  }
  void operator()(const Touch& op) {
    store = op.name.store;
    if (op.repository.empty() && op.name.place.empty()) {
      digests.push_back(op.name.digest);
    }
  }
  template <typename Other>
  void operator()(const Other&) {}

 private:
  void Add(const Target& target) {
    if (target.content && target.content->place.empty()) {
      digests.push_back(target.content->digest);
    }
  }
};

}  // namespace

void FoundCopies::Want(const GraphView& view, const Operation& operation) {
  DigestsOf named;
  std::visit(named, operation);
  if (named.digests.empty()) return;
  const StoreId store = view.FindStore(named.store);
  if (store == kNoStore) return;
  for (const oci::Digest& digest : named.digests) Want(store, digest);
}

void FoundCopies::AddIfWanted(const GraphView& view, NodeId id) {
  if (!view.Exists(id) || !IsContent(view.kind(id)) ||
      view.kind(id) == NodeKind::kExtent) {
    return;
  }
  const auto it = nodes_.find({view.fields(id).store, view.digest(id)});
  if (it != nodes_.end()) it->second.push_back(id);
}

void FoundCopies::LookUp(const GraphView& view, const Places& places,
                         NodeId end) {
  uint64_t step = 0;
  for (auto& [name, nodes] : nodes_) {
    for (const PlaceId place : places.at(name.first)) {
      if (++step % kYieldInterval == 0) view.Yield();
      const NodeId id = view.FindContent(place, name.second);
      if (id != kNoNode && id < end) nodes.push_back(id);
    }
  }
}

void FoundCopies::Look(const GraphView& view) {
  if (nodes_.empty()) return;
  // A place that is made later has nodes that come later.
  const NodeId end = view.node_count();
  Places places;
  uint64_t lookup_count = 0;
  for (const auto& [name, nodes] : nodes_) {
    const auto [entry, is_new] = places.try_emplace(name.first);
    std::vector<PlaceId>& all = entry->second;
    if (is_new) {
      view.ForEachPlace(name.first,
                        [&all](PlaceId place) { all.push_back(place); });
    }
    lookup_count += all.size();
  }
  seen_ = end;
  if (lookup_count <= std::max<uint64_t>(kLookupMax, end)) {
    LookUp(view, places, end);
    return;
  }
  for (NodeId id = 0; id < end; ++id) {
    if (id % kYieldInterval == kYieldInterval - 1) view.Yield();
    AddIfWanted(view, id);
  }
}

void FoundCopies::Follow(const GraphView& view) {
  const NodeId end = view.node_count();
  for (; seen_ < end && !nodes_.empty(); ++seen_) AddIfWanted(view, seen_);
}

}  // namespace reclaim::index
