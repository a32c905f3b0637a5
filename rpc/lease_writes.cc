// Taking, changing and ending leases and pins.

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "index/mutation.h"
#include "index/put_codec.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "reclaim/v1/lease.pb.h"
#include "rpc/call.h"
#include "rpc/held_content.h"
#include "rpc/lease_service.h"
#include "rpc/operations.h"
#include "store/engine_facts.h"

namespace reclaim::rpc {
namespace {

using index::NodeKind;

constexpr int kTargetCountMax = 10000;
constexpr size_t kIdBytesMax = 256;

absl::Status CheckId(const std::string& id) {
  if (id.size() > kIdBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("id: has ", id.size(), " bytes, more than ", kIdBytesMax));
  }
  if (absl::StartsWith(id, store::kHoldPrefix)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "id: what begins with \"", store::kHoldPrefix,
        "\" belongs to another client of the engine; end it there"));
  }
  for (const char c : id) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) {
      return absl::InvalidArgumentError("id: has a space or control character");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTargets(int count) {
  if (count <= kTargetCountMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("targets: ", count, " are more than ", kTargetCountMax));
}

// Gives each target of content the store of what holds it, which holds nothing
// of another one.
absl::Status FillStore(const std::string& store, index::Target* target) {
  if (!target->content) return absl::OkStatus();
  std::string& named = target->content->store;
  if (named.empty()) named = store;
  if (named == store) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("store: content of the store ", named,
                   " is held by a lease or pin of that store"));
}

absl::Status FillStore(index::PutLease* put) {
  for (index::Target& target : put->targets) {
    RECLAIM_RETURN_IF_ERROR(FillStore(put->store, &target));
  }
  return absl::OkStatus();
}

// Of both, each once.
int CountTargets(const v1::Lease& there, const v1::Lease& added) {
  std::set<std::string> targets;
  for (const v1::Lease* lease : {&there, &added}) {
    for (const v1::Target& target : lease->targets()) {
      targets.insert(target.SerializeAsString());
    }
  }
  return static_cast<int>(targets.size());
}

// The same request gets the same name.
std::string NewId(const ServiceParts& parts, const std::string& request_id) {
  if (request_id.empty()) return base::RandomId(parts.random);
  return absl::StrCat("r-", oci::Digest::Sha256Of(request_id).Short());
}

// Whether `there` is what `asked` would make.
bool IsSame(v1::Lease there, const v1::Lease& asked) {
  there.clear_etag();
  there.clear_create_time();
  return google::protobuf::util::MessageDifferencer::Equals(there, asked);
}
bool IsSame(v1::Pin there, const v1::Pin& asked) {
  there.clear_create_time();
  return google::protobuf::util::MessageDifferencer::Equals(there, asked);
}

// Leases protect what their owners rely on: nobody else ends or moves one.
absl::Status CheckOwner(const v1::Lease& lease, const Caller& caller) {
  if (lease.owner() == caller.actor) return absl::OkStatus();
  return Require(caller, Role::kAdmin,
                 absl::StrCat("a lease of ", lease.owner()));
}

}  // namespace

absl::StatusOr<v1::Lease> LeaseService::Create(
    const v1::CreateLeaseRequest& request, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  RECLAIM_RETURN_IF_ERROR(CheckTargets(request.lease().targets_size()));
  RECLAIM_RETURN_IF_ERROR(CheckId(request.lease().id()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.lease().store()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutLease put,
                           index::FromProto(request.lease()));
  put.store = store.name;
  put.owner = caller.actor;
  RECLAIM_RETURN_IF_ERROR(FillStore(&put));
  if (put.id.empty()) put.id = NewId(parts_, request.request_id());
  index::Mutation mutation;
  mutation.request_id = request.request_id();
  mutation.actor = caller.actor;
  // An expired one of the same name gives its targets back first.
  mutation.operations.push_back(
      index::RemoveNamed{store.name, NodeKind::kLease, "", put.id});
  mutation.operations.push_back(put);
  {
    base::MutexLock lock(&mutex_);
    RECLAIM_RETURN_IF_ERROR(Add(mutation, put));
  }
  RECLAIM_RETURN_IF_ERROR(ReadHeldContent(parts_, mutation));
  return Find(store.name, put.id);
}

absl::Status LeaseService::Add(const index::Mutation& mutation,
                               const index::PutLease& put) {
  // What was answered is answered again, whatever has come since.
  RECLAIM_ASSIGN_OR_RETURN(const bool is_repeated,
                           parts_.graph->WasApplied(mutation.request_id));
  if (is_repeated) return absl::OkStatus();
  const absl::StatusOr<v1::Lease> before = Find(put.store, put.id);
  if (before.ok()) {
    if (IsSame(*before, index::ToProto(put))) return absl::OkStatus();
    return absl::AlreadyExistsError(absl::StrCat(
        "the lease ", put.id, " is there; update it, or take another id"));
  }
  if (put.expires && *put.expires <= parts_.clock->Now()) {
    return absl::InvalidArgumentError("expire_time: is past");
  }
  return Apply(mutation);
}

absl::Status LeaseService::Apply(const index::Mutation& mutation) {
  RECLAIM_RETURN_IF_ERROR(CheckHeld(parts_, mutation));
  return parts_.graph->Apply(mutation, index::Durability::kDurable).status();
}

absl::StatusOr<v1::Lease> LeaseService::Update(
    const v1::UpdateLeaseRequest& request, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  RECLAIM_RETURN_IF_ERROR(CheckTargets(request.add_targets_size()));
  RECLAIM_RETURN_IF_ERROR(CheckId(request.id()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.store()));
  index::Mutation mutation;
  mutation.request_id = request.request_id();
  mutation.actor = caller.actor;
  {
    base::MutexLock lock(&mutex_);
    RECLAIM_RETURN_IF_ERROR(Change(request, store.name, caller, &mutation));
  }
  RECLAIM_RETURN_IF_ERROR(ReadHeldContent(parts_, mutation));
  return Find(store.name, request.id());
}

absl::Status LeaseService::Change(const v1::UpdateLeaseRequest& request,
                                  const std::string& store,
                                  const Caller& caller,
                                  index::Mutation* mutation) {
  RECLAIM_ASSIGN_OR_RETURN(const v1::Lease before, Find(store, request.id()));
  RECLAIM_RETURN_IF_ERROR(CheckOwner(before, caller));
  v1::Lease lease = before;
  // The graph adds these to the targets that it has.
  *lease.mutable_targets() = request.add_targets();
  if (request.has_expire_time()) {
    *lease.mutable_expire_time() = request.expire_time();
  }
  RECLAIM_ASSIGN_OR_RETURN(index::PutLease put, index::FromProto(lease));
  RECLAIM_RETURN_IF_ERROR(FillStore(&put));
  mutation->operations.push_back(put);
  // What was answered is answered again, whatever has come since.
  RECLAIM_ASSIGN_OR_RETURN(const bool is_repeated,
                           parts_.graph->WasApplied(mutation->request_id));
  if (is_repeated) return absl::OkStatus();
  if (!request.etag().empty() && request.etag() != before.etag()) {
    return absl::AbortedError(absl::StrCat(
        "etag: the lease ", request.id(), " has changed since; read it again"));
  }
  if (!put.targets.empty()) {
    RECLAIM_RETURN_IF_ERROR(
        CheckTargets(CountTargets(before, index::ToProto(put))));
  }
  if (put.expires && *put.expires <= parts_.clock->Now()) {
    return absl::InvalidArgumentError(
        "expire_time: is past; delete the lease to end it");
  }
  return Apply(*mutation);
}

absl::Status LeaseService::Remove(const std::string& store, NodeKind kind,
                                  const std::string& id,
                                  const std::string& request_id,
                                  const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request_id));
  if (kind == NodeKind::kLease) RECLAIM_RETURN_IF_ERROR(CheckId(id));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord found,
                           parts_.stores->Find(store));
  if (kind == NodeKind::kLease) {
    const absl::StatusOr<v1::Lease> lease = Find(found.name, id);
    if (lease.ok()) RECLAIM_RETURN_IF_ERROR(CheckOwner(*lease, caller));
  }
  index::Mutation mutation;
  mutation.request_id = request_id;
  mutation.actor = caller.actor;
  mutation.operations.push_back(index::RemoveNamed{found.name, kind, "", id});
  RECLAIM_ASSIGN_OR_RETURN(
      const index::AppliedMutation applied,
      parts_.graph->Apply(mutation, index::Durability::kDurable));
  if (applied.changed_count > 0 || applied.was_replayed) {
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("there is no ", index::ToString(kind), " ", id));
}

absl::StatusOr<v1::Pin> LeaseService::AddPin(
    const v1::CreatePinRequest& request, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  RECLAIM_RETURN_IF_ERROR(CheckId(request.pin().id()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.pin().store()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutPin put, index::FromProto(request.pin()));
  put.store = store.name;
  RECLAIM_RETURN_IF_ERROR(FillStore(put.store, &put.target));
  if (put.id.empty()) put.id = NewId(parts_, request.request_id());
  index::Mutation mutation;
  mutation.request_id = request.request_id();
  mutation.actor = caller.actor;
  mutation.operations.push_back(put);
  {
    base::MutexLock lock(&mutex_);
    RECLAIM_ASSIGN_OR_RETURN(const bool is_repeated,
                             parts_.graph->WasApplied(mutation.request_id));
    const absl::StatusOr<v1::Pin> before = FindPin(store.name, put.id);
    if (!is_repeated && before.ok() && !IsSame(*before, index::ToProto(put))) {
      return absl::AlreadyExistsError(
          absl::StrCat("the pin ", put.id, " is there; take another id"));
    }
    if (!is_repeated) RECLAIM_RETURN_IF_ERROR(Apply(mutation));
  }
  RECLAIM_RETURN_IF_ERROR(ReadHeldContent(parts_, mutation));
  return FindPin(store.name, put.id);
}

}  // namespace reclaim::rpc
