// The operations on leases and pins.

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "index/operation_applier.h"
#include "index/put_codec.h"

namespace reclaim::index {
namespace {

using google::protobuf::util::MessageDifferencer;

// Adds to `lease` the targets of `op` that it does not have, and returns them.
// So are those by name that it has: who names one anew relies on what the name
// leads to now, and has to hear that it leads nowhere.
std::vector<Target> AddNew(const PutLease& op, v1::Lease* lease) {
  std::vector<Target> fresh;
  if (op.targets.empty()) return fresh;
  absl::flat_hash_set<std::string> known;
  for (const v1::Target& target : lease->targets()) {
    known.insert(target.SerializeAsString());
  }
  const v1::Lease asked = ToProto(op);
  for (int i = 0; i < asked.targets_size(); ++i) {
    const v1::Target& target = asked.targets(i);
    const bool is_new = known.insert(target.SerializeAsString()).second;
    if (!is_new && !target.has_named()) continue;
    fresh.push_back(op.targets[static_cast<size_t>(i)]);
    if (is_new) *lease->add_targets() = target;
  }
  return fresh;
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

// The targets that a lease has: what it holds has been found already, and what
// has come since was added to it (held_copies.cc).  One that had expired names
// it all anew.
absl::StatusOr<std::vector<NodeId>> OperationApplier::KeptTargets(
    const StoreRecord& store, const NamedProto& record,
    const v1::Lease& lease) {
  const ResidentGraph& graph = set_->graph();
  const bool had_expired =
      record.has_expires() && record.expires() < ToMicros(set_->now());
  std::vector<NodeId> kept;
  for (const NodeId id : record.targets()) {
    // What was named and has gone; what is new in this set has no node yet.
    if (id < graph.node_count() && !graph.Exists(id)) continue;
    kept.push_back(id);
    if (!had_expired) continue;
    NoteQuarantined(id);
    if (!graph.Exists(id) || !IsContent(graph.kind(id))) continue;
    RECLAIM_ASSIGN_OR_RETURN(ContentRecord * content, set_->ContentById(id));
    content->set_stamp(set_->epoch());
  }
  // A name may lead to another node by now.
  absl::flat_hash_set<NodeId> known;
  for (const v1::Target& target : lease.targets()) {
    if (!target.has_named()) continue;
    if (known.empty()) known.insert(kept.begin(), kept.end());
    const absl::StatusOr<NodeKind> kind = FromProto(target.named().kind());
    if (!kind.ok()) continue;
    const NodeId id = graph.FindNamed(
        {*kind, store.id, target.named().scope(), target.named().name()});
    if (id == kNoNode || !known.insert(id).second) continue;
    NoteQuarantined(id);
    kept.push_back(id);
  }
  return kept;
}

absl::Status OperationApplier::operator()(const PutLease& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.store));
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, IsLeaseThere(*store, op));
  if (is_there) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(NamedPut put,
                           BeginNamed(*store, NodeKind::kLease, "", op.id));
  v1::Lease lease;
  lease.Swap(put.record->mutable_lease());
  RECLAIM_ASSIGN_OR_RETURN(std::vector<NodeId> targets,
                           KeptTargets(*store, *put.record, lease));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<NodeId> added,
                           Targets(*store, AddNew(op, &lease)));
  targets.insert(targets.end(), added.begin(), added.end());
  v1::Lease* now = put.record->mutable_lease();
  *now = ToProto(op);
  now->mutable_targets()->Swap(lease.mutable_targets());
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
