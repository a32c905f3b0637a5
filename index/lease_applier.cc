// The operations on leases and pins.

#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "index/operation_applier.h"
#include "index/put_codec.h"

namespace reclaim::index {
namespace {

using google::protobuf::util::MessageDifferencer;

// Of all that a target may name.
auto KeyOf(const Target& target) {
  const ContentName content = target.content.value_or(ContentName());
  return std::make_tuple(target.content.has_value(), content.store,
                         content.place, content.digest, target.kind,
                         target.scope, target.name);
}

// Each once.
std::vector<Target> Joined(const std::vector<Target>& old,
                           const std::vector<Target>& added) {
  std::set<decltype(KeyOf(Target()))> known;
  std::vector<Target> joined;
  for (const std::vector<Target>* targets : {&old, &added}) {
    for (const Target& target : *targets) {
      if (known.insert(KeyOf(target)).second) joined.push_back(target);
    }
  }
  return joined;
}

}  // namespace

absl::StatusOr<std::vector<NodeId>> OperationApplier::Targets(
    const StoreRecord& store, const std::vector<Target>& targets) {
  std::vector<NodeId> ids;
  for (const Target& target : targets) {
    if (target.content) {
      RECLAIM_ASSIGN_OR_RETURN(const PlaceId place,
                               PlaceOf(store, target.content->place));
      RECLAIM_RETURN_IF_ERROR(
          AddContent(store, place, target.content->digest, &ids));
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(
        NamedProto * record,
        set_->FindNamed({target.kind, store.id, target.scope, target.name}));
    if (record == nullptr) {
      return absl::NotFoundError(absl::StrCat(
          "targets: ", ToString(target.kind), " ", target.scope,
          target.scope.empty() ? "" : ":", target.name, " is not known"));
    }
    NoteQuarantined(record->id());
    ids.push_back(record->id());
  }
  return ids;
}

absl::StatusOr<storage::v1::NamedRecord*> OperationApplier::FindLease(
    const StoreRecord& store, const std::string& id) {
  RECLAIM_ASSIGN_OR_RETURN(
      NamedProto * record,
      set_->FindNamed({NodeKind::kLease, store.id, "", id}));
  // The instant of its expiry is its last.
  const bool has_expired = record != nullptr && record->has_expires() &&
                           record->expires() < ToMicros(set_->now());
  return has_expired ? nullptr : record;
}

absl::Status OperationApplier::CheckOwner(const StoreRecord& store,
                                          const RemoveNamed& op) {
  if (op.kind != NodeKind::kLease) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(NamedProto * lease, FindLease(store, op.name));
  if (lease == nullptr || lease->lease().owner() == *op.owner) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrCat(
      "id: the lease ", op.name, " is one of ", lease->lease().owner(),
      "; it ends by its expiry, by its owner, or by who holds the role "
      "\"admin\""));
}

// What makes a put of a lease one that is taken anew, or one that changes a
// lease which was read before; true if nothing is left to do.
absl::StatusOr<bool> OperationApplier::IsLeaseThere(const StoreRecord& store,
                                                    const PutLease& op) {
  RECLAIM_ASSIGN_OR_RETURN(NamedProto * there, FindLease(store, op.id));
  if (op.etag && there == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("id: there is no lease ", op.id, ", or it has expired"));
  }
  if (op.etag && LeaseEtag(there->lease()) != *op.etag) {
    return absl::AbortedError(absl::StrCat(
        "etag: the lease ", op.id, " has changed since; read it again"));
  }
  if (!op.is_new) return false;
  if (there != nullptr) {
    if (MessageDifferencer::Equals(there->lease(), ToProto(op))) return true;
    return absl::AlreadyExistsError(absl::StrCat(
        "id: the lease ", op.id, " is there; update it, or take another id"));
  }
  if (op.expires && *op.expires <= set_->now()) {
    return absl::InvalidArgumentError("expire_time: is past");
  }
  RECLAIM_RETURN_IF_ERROR(
      RemoveByKey(store, {NodeKind::kLease, store.id, "", op.id}));
  return false;
}

absl::Status OperationApplier::operator()(const PutLease& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, IsLeaseThere(*store, op));
  if (is_there) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(NamedPut put,
                           BeginNamed(*store, NodeKind::kLease, "", op.id));
  PutLease merged = op;
  if (!put.before.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const PutLease old,
                             FromProto(put.record->lease()));
    merged.targets = Joined(old.targets, op.targets);
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<NodeId> targets,
                           Targets(*store, merged.targets));
  *put.record->mutable_lease() = ToProto(merged);
  SetFlag(put.record, kFlat, op.is_flat);
  put.record->clear_expires();
  if (op.expires) put.record->set_expires(ToMicros(*op.expires));
  FinishNamed(*store, put, targets);
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const PutPin& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(NamedPut put,
                           BeginNamed(*store, NodeKind::kPin, "", op.id));
  if (op.is_new && !put.before.empty()) {
    if (MessageDifferencer::Equals(put.record->pin(), ToProto(op))) {
      return absl::OkStatus();
    }
    return absl::AlreadyExistsError(
        absl::StrCat("id: the pin ", op.id, " is there; take another id"));
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<NodeId> targets,
                           Targets(*store, {op.target}));
  *put.record->mutable_pin() = ToProto(op);
  FinishNamed(*store, put, targets);
  return absl::OkStatus();
}

}  // namespace reclaim::index
