// Who holds a digest and does not say where.
//
// In a folder of image layouts, and in an engine with several namespaces, one
// digest may lie in several places.  A pin, lease, container or snapshot that
// names none of them (the place "") holds each copy: those that are there, and
// those that come later (I5, docs/decisions/0014-held-copies.md).  So its
// record references the node in the place "", which stands for the words, and
// the node of each copy.  Nothing is kept per node: a digest in a known place
// is found by its name, and whoever holds what has arrived is a keeper of the
// node in "".

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"
#include "index/operation_applier.h"
#include "oci/name.h"

namespace reclaim::index {
namespace {

// So many names are looked up one by one; more are looked for in one walk.
constexpr uint64_t kLookupMax = 100'000;

bool MayHold(NodeKind kind) {
  return kind == NodeKind::kPin || kind == NodeKind::kLease ||
         kind == NodeKind::kContainer || kind == NodeKind::kSnapshot;
}

// Of an operation: the digests that it holds and does not say where.
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

std::vector<PlaceId> OperationApplier::HeldIn(const StoreRecord& store,
                                              PlaceId place,
                                              const oci::Digest& digest) const {
  std::vector<PlaceId> places = {place};
  if (place != set_->FindPlace(store.id, "")) return places;
  const auto add = [&](PlaceId other) {
    if (other != place) places.push_back(other);
  };
  const auto found = found_.find({store.id, digest});
  if (found != found_.end()) {
    for (const PlaceId other : found->second) add(other);
    return places;
  }
  // What this very mutation has made known is added at its end.
  const ResidentGraph& graph = set_->graph();
  graph.ForEachPlace(store.id, [&](PlaceId other) {
    const NodeId copy = graph.FindContent(other, digest);
    if (copy != kNoNode && graph.state(copy) != NodeState::kAbsent) add(other);
  });
  return places;
}

absl::Status OperationApplier::AddContent(const StoreRecord& store,
                                          PlaceId place,
                                          const oci::Digest& digest,
                                          std::vector<NodeId>* targets) {
  for (const PlaceId one : HeldIn(store, place, digest)) {
    RECLAIM_ASSIGN_OR_RETURN(targets->emplace_back(),
                             Reference(store, one, digest, NodeKind::kBlob));
  }
  return absl::OkStatus();
}

// An image by any of its digests: a config stands for the manifest that names
// it, where one is here (Docker's image id is the config's digest).
absl::StatusOr<NodeId> OperationApplier::ReferenceImage(
    const StoreRecord& store, PlaceId place, const oci::Digest& digest) {
  RECLAIM_ASSIGN_OR_RETURN(const NodeId id,
                           Reference(store, place, digest, NodeKind::kBlob));
  const NodeId manifest = ManifestOf(id);
  if (manifest == kNoNode) return id;
  return Reference(store, place, set_->graph().digest(manifest),
                   NodeKind::kManifest);
}

NodeId OperationApplier::ManifestOf(NodeId config) const {
  const ResidentGraph& graph = set_->graph();
  if (!graph.Exists(config) || graph.kind(config) != NodeKind::kConfig) {
    return kNoNode;
  }
  NodeId manifest = kNoNode;
  graph.ForEachKeeper(config, [&](NodeId keeper) {
    if (graph.kind(keeper) == NodeKind::kManifest &&
        graph.state(keeper) == NodeState::kPresent) {
      manifest = std::min(manifest, keeper);
    }
    return true;
  });
  return manifest;
}

absl::Status OperationApplier::AddImage(const StoreRecord& store, PlaceId place,
                                        const oci::Digest& digest,
                                        std::vector<NodeId>* images) {
  for (const PlaceId one : HeldIn(store, place, digest)) {
    RECLAIM_ASSIGN_OR_RETURN(images->emplace_back(),
                             ReferenceImage(store, one, digest));
  }
  return absl::OkStatus();
}

// An image that is mounted need not lie beside the container's own: one that is
// not there is held wherever it is.
absl::Status OperationApplier::AddMounted(const StoreRecord& store,
                                          PlaceId place,
                                          const oci::Digest& digest,
                                          std::vector<NodeId>* images) {
  RECLAIM_RETURN_IF_ERROR(AddImage(store, place, digest, images));
  const ResidentGraph& graph = set_->graph();
  const NodeId beside = graph.FindContent(place, digest);
  if (beside != kNoNode && graph.state(beside) != NodeState::kAbsent) {
    return absl::OkStatus();
  }
  RECLAIM_ASSIGN_OR_RETURN(const PlaceId nowhere, PlaceOf(store, ""));
  if (nowhere == place) return absl::OkStatus();
  return AddImage(store, nowhere, digest, images);
}

void OperationApplier::FindCopies(absl::Span<const Operation> operations) {
  WantedDigests wanted;
  for (const Operation& operation : operations) {
    DigestsOf held;
    std::visit(held, operation);
    const StoreRecord* store =
        held.digests.empty() ? nullptr : find_store_(held.store);
    if (store == nullptr) continue;
    for (oci::Digest& digest : held.digests) {
      wanted.emplace(store->id, std::move(digest));
    }
  }
  FindWanted(wanted);
}

void OperationApplier::FindWanted(const WantedDigests& wanted) {
  const ResidentGraph& graph = set_->graph();
  absl::flat_hash_map<StoreId, uint64_t> place_counts;
  uint64_t lookup_count = 0;
  for (const auto& [store, digest] : wanted) {
    const auto entry = place_counts.try_emplace(store, 0);
    uint64_t& count = entry.first->second;
    if (entry.second) graph.ForEachPlace(store, [&](PlaceId) { ++count; });
    lookup_count += count;
  }
  if (lookup_count <= kLookupMax) return;
  for (const auto& name : wanted) found_[name];
  for (NodeId id = 0; id < graph.node_count(); ++id) {
    if (!graph.Exists(id) || !IsContent(graph.kind(id)) ||
        graph.kind(id) == NodeKind::kExtent ||
        graph.state(id) == NodeState::kAbsent) {
      continue;
    }
    const NodeFields fields = graph.fields(id);
    const auto it = found_.find({fields.store, graph.digest(id)});
    if (it != found_.end()) it->second.push_back(fields.place);
  }
}

absl::Status OperationApplier::AddCopy(NodeId holder, NodeId copy) {
  RECLAIM_ASSIGN_OR_RETURN(NamedProto * record, set_->NamedById(holder));
  if (record == nullptr) return absl::OkStatus();
  const NodeKind kind = static_cast<NodeKind>(record->kind());
  const auto& targets = record->targets();
  if (!MayHold(kind) ||
      std::find(targets.begin(), targets.end(), copy) != targets.end()) {
    return absl::OkStatus();
  }
  record->add_targets(copy);
  // A new reference as any other: older plans spare it, and what of it lies in
  // quarantine comes back.
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * content, set_->ContentById(copy));
  content->set_stamp(set_->epoch());
  NoteQuarantined(copy);
  if (kind != NodeKind::kContainer && kind != NodeKind::kSnapshot) {
    return absl::OkStatus();
  }
  has_new_uses_ = true;
  const NodeId manifest = ManifestOf(copy);
  return manifest == kNoNode ? absl::OkStatus() : AddCopy(holder, manifest);
}

// Whoever holds `content` holds `copy` as well.
absl::Status OperationApplier::HoldAlso(NodeId content, NodeId copy) {
  for (const NodeId holder : set_->NamedKeepers(content)) {
    RECLAIM_RETURN_IF_ERROR(AddCopy(holder, copy));
  }
  return absl::OkStatus();
}

absl::Status OperationApplier::HoldArrived() {
  for (const NodeId id : arrived_) {
    RECLAIM_ASSIGN_OR_RETURN(const ContentRecord* record,
                             set_->ContentById(id));
    const PlaceId nowhere =
        set_->FindPlace(static_cast<StoreId>(record->store()), "");
    if (nowhere == kNoPlace || nowhere == record->place()) continue;
    RECLAIM_ASSIGN_OR_RETURN(
        const oci::Digest digest,
        oci::Digest::FromBytes(
            static_cast<oci::DigestAlgorithm>(record->digest_algorithm()),
            record->digest()));
    RECLAIM_ASSIGN_OR_RETURN(const ContentRecord* words,
                             set_->FindContent(nowhere, digest));
    if (words == nullptr) continue;
    RECLAIM_RETURN_IF_ERROR(HoldAlso(words->id(), id));
  }
  // A container may have named its image by the config before any manifest said
  // whose that is.
  const ResidentGraph& graph = set_->graph();
  for (const auto& [manifest, config] : configured_) {
    const bool is_used = graph.Exists(config) &&
                         graph.IsNamedByContainer(config) &&
                         ManifestOf(config) == kNoNode;
    if (!is_used && !has_new_uses_) continue;
    for (const NodeId holder : set_->NamedKeepers(config)) {
      RECLAIM_ASSIGN_OR_RETURN(const NamedProto* record,
                               set_->NamedById(holder));
      if (record == nullptr ||
          static_cast<NodeKind>(record->kind()) != NodeKind::kContainer) {
        continue;
      }
      RECLAIM_RETURN_IF_ERROR(AddCopy(holder, manifest));
    }
  }
  return absl::OkStatus();
}

absl::Status OperationApplier::HoldKnown(const StoreRecord& store) {
  const ResidentGraph& graph = set_->graph();
  const PlaceId nowhere = graph.FindPlace(store.id, "");
  bool has_others = false;
  graph.ForEachPlace(store.id,
                     [&](PlaceId place) { has_others |= place != nowhere; });
  if (nowhere == kNoPlace || !has_others) return absl::OkStatus();
  std::vector<std::pair<NodeId, NodeId>> held;  // holder, what it names
  WantedDigests wanted;
  for (const NodeKind kind : {NodeKind::kPin, NodeKind::kLease,
                              NodeKind::kContainer, NodeKind::kSnapshot}) {
    graph.ForEachNamed(kind, store.id, [&](NodeId holder) {
      for (const NodeId target : graph.Kept(holder)) {
        if (!IsContent(graph.kind(target)) ||
            graph.fields(target).place != nowhere) {
          continue;
        }
        held.emplace_back(holder, target);
        wanted.emplace(store.id, graph.digest(target));
      }
      return true;
    });
  }
  FindWanted(wanted);
  for (const auto& [holder, target] : held) {
    const oci::Digest digest = graph.digest(target);
    for (const PlaceId place : HeldIn(store, nowhere, digest)) {
      const NodeId copy = graph.FindContent(place, digest);
      const absl::Span<const NodeId> kept = graph.Kept(holder);
      if (std::find(kept.begin(), kept.end(), copy) != kept.end()) continue;
      RECLAIM_RETURN_IF_ERROR(AddCopy(holder, copy));
    }
  }
  return absl::OkStatus();
}

}  // namespace reclaim::index
