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
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"
#include "index/found_copies.h"
#include "index/operation_applier.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

bool MayHold(NodeKind kind) {
  return kind == NodeKind::kPin || kind == NodeKind::kLease ||
         kind == NodeKind::kContainer || kind == NodeKind::kSnapshot;
}

// Whether content of the store may lie in several places.
bool HasPlaces(store::StoreKind kind) {
  return kind != store::StoreKind::kRegistry &&
         kind != store::StoreKind::kDocker && kind != store::StoreKind::kPodman;
}

}  // namespace

std::vector<PlaceId> OperationApplier::HeldIn(const StoreRecord& store,
                                              PlaceId place,
                                              const oci::Digest& digest) const {
  std::vector<PlaceId> places = {place};
  if (place != set_->FindPlace(store.id, "")) return places;
  const auto add = [&](PlaceId other) {
    if (other != place) places.push_back(other);
  };
  // What this very mutation has made known is added at its end.
  const ResidentGraph& graph = set_->graph();
  const std::vector<NodeId>* found =
      copies_ == nullptr ? nullptr : copies_->Find(store.id, digest);
  if (found != nullptr) {
    for (const NodeId copy : *found) {
      if (graph.Exists(copy) && graph.state(copy) != NodeState::kAbsent) {
        add(graph.fields(copy).place);
      }
    }
    return places;
  }
  graph.ForEachPlace(store.id, [&](PlaceId other) {
    const NodeId copy = graph.FindContent(other, digest);
    if (copy != kNoNode && graph.state(copy) != NodeState::kAbsent) add(other);
  });
  return places;
}

absl::StatusOr<std::vector<storage::v1::ContentRecord*>>
OperationApplier::CopiesOf(const StoreRecord& store, const ContentName& name) {
  std::vector<ContentRecord*> copies;
  const PlaceId place = set_->FindPlace(store.id, name.place);
  if (place == kNoPlace && !name.place.empty()) return copies;
  for (const PlaceId one : HeldIn(store, place, name.digest)) {
    if (one == kNoPlace) continue;
    RECLAIM_ASSIGN_OR_RETURN(ContentRecord * copy,
                             set_->FindContent(one, name.digest));
    if (copy != nullptr) copies.push_back(copy);
  }
  // The first stands for the words, if it is not a copy itself.
  if (copies.size() > 1 && copies[0]->place() == place &&
      static_cast<NodeState>(copies[0]->state()) == NodeState::kAbsent) {
    copies.erase(copies.begin());
  }
  return copies;
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

NodeId OperationApplier::ManifestOf(NodeId config) const {
  const ResidentGraph& graph = set_->graph();
  if (!graph.Exists(config) || graph.kind(config) != NodeKind::kConfig) {
    return kNoNode;
  }
  NodeId manifest = kNoNode;
  NodeId in_quarantine = kNoNode;
  graph.ForEachKeeper(config, [&](NodeId keeper) {
    if (graph.kind(keeper) != NodeKind::kManifest) return true;
    if (graph.state(keeper) == NodeState::kPresent) {
      manifest = std::min(manifest, keeper);
    } else if (graph.state(keeper) == NodeState::kQuarantined) {
      in_quarantine = std::min(in_quarantine, keeper);
    }
    return true;
  });
  return manifest == kNoNode ? in_quarantine : manifest;
}

// An image by any of its digests: a config stands for the manifest that names
// it, where one is here (Docker's image id is the config's digest).  Where
// there may be other copies, the config is referenced as well: by it they are
// found.
absl::Status OperationApplier::AddImage(const StoreRecord& store, PlaceId place,
                                        const oci::Digest& digest,
                                        std::vector<NodeId>* images) {
  for (const PlaceId one : HeldIn(store, place, digest)) {
    RECLAIM_ASSIGN_OR_RETURN(const NodeId id,
                             Reference(store, one, digest, NodeKind::kBlob));
    const NodeId manifest = ManifestOf(id);
    if (manifest == kNoNode || HasPlaces(store.kind)) images->push_back(id);
    if (manifest == kNoNode) continue;
    RECLAIM_ASSIGN_OR_RETURN(
        images->emplace_back(),
        Reference(store, one, set_->graph().digest(manifest),
                  NodeKind::kManifest));
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

absl::Status OperationApplier::AddCopy(NodeId holder, NodeId copy) {
  RECLAIM_ASSIGN_OR_RETURN(NamedProto * record, set_->NamedById(holder));
  if (record == nullptr) return absl::OkStatus();
  const NodeKind kind = static_cast<NodeKind>(record->kind());
  if (!MayHold(kind)) return absl::OkStatus();
  const auto [known, is_first] = targets_of_.try_emplace(holder);
  if (is_first) {
    known->second.insert(record->targets().begin(), record->targets().end());
  }
  if (!known->second.insert(copy).second) return absl::OkStatus();
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

bool OperationApplier::IsUsedWithoutManifest(NodeId config) const {
  const ResidentGraph& graph = set_->graph();
  if (!graph.Exists(config) || !graph.IsNamedByContainer(config)) return false;
  const NodeId manifest = ManifestOf(config);
  return manifest == kNoNode || graph.state(manifest) != NodeState::kPresent;
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
  for (const auto& [manifest, config] : configured_) {
    if (!has_new_uses_ && !IsUsedWithoutManifest(config)) continue;
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
  FoundCopies copies;
  for (const NodeKind kind : {NodeKind::kPin, NodeKind::kLease,
                              NodeKind::kContainer, NodeKind::kSnapshot}) {
    graph.ForEachNamed(kind, store.id, [&](NodeId holder) {
      for (const NodeId target : graph.Kept(holder)) {
        if (!IsContent(graph.kind(target)) ||
            graph.fields(target).place != nowhere) {
          continue;
        }
        held.emplace_back(holder, target);
        copies.Want(store.id, graph.digest(target));
      }
      return true;
    });
  }
  copies.Look(graph);
  copies_ = &copies;
  NodeId last = kNoNode;
  absl::flat_hash_set<NodeId> kept;  // by it
  for (const auto& [holder, target] : held) {
    if (holder != std::exchange(last, holder)) {
      const absl::Span<const NodeId> targets = graph.Kept(holder);
      kept = {targets.begin(), targets.end()};
    }
    const oci::Digest digest = graph.digest(target);
    for (const PlaceId place : HeldIn(store, nowhere, digest)) {
      const NodeId copy = graph.FindContent(place, digest);
      if (kept.contains(copy)) continue;
      RECLAIM_RETURN_IF_ERROR(AddCopy(holder, copy));
    }
  }
  copies_ = nullptr;
  return absl::OkStatus();
}

}  // namespace reclaim::index
