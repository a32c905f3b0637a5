// The operations on containers and the other records of an engine.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/operation_applier.h"
#include "index/put_codec.h"
#include "index/record_encoding.h"
#include "oci/name.h"

namespace reclaim::index {
namespace {

bool IsRunningState(ContainerState state) {
  return state == ContainerState::kRunning ||
         state == ContainerState::kPaused ||
         state == ContainerState::kRestarting ||
         state == ContainerState::kUnknown;
}

}  // namespace

void OperationApplier::SetFlag(NamedProto* record, NodeFlag flag, bool is_set) {
  record->set_flags(is_set ? record->flags() | flag : record->flags() & ~flag);
}

void OperationApplier::SetSize(NamedProto* record,
                               const std::optional<store::Bytes>& bytes) {
  SetFlag(record, kUnknownSize, !bytes.has_value());
  const store::Bytes size = bytes.value_or(store::Bytes());
  record->set_logical_bytes(size.logical_bytes);
  record->set_allocated_bytes(size.allocated_bytes);
}

absl::StatusOr<std::vector<NodeId>> OperationApplier::ContainerTargets(
    const StoreRecord& store, const PutContainer& op,
    std::vector<NodeId>* images) {
  RECLAIM_ASSIGN_OR_RETURN(const PlaceId place, PlaceOf(store, op.place));
  std::optional<oci::Digest> image = op.image;
  PlaceId image_place = place;
  const auto reference = oci::ParseReference(op.image_reference);
  if (!image && reference.ok()) {
    image = reference->digest;
    const std::string tag = reference->tag.empty() ? "latest" : reference->tag;
    for (const std::string& repository :
         {reference->repository,
          oci::FamiliarRepository(reference->repository)}) {
      RECLAIM_ASSIGN_OR_RETURN(
          NamedProto * record,
          set_->FindNamed({NodeKind::kTag, store.id, repository, tag}));
      if (record == nullptr || image) continue;
      RECLAIM_ASSIGN_OR_RETURN(image,
                               oci::Digest::Parse(record->tag().digest()));
      image_place = record->place();
    }
  }
  if (image) {
    RECLAIM_RETURN_IF_ERROR(AddImage(store, image_place, *image, images));
  }
  for (const oci::Digest& mounted : op.mounted_images) {
    RECLAIM_RETURN_IF_ERROR(AddMounted(store, place, mounted, images));
  }
  std::vector<NodeId> targets = *images;
  std::vector<NamedKey> names;
  for (const std::string& name : op.volumes) {
    names.push_back({NodeKind::kVolume, store.id, "", name});
  }
  for (const std::string& name : op.networks) {
    names.push_back({NodeKind::kNetwork, store.id, "", name});
  }
  if (!op.snapshot.empty()) {
    names.push_back({NodeKind::kSnapshot, store.id, "", op.snapshot});
  }
  for (const NamedKey& key : names) {
    RECLAIM_ASSIGN_OR_RETURN(NamedProto * record, set_->FindNamed(key));
    if (record != nullptr) targets.push_back(record->id());
  }
  return targets;
}

absl::Status OperationApplier::operator()(const PutContainer& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(NamedPut put,
                           BeginNamed(*store, NodeKind::kContainer, "", op.id));
  *put.record->mutable_container() = ToProto(op);
  SetSize(put.record, op.writable);
  const bool was_running = (put.record->flags() & kRunning) != 0;
  SetFlag(put.record, kRunning, IsRunningState(op.state));
  RECLAIM_ASSIGN_OR_RETURN(const PlaceId place, PlaceOf(*store, op.place));
  put.record->set_place(place);
  std::vector<NodeId> images;
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<NodeId> targets,
                           ContainerTargets(*store, op, &images));
  const uint64_t count = changed_count_;
  FinishNamed(*store, put, targets);
  has_new_uses_ = true;
  const bool has_changed = changed_count_ > count;
  if (!has_changed || !(was_running || IsRunningState(op.state))) {
    return absl::OkStatus();
  }
  return UseImages(images);
}

absl::Status OperationApplier::UseImages(const std::vector<NodeId>& images) {
  const int64_t now = ToMicros(set_->now());
  for (const NodeId id : images) {
    RECLAIM_ASSIGN_OR_RETURN(ContentRecord * content, set_->ContentById(id));
    if (content->has_used() && content->used() >= now) continue;
    const std::string before = CanonicalBytes(*content);
    content->set_used(now);
    FinishContent(*content, before, EventKind::kUsed);
  }
  return absl::OkStatus();
}

absl::Status OperationApplier::ReconnectContainers(const StoreRecord& store,
                                                   NodeKind kind,
                                                   const std::string& name) {
  for (const NodeId id : set_->ListNamed(NodeKind::kContainer, store.id)) {
    RECLAIM_ASSIGN_OR_RETURN(NamedProto * record, set_->NamedById(id));
    if (record == nullptr) continue;
    const v1::PutContainer& container = record->container();
    const auto has = [&](const auto& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    const bool is_named = kind == NodeKind::kVolume ? has(container.volumes())
                          : kind == NodeKind::kNetwork
                              ? has(container.networks())
                              : container.snapshot() == name;
    if (!is_named) continue;
    RECLAIM_ASSIGN_OR_RETURN(const PutContainer put, FromProto(container));
    RECLAIM_RETURN_IF_ERROR((*this)(put));
  }
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const PutSnapshot& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(const PlaceId place, PlaceOf(*store, op.place));
  RECLAIM_ASSIGN_OR_RETURN(NamedPut put,
                           BeginNamed(*store, NodeKind::kSnapshot, "", op.key));
  *put.record->mutable_snapshot() = ToProto(op);
  SetSize(put.record, op.bytes);
  std::vector<NodeId> targets;
  if (!op.parent.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(
        NamedProto * parent,
        set_->FindNamed({NodeKind::kSnapshot, store->id, "", op.parent}));
    // On itself nothing stands.
    if (parent != nullptr && parent->id() != put.record->id()) {
      targets.push_back(parent->id());
    }
  }
  if (op.image) {
    RECLAIM_RETURN_IF_ERROR(AddImage(*store, place, *op.image, &targets));
  }
  for (const oci::Digest& digest : op.unpacked_from) {
    RECLAIM_RETURN_IF_ERROR(AddContent(*store, place, digest, &targets));
  }
  put.record->set_place(place);
  if (op.created) put.record->set_recorded(ToMicros(*op.created));
  FinishNamed(*store, put, targets);
  if (!put.before.empty()) return absl::OkStatus();
  return ReconnectContainers(*store, NodeKind::kSnapshot, op.key);
}

absl::Status OperationApplier::operator()(const PutVolume& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(NamedPut put,
                           BeginNamed(*store, NodeKind::kVolume, "", op.name));
  *put.record->mutable_volume() = ToProto(op);
  SetSize(put.record, op.bytes);
  SetFlag(put.record, kAnonymous, op.is_anonymous);
  FinishNamed(*store, put, {});
  if (!put.before.empty()) return absl::OkStatus();
  return ReconnectContainers(*store, NodeKind::kVolume, op.name);
}

absl::Status OperationApplier::operator()(const PutNetwork& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(NamedPut put,
                           BeginNamed(*store, NodeKind::kNetwork, "", op.name));
  *put.record->mutable_network() = ToProto(op);
  SetFlag(put.record, kPredefined,
          op.is_predefined || op.name == "bridge" || op.name == "host" ||
              op.name == "none");
  FinishNamed(*store, put, {});
  if (!put.before.empty()) return absl::OkStatus();
  return ReconnectContainers(*store, NodeKind::kNetwork, op.name);
}

absl::Status OperationApplier::operator()(const PutBuildCache& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(
      NamedPut put, BeginNamed(*store, NodeKind::kBuildCache, "", op.id));
  *put.record->mutable_build_cache() = ToProto(op);
  SetSize(put.record, op.bytes);
  SetFlag(put.record, kInUse, op.is_in_use);
  SetFlag(put.record, kShared, op.is_shared);
  if (op.used) put.record->set_used(ToMicros(*op.used));
  std::vector<NodeId> targets;
  if (!op.parent.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(
        NamedProto * parent,
        set_->FindNamed({NodeKind::kBuildCache, store->id, "", op.parent}));
    if (parent != nullptr) targets.push_back(parent->id());
  }
  for (const oci::Digest& digest : op.layers) {
    RECLAIM_ASSIGN_OR_RETURN(const PlaceId place, PlaceOf(*store, ""));
    RECLAIM_ASSIGN_OR_RETURN(targets.emplace_back(),
                             Reference(*store, place, digest, NodeKind::kBlob));
  }
  FinishNamed(*store, put, targets);
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const PutUpload& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(NamedProto * repository,
                           RepositoryOf(*store, op.repository));
  const PlaceId place = repository->place();
  RECLAIM_ASSIGN_OR_RETURN(NamedPut put, BeginNamed(*store, NodeKind::kUpload,
                                                    op.repository, op.id));
  *put.record->mutable_upload() = ToProto(op);
  put.record->set_place(place);
  SetSize(put.record, op.bytes);
  const absl::Time started =
      op.started.value_or(FromMicros(put.record->recorded()));
  put.record->set_recorded(ToMicros(started));
  put.record->set_expires(
      ToMicros(op.expires.value_or(started + options_.upload_lifetime)));
  FinishNamed(*store, put, {});
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const RemoveNamed& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  if (IsContent(op.kind) || op.kind == NodeKind::kRepository) {
    return absl::InvalidArgumentError(
        "kind: content and repositories have operations of their own");
  }
  if (op.owner) RECLAIM_RETURN_IF_ERROR(CheckOwner(*store, op));
  return RemoveByKey(*store, {op.kind, store->id, op.scope, op.name});
}

absl::Status OperationApplier::operator()(const SetOrphans& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  const Tally orphans{op.count, op.bytes};
  if (set_->graph().totals(store->id).orphan == orphans) {
    return absl::OkStatus();
  }
  ++changed_count_;
  storage::v1::StoreRecord record;
  record.set_orphan_count(op.count);
  record.set_orphan_logical_bytes(op.bytes.logical_bytes);
  record.set_orphan_allocated_bytes(op.bytes.allocated_bytes);
  set_->AddRecord(Family::kMeta, "orphans/" + IdKey(store->id),
                  record.SerializeAsString());
  set_->SetOrphans(store->id, orphans);
  return absl::OkStatus();
}

}  // namespace reclaim::index
