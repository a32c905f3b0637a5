#include "rpc/lease_service.h"

#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "index/put_codec.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/held_content.h"
#include "rpc/held_place.h"
#include "rpc/named_page.h"
#include "rpc/operations.h"
#include "store/engine_facts.h"

namespace reclaim::rpc {
namespace {

using index::NodeId;
using index::NodeKind;

constexpr int kTargetCountMax = 10000;
constexpr size_t kIdBytesMax = 256;

// A fingerprint of what stands: any change gives another.
std::string EtagOf(const v1::Lease& lease) {
  v1::Lease plain = lease;
  plain.clear_etag();
  return oci::Digest::Sha256Of(plain.SerializeAsString()).Short();
}

v1::Lease Finish(const index::PutLease& put, absl::Time created) {
  v1::Lease lease = index::ToProto(put);
  SetTime(created, [&] { return lease.mutable_create_time(); });
  lease.set_etag(EtagOf(lease));
  return lease;
}

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

// One page of the names of a kind.
struct NamePage {
  std::string store;
  std::vector<std::string> names;
  std::string next_token;
};

template <typename Request>
absl::StatusOr<NamePage> ReadNames(const ServiceParts& parts,
                                   const Request& request, NodeKind kind) {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts.stores->Find(request.store()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(const std::string position,
                           parts.tokens->Read(arguments, request.page_token()));
  NamePage names;
  names.store = store.name;
  const auto reader = parts.graph->Read();
  const NodePage page = ReadPage(reader->view(), {store.id, kind, ""}, position,
                                 static_cast<size_t>(size));
  for (const NodeId id : page.ids) {
    names.names.push_back(reader->view().named_key(id).name);
  }
  if (!page.next.empty()) {
    names.next_token = parts.tokens->Make(arguments, page.next);
  }
  return names;
}

absl::Status NoLease(const std::string& id) {
  return absl::NotFoundError(
      absl::StrCat("there is no lease ", id, ", or it has expired"));
}

// Leases protect what their owners rely on: nobody else ends or moves one.
absl::Status CheckOwner(const v1::Lease& lease, const Caller& caller) {
  if (lease.owner() == caller.actor) return absl::OkStatus();
  return Require(caller, Role::kAdmin,
                 absl::StrCat("a lease of ", lease.owner()));
}

}  // namespace

absl::StatusOr<v1::Lease> LeaseService::Find(const std::string& store,
                                             const std::string& id) const {
  NodeId node = index::kNoNode;
  absl::Time created;
  {
    const auto reader = parts_.graph->Read();
    const index::GraphView& view = reader->view();
    node = view.FindNamed({NodeKind::kLease, view.FindStore(store), "", id});
    if (node == index::kNoNode) return NoLease(id);
    const index::NodeFields fields = view.fields(node);
    if (fields.expires < parts_.clock->Now()) return NoLease(id);
    created = fields.recorded;
  }
  RECLAIM_ASSIGN_OR_RETURN(const index::NamedRecord record,
                           parts_.graph->GetNamed(node));
  return Finish(std::get<index::PutLease>(record), created);
}

grpc::Status LeaseService::CreateLease(grpc::ServerContext* context,
                                       const v1::CreateLeaseRequest* request,
                                       v1::Lease* response) {
  return CallFor(
      parts_, context, {"LeaseService/CreateLease", *request}, response,
      [&](const Caller& caller) { return Create(*request, caller); });
}

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
  RECLAIM_RETURN_IF_ERROR(FillPlaces(parts_, &put));
  if (put.expires && *put.expires <= parts_.clock->Now()) {
    return absl::InvalidArgumentError("expire_time: is past");
  }
  base::MutexLock lock(&mutex_);
  if (put.id.empty()) put.id = NewId(parts_, request.request_id());
  index::Mutation mutation;
  mutation.request_id = request.request_id();
  mutation.actor = caller.actor;
  const absl::StatusOr<v1::Lease> before = Find(store.name, put.id);
  if (before.ok()) {
    // A repeated request finds its own lease.
    if (IsSame(*before, index::ToProto(put))) {
      mutation.operations.push_back(put);
      RECLAIM_RETURN_IF_ERROR(ReadHeldContent(parts_, mutation));
      return before;
    }
    return absl::AlreadyExistsError(absl::StrCat(
        "the lease ", put.id, " is there; update it, or take another id"));
  }
  // An expired one of the same name gives its targets back first.
  mutation.operations.push_back(
      index::RemoveNamed{store.name, NodeKind::kLease, "", put.id});
  mutation.operations.push_back(put);
  RECLAIM_RETURN_IF_ERROR(Hold(parts_, mutation));
  return Find(store.name, put.id);
}

grpc::Status LeaseService::UpdateLease(grpc::ServerContext* context,
                                       const v1::UpdateLeaseRequest* request,
                                       v1::Lease* response) {
  return CallFor(
      parts_, context, {"LeaseService/UpdateLease", *request}, response,
      [&](const Caller& caller) { return Update(*request, caller); });
}

absl::StatusOr<v1::Lease> LeaseService::Update(
    const v1::UpdateLeaseRequest& request, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  RECLAIM_RETURN_IF_ERROR(CheckTargets(request.add_targets_size()));
  RECLAIM_RETURN_IF_ERROR(CheckId(request.id()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.store()));
  base::MutexLock lock(&mutex_);
  RECLAIM_ASSIGN_OR_RETURN(v1::Lease lease, Find(store.name, request.id()));
  RECLAIM_RETURN_IF_ERROR(CheckOwner(lease, caller));
  if (!request.etag().empty() && request.etag() != lease.etag()) {
    return absl::AbortedError(absl::StrCat(
        "etag: the lease ", request.id(), " has changed since; read it again"));
  }
  // The graph adds these to the targets that it has.
  lease.clear_targets();
  *lease.mutable_targets() = request.add_targets();
  if (request.has_expire_time()) {
    *lease.mutable_expire_time() = request.expire_time();
  }
  RECLAIM_ASSIGN_OR_RETURN(index::PutLease put, index::FromProto(lease));
  RECLAIM_RETURN_IF_ERROR(FillPlaces(parts_, &put));
  if (put.expires && *put.expires <= parts_.clock->Now()) {
    return absl::InvalidArgumentError(
        "expire_time: is past; delete the lease to end it");
  }
  index::Mutation mutation;
  mutation.request_id = request.request_id();
  mutation.actor = caller.actor;
  mutation.operations.push_back(std::move(put));
  RECLAIM_RETURN_IF_ERROR(Hold(parts_, mutation));
  return Find(store.name, request.id());
}

absl::Status LeaseService::Remove(const std::string& store, NodeKind kind,
                                  const std::string& id,
                                  const std::string& request_id,
                                  const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request_id));
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

grpc::Status LeaseService::DeleteLease(grpc::ServerContext* context,
                                       const v1::DeleteLeaseRequest* request,
                                       v1::DeleteLeaseResponse*) {
  return Call(parts_, context, {"LeaseService/DeleteLease", *request},
              [&](const Caller& caller) -> absl::Status {
                RECLAIM_RETURN_IF_ERROR(CheckId(request->id()));
                return Remove(request->store(), NodeKind::kLease, request->id(),
                              request->request_id(), caller);
              });
}

grpc::Status LeaseService::GetLease(grpc::ServerContext* context,
                                    const v1::GetLeaseRequest* request,
                                    v1::Lease* response) {
  return CallFor(parts_, context, "LeaseService/GetLease", response,
                 [&](const Caller&) -> absl::StatusOr<v1::Lease> {
                   RECLAIM_ASSIGN_OR_RETURN(
                       const index::StoreRecord store,
                       parts_.stores->Find(request->store()));
                   return Find(store.name, request->id());
                 });
}

grpc::Status LeaseService::ListLeases(grpc::ServerContext* context,
                                      const v1::ListLeasesRequest* request,
                                      v1::ListLeasesResponse* response) {
  return CallFor(parts_, context, "LeaseService/ListLeases", response,
                 [&](const Caller&) { return Leases(*request); });
}

absl::StatusOr<v1::ListLeasesResponse> LeaseService::Leases(
    const v1::ListLeasesRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const NamePage page,
                           ReadNames(parts_, request, NodeKind::kLease));
  v1::ListLeasesResponse response;
  for (const std::string& id : page.names) {
    absl::StatusOr<v1::Lease> lease = Find(page.store, id);
    // Expired ones are no leases; others may have gone meanwhile.
    if (lease.ok()) *response.add_leases() = *std::move(lease);
  }
  response.set_next_page_token(page.next_token);
  return response;
}

absl::StatusOr<v1::Pin> LeaseService::FindPin(const std::string& store,
                                              const std::string& id) const {
  NodeId node = index::kNoNode;
  absl::Time created;
  {
    const auto reader = parts_.graph->Read();
    const index::GraphView& view = reader->view();
    node = view.FindNamed({NodeKind::kPin, view.FindStore(store), "", id});
    if (node == index::kNoNode) {
      return absl::NotFoundError(absl::StrCat("there is no pin ", id));
    }
    created = view.fields(node).recorded;
  }
  RECLAIM_ASSIGN_OR_RETURN(const index::NamedRecord record,
                           parts_.graph->GetNamed(node));
  v1::Pin pin = index::ToProto(std::get<index::PutPin>(record));
  SetTime(created, [&] { return pin.mutable_create_time(); });
  return pin;
}

grpc::Status LeaseService::CreatePin(grpc::ServerContext* context,
                                     const v1::CreatePinRequest* request,
                                     v1::Pin* response) {
  return CallFor(
      parts_, context, {"LeaseService/CreatePin", *request}, response,
      [&](const Caller& caller) { return AddPin(*request, caller); });
}

absl::StatusOr<v1::Pin> LeaseService::AddPin(
    const v1::CreatePinRequest& request, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  RECLAIM_RETURN_IF_ERROR(CheckId(request.pin().id()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.pin().store()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutPin put, index::FromProto(request.pin()));
  put.store = store.name;
  RECLAIM_RETURN_IF_ERROR(FillPlaces(parts_, &put));
  base::MutexLock lock(&mutex_);
  if (put.id.empty()) put.id = NewId(parts_, request.request_id());
  index::Mutation mutation;
  mutation.request_id = request.request_id();
  mutation.actor = caller.actor;
  // A repeated request puts what is there.
  const absl::StatusOr<v1::Pin> before = FindPin(store.name, put.id);
  if (before.ok() && !IsSame(*before, index::ToProto(put))) {
    return absl::AlreadyExistsError(
        absl::StrCat("the pin ", put.id, " is there; take another id"));
  }
  mutation.operations.push_back(put);
  RECLAIM_RETURN_IF_ERROR(Hold(parts_, mutation));
  return FindPin(store.name, put.id);
}

grpc::Status LeaseService::DeletePin(grpc::ServerContext* context,
                                     const v1::DeletePinRequest* request,
                                     v1::DeletePinResponse*) {
  return Call(parts_, context, {"LeaseService/DeletePin", *request},
              [&](const Caller& caller) {
                return Remove(request->store(), NodeKind::kPin, request->id(),
                              request->request_id(), caller);
              });
}

grpc::Status LeaseService::ListPins(grpc::ServerContext* context,
                                    const v1::ListPinsRequest* request,
                                    v1::ListPinsResponse* response) {
  return CallFor(parts_, context, "LeaseService/ListPins", response,
                 [&](const Caller&) { return Pins(*request); });
}

absl::StatusOr<v1::ListPinsResponse> LeaseService::Pins(
    const v1::ListPinsRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const NamePage page,
                           ReadNames(parts_, request, NodeKind::kPin));
  v1::ListPinsResponse response;
  for (const std::string& id : page.names) {
    absl::StatusOr<v1::Pin> pin = FindPin(page.store, id);
    if (pin.ok()) *response.add_pins() = *std::move(pin);
  }
  response.set_next_page_token(page.next_token);
  return response;
}

}  // namespace reclaim::rpc
