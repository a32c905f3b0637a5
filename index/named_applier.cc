// The operations on repositories, tags and links.

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/operation_applier.h"
#include "index/put_codec.h"
#include "index/record_encoding.h"

namespace reclaim::index {
namespace {

absl::Status Required(const char* field, const std::string& value) {
  if (!value.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": must be given"));
}

}  // namespace

Event OperationApplier::EventOf(const StoreRecord& store, EventKind kind,
                                const NamedProto& record) const {
  Event event;
  event.kind = kind;
  event.node_kind = static_cast<NodeKind>(record.kind());
  event.store = store.name;
  event.scope = record.scope();
  event.name = record.name();
  event.bytes = {record.logical_bytes(), record.allocated_bytes()};
  event.actor = actor_;
  if (record.has_tag()) {
    const auto digest = oci::Digest::Parse(record.tag().digest());
    if (digest.ok()) event.digest = *digest;
  }
  return event;
}

absl::StatusOr<OperationApplier::NamedPut> OperationApplier::BeginNamed(
    const StoreRecord& store, NodeKind kind, const std::string& scope,
    const std::string& name) {
  RECLAIM_RETURN_IF_ERROR(Required("name", name));
  const NamedKey key{kind, store.id, scope, name};
  NamedPut put;
  RECLAIM_ASSIGN_OR_RETURN(put.record, set_->FindNamed(key));
  if (put.record == nullptr) {
    put.record = set_->AddNamed(key);
  } else {
    put.before = CanonicalBytes(*put.record);
  }
  return put;
}

void OperationApplier::FinishNamed(const StoreRecord& store,
                                   const NamedPut& put,
                                   std::vector<NodeId> targets) {
  std::vector<NodeId> distinct;
  absl::flat_hash_set<NodeId> seen;
  for (const NodeId target : targets) {
    if (seen.insert(target).second) distinct.push_back(target);
  }
  // The same in the order in which they came is no change.
  const auto& old = put.record->targets();
  const bool is_same = static_cast<size_t>(old.size()) == distinct.size() &&
                       std::all_of(old.begin(), old.end(), [&](NodeId target) {
                         return seen.contains(target);
                       });
  if (!is_same) {
    put.record->mutable_targets()->Assign(distinct.begin(), distinct.end());
  }
  if (CanonicalBytes(*put.record) == put.before) return;
  ++changed_count_;
  put.record->set_stamp(set_->epoch());
  const bool is_moved_tag = !put.before.empty() && put.record->has_tag();
  set_->AddEvent(EventOf(store,
                         put.before.empty() ? EventKind::kAdded
                         : is_moved_tag     ? EventKind::kTagMoved
                                            : EventKind::kChanged,
                         *put.record));
}

absl::StatusOr<storage::v1::NamedRecord*> OperationApplier::RepositoryOf(
    const StoreRecord& store, const std::string& repository) {
  RECLAIM_RETURN_IF_ERROR(Required("repository", repository));
  RECLAIM_ASSIGN_OR_RETURN(
      NamedProto * record,
      set_->FindNamed({NodeKind::kRepository, store.id, "", repository}));
  if (record != nullptr) return record;
  RECLAIM_RETURN_IF_ERROR((*this)(PutRepository{store.name, repository, ""}));
  return set_->FindNamed({NodeKind::kRepository, store.id, "", repository});
}

absl::Status OperationApplier::operator()(const PutRepository& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(const PlaceId place, PlaceOf(*store, op.place));
  RECLAIM_ASSIGN_OR_RETURN(
      NamedPut put,
      BeginNamed(*store, NodeKind::kRepository, "", op.repository));
  put.record->set_place(place);
  *put.record->mutable_repository() = ToProto(op);
  FinishNamed(*store, put, {});
  return absl::OkStatus();
}

// With what the same mutation has put there: a link of no repository would make
// the database unreadable (index/record_check.h).
absl::Status OperationApplier::operator()(const RemoveRepository& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  for (const NamedKey& key : set_->NamesIn({NodeKind::kTag, NodeKind::kUpload},
                                           store->id, op.repository)) {
    RECLAIM_RETURN_IF_ERROR(RemoveByKey(*store, key));
  }
  const NamedKey key{NodeKind::kRepository, store->id, "", op.repository};
  RECLAIM_ASSIGN_OR_RETURN(const NamedProto* repository, set_->FindNamed(key));
  if (repository == nullptr) return absl::OkStatus();
  set_->RemoveMembershipsOf(repository->id());
  return RemoveByKey(*store, key);
}

absl::Status OperationApplier::RemoveByKey(const StoreRecord& store,
                                           const NamedKey& key) {
  RECLAIM_ASSIGN_OR_RETURN(NamedProto * record, set_->FindNamed(key));
  if (record == nullptr) return absl::OkStatus();
  if (key.kind == NodeKind::kContainer && (record->flags() & kRunning) != 0) {
    std::vector<NodeId> images;
    for (const NodeId id : record->targets()) {
      const ResidentGraph& graph = set_->graph();
      if (graph.Exists(id) && IsContent(graph.kind(id))) images.push_back(id);
    }
    RECLAIM_RETURN_IF_ERROR(UseImages(images));
  }
  ++changed_count_;
  set_->AddEvent(EventOf(store, EventKind::kRemoved, *record));
  set_->RemoveNamed(record->id());
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const PutTag& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_RETURN_IF_ERROR(Required("tag", op.tag));
  if (op.digest.empty()) {
    return absl::InvalidArgumentError("digest: must be given");
  }
  RECLAIM_ASSIGN_OR_RETURN(NamedProto * repository,
                           RepositoryOf(*store, op.repository));
  const PlaceId place = repository->place();
  RECLAIM_ASSIGN_OR_RETURN(
      NamedPut put, BeginNamed(*store, NodeKind::kTag, op.repository, op.tag));
  PutTag kept = op;
  if (!put.before.empty() && !op.pushed &&
      put.record->tag().digest() == op.digest.ToString()) {
    // The same again: the time of the push stands.
    kept.pushed = FromProto(put.record->tag().push_time());
  }
  if (!kept.pushed) kept.pushed = set_->now();
  *put.record->mutable_tag() = ToProto(kept);
  put.record->set_place(place);
  put.record->set_recorded(ToMicros(*kept.pushed));
  RECLAIM_ASSIGN_OR_RETURN(
      const NodeId target,
      Reference(*store, place, op.digest, NodeKind::kBlob));
  FinishNamed(*store, put, {target});
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const RemoveTag& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  return RemoveByKey(*store,
                     {NodeKind::kTag, store->id, op.repository, op.tag});
}

void OperationApplier::AddLinkEvent(EventKind kind,
                                    const std::string& repository,
                                    store::MembershipKind link,
                                    const ContentRecord& content) {
  if (!tells_of_links_) return;
  Event event = ContentEvent(kind, content);
  event.scope = repository;
  event.detail = absl::StrCat(
      link == store::MembershipKind::kRevision ? "revision" : "layer",
      " link of ", repository);
  set_->AddEvent(std::move(event));
}

absl::Status OperationApplier::operator()(const PutMembership& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(NamedProto * repository,
                           RepositoryOf(*store, op.repository));
  const NodeId repository_id = repository->id();
  RECLAIM_ASSIGN_OR_RETURN(
      ContentRecord * content,
      set_->Content(store->id, repository->place(), op.digest));
  const auto old = set_->FindMembership(repository_id, content->id(), op.kind);
  storage::v1::MembershipRecord record;
  record.set_repository(repository_id);
  record.set_content(content->id());
  record.set_kind(static_cast<uint32_t>(op.kind));
  record.set_linked(op.linked ? ToMicros(*op.linked)
                    : old     ? old->linked()
                              : ToMicros(set_->now()));
  record.set_is_only_name(op.is_only_name);
  if (old && old->SerializeAsString() == record.SerializeAsString()) {
    return absl::OkStatus();
  }
  // A new link of a writer is a promise; a link that a scan saw is none.
  if (!op.linked) content->set_stamp(set_->epoch());
  // A registry that is sent a blob which it has writes the link alone, anew: as
  // the link says, the content is young (grace counts from it).  The entries of
  // an image layout have the time of the whole index.json, which says nothing.
  if (store->kind == store::StoreKind::kRegistry &&
      static_cast<NodeState>(content->state()) == NodeState::kPresent) {
    content->set_recorded(std::max(content->recorded(), record.linked()));
  }
  // Also one that is put anew: whoever links wants the content.
  NoteQuarantined(content->id());
  ++changed_count_;
  set_->PutMembership(record);
  if (!old) AddLinkEvent(EventKind::kAdded, op.repository, op.kind, *content);
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const RemoveMembership& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(
      NamedProto * repository,
      set_->FindNamed({NodeKind::kRepository, store->id, "", op.repository}));
  if (repository == nullptr) return absl::OkStatus();
  const NodeId repository_id = repository->id();
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * content,
                           set_->FindContent(repository->place(), op.digest));
  if (content == nullptr ||
      !set_->FindMembership(repository_id, content->id(), op.kind)) {
    return absl::OkStatus();
  }
  ++changed_count_;
  set_->RemoveMembership(repository_id, content->id(), op.kind);
  AddLinkEvent(EventKind::kRemoved, op.repository, op.kind, *content);
  return absl::OkStatus();
}

}  // namespace reclaim::index
