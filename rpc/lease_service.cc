#include "rpc/lease_service.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/put_codec.h"
#include "index/reference_graph.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/named_page.h"
#include "rpc/page_bytes.h"

namespace reclaim::rpc {
namespace {

using index::NodeId;
using index::NodeKind;

v1::Lease Finish(const index::PutLease& put, absl::Time created) {
  v1::Lease lease = index::ToProto(put);
  SetTime(created, [&] { return lease.mutable_create_time(); });
  lease.set_etag(index::LeaseEtag(lease));
  return lease;
}

// One page of the names of a kind.
struct NamePage {
  std::string store;
  std::vector<std::string> names;
  std::vector<std::string> behind;  // as in NodePage
  std::string arguments;
  std::string next;
};

template <typename Request>
absl::StatusOr<NamePage> ReadNames(const ServiceParts& parts,
                                   const Request& request, NodeKind kind) {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts.stores->Find(request.store()));
  NamePage names;
  names.store = store.name;
  names.arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string position,
      parts.tokens->Read(names.arguments, request.page_token()));
  const auto reader = parts.graph->Read();
  NodePage page = ReadPage(reader->view(), {store.id, kind, ""}, position,
                           static_cast<size_t>(size));
  for (const NodeId id : page.ids) {
    names.names.push_back(reader->view().named_key(id).name);
  }
  names.behind = std::move(page.behind);
  names.next = std::move(page.next);
  return names;
}

// Puts what `find` reads by each name into `rows` of the response.
template <typename Response, typename Request, typename Find, typename Rows>
absl::StatusOr<Response> ListNamed(const ServiceParts& parts,
                                   const Request& request, NodeKind kind,
                                   Find find, Rows rows) {
  RECLAIM_ASSIGN_OR_RETURN(NamePage page, ReadNames(parts, request, kind));
  Response response;
  PageBytes bytes;
  for (size_t i = 0; i < page.names.size(); ++i) {
    auto row = find(page.store, page.names[i]);
    // Expired leases are none; others may have gone meanwhile.
    if (absl::IsNotFound(row.status())) continue;
    RECLAIM_RETURN_IF_ERROR(row.status());
    if (!bytes.Take(*row)) {
      page.next = page.behind[i - 1];
      break;
    }
    *rows(&response)->Add() = *std::move(row);
  }
  if (!page.next.empty()) {
    response.set_next_page_token(parts.tokens->Make(page.arguments, page.next));
  }
  return response;
}

absl::Status NoLease(const std::string& id) {
  return absl::NotFoundError(
      absl::StrCat("there is no lease ", id, ", or it has expired"));
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

grpc::Status LeaseService::UpdateLease(grpc::ServerContext* context,
                                       const v1::UpdateLeaseRequest* request,
                                       v1::Lease* response) {
  return CallFor(
      parts_, context, {"LeaseService/UpdateLease", *request}, response,
      [&](const Caller& caller) { return Update(*request, caller); });
}

grpc::Status LeaseService::DeleteLease(grpc::ServerContext* context,
                                       const v1::DeleteLeaseRequest* request,
                                       v1::DeleteLeaseResponse*) {
  return Call(parts_, context, {"LeaseService/DeleteLease", *request},
              [&](const Caller& caller) {
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
  return ListNamed<v1::ListLeasesResponse>(
      parts_, request, NodeKind::kLease,
      [this](const std::string& store, const std::string& id) {
        return Find(store, id);
      },
      [](v1::ListLeasesResponse* page) { return page->mutable_leases(); });
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
  return ListNamed<v1::ListPinsResponse>(
      parts_, request, NodeKind::kPin,
      [this](const std::string& store, const std::string& id) {
        return FindPin(store, id);
      },
      [](v1::ListPinsResponse* page) { return page->mutable_pins(); });
}

}  // namespace reclaim::rpc
