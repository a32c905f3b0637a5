// Taking, changing and ending leases and pins.

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/mutex.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "index/mutation.h"
#include "index/put_codec.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "reclaim/v1/lease.pb.h"
#include "rpc/call.h"
#include "rpc/held_content.h"
#include "rpc/lease_operations.h"
#include "rpc/lease_service.h"
#include "rpc/operations.h"

namespace reclaim::rpc {
namespace {

using index::NodeKind;

constexpr int kUpdateAttemptMax = 64;

// Of both, each once.
size_t CountTargets(const v1::Lease& there, const v1::Lease& added) {
  std::set<std::string> targets;
  for (const v1::Lease* lease : {&there, &added}) {
    for (const v1::Target& target : lease->targets()) {
      targets.insert(target.SerializeAsString());
    }
  }
  return targets.size();
}

// The same request gets the same name.
std::string NewId(const ServiceParts& parts, const std::string& request_id) {
  if (request_id.empty()) return base::RandomId(parts.random);
  return absl::StrCat("r-", oci::Digest::Sha256Of(request_id).Short());
}

// Leases protect what their owners rely on: nobody else moves one.
absl::Status CheckOwner(const v1::Lease& lease, const Caller& caller) {
  if (lease.owner() == caller.actor) return absl::OkStatus();
  return Require(caller, Role::kAdmin,
                 absl::StrCat("a lease of ", lease.owner()));
}

}  // namespace

absl::StatusOr<v1::Lease> LeaseService::Create(
    const v1::CreateLeaseRequest& request, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutLease put, ReadLease(request.lease()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(put.store));
  put.store = store.name;
  if (put.id.empty()) put.id = NewId(parts_, request.request_id());
  const std::string id = put.id;
  RECLAIM_RETURN_IF_ERROR(
      Apply(request.request_id(), std::move(put), caller).status());
  return Find(store.name, id);
}

absl::StatusOr<index::AppliedMutation> LeaseService::Apply(
    const std::string& request_id, index::Operation operation,
    const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(Assign(caller, &operation));
  index::Mutation mutation;
  mutation.request_id = request_id;
  mutation.actor = caller.actor;
  mutation.operations.push_back(std::move(operation));
  return ApplyAssigned(mutation);
}

absl::StatusOr<index::AppliedMutation> LeaseService::ApplyAssigned(
    const index::Mutation& mutation) {
  RECLAIM_RETURN_IF_ERROR(CheckHeld(parts_, mutation));
  auto applied = parts_.graph->Apply(mutation, index::Durability::kDurable);
  absl::string_view message = applied.status().message();
  if (absl::ConsumePrefix(&message, "operations[0].")) {
    // The caller knows of no list.
    return absl::Status(applied.status().code(), message);
  }
  RECLAIM_RETURN_IF_ERROR(applied.status());
  RECLAIM_RETURN_IF_ERROR(ReadHeldContent(parts_, mutation));
  return applied;
}

absl::StatusOr<v1::Lease> LeaseService::Update(
    const v1::UpdateLeaseRequest& request, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  RECLAIM_RETURN_IF_ERROR(
      CheckTargetCount(static_cast<size_t>(request.add_targets_size())));
  RECLAIM_RETURN_IF_ERROR(CheckLeaseId(request.id()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.store()));
  absl::Status status;
  std::optional<base::MutexLock> turn;
  for (int attempt = 0; attempt < kUpdateAttemptMax; ++attempt) {
    // Who has lost once waits for the others who have: then each round has one
    // winner, and nobody loses to all of them.
    if (attempt > 0 && !turn) turn.emplace(&losers_);
    RECLAIM_ASSIGN_OR_RETURN(const v1::Lease before,
                             Find(store.name, request.id()));
    status = Change(request, before, caller);
    // Who gave an etag wants to know that another has changed it between.
    if (!absl::IsAborted(status) || !request.etag().empty()) break;
    const absl::StatusOr<v1::Lease> now = Find(store.name, request.id());
    if (now.ok() && now->etag() == before.etag()) break;
  }
  RECLAIM_RETURN_IF_ERROR(status);
  return Find(store.name, request.id());
}

absl::Status LeaseService::Change(const v1::UpdateLeaseRequest& request,
                                  const v1::Lease& before,
                                  const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckOwner(before, caller));
  v1::Lease lease = before;
  // The graph adds these to the targets that it has.
  *lease.mutable_targets() = request.add_targets();
  if (request.has_expire_time()) {
    *lease.mutable_expire_time() = request.expire_time();
  }
  RECLAIM_ASSIGN_OR_RETURN(index::PutLease put, index::FromProto(lease));
  RECLAIM_RETURN_IF_ERROR(FillTargets(&put));
  put.etag = before.etag();
  index::Mutation mutation;
  mutation.request_id = request.request_id();
  mutation.actor = caller.actor;
  mutation.operations.push_back(put);
  // What was answered is answered again, whatever has come since.
  RECLAIM_ASSIGN_OR_RETURN(const bool is_repeated,
                           parts_.graph->WasApplied(mutation.request_id));
  if (is_repeated) return ReadHeldContent(parts_, mutation);
  if (!request.etag().empty() && request.etag() != before.etag()) {
    return absl::AbortedError(absl::StrCat(
        "etag: the lease ", request.id(), " has changed since; read it again"));
  }
  if (!put.targets.empty()) {
    RECLAIM_RETURN_IF_ERROR(
        CheckTargetCount(CountTargets(before, index::ToProto(put))));
  }
  if (put.expires && *put.expires <= parts_.clock->Now()) {
    return absl::InvalidArgumentError(
        "expire_time: is past; delete the lease to end it");
  }
  return ApplyAssigned(mutation).status();
}

absl::Status LeaseService::Remove(const std::string& store, NodeKind kind,
                                  const std::string& id,
                                  const std::string& request_id,
                                  const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request_id));
  RECLAIM_ASSIGN_OR_RETURN(index::RemoveNamed remove,
                           ReadRemoval(kind, store, id));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord found,
                           parts_.stores->Find(store));
  remove.store = found.name;
  RECLAIM_ASSIGN_OR_RETURN(const index::AppliedMutation applied,
                           Apply(request_id, std::move(remove), caller));
  if (applied.changed_count > 0 || applied.was_replayed) {
    return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("there is no ", index::ToString(kind), " ", id));
}

absl::StatusOr<v1::Pin> LeaseService::AddPin(
    const v1::CreatePinRequest& request, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutPin put, ReadPin(request.pin()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(put.store));
  put.store = store.name;
  if (put.id.empty()) put.id = NewId(parts_, request.request_id());
  const std::string id = put.id;
  RECLAIM_RETURN_IF_ERROR(
      Apply(request.request_id(), std::move(put), caller).status());
  return FindPin(store.name, id);
}

}  // namespace reclaim::rpc
