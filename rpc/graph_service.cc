#include "rpc/graph_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "index/put_codec.h"
#include "rpc/audit_call.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/explanation.h"
#include "rpc/held_content.h"
#include "rpc/lease_operations.h"
#include "rpc/named_page.h"
#include "rpc/node_details.h"
#include "rpc/operations.h"
#include "rpc/page_bytes.h"

namespace reclaim::rpc {
namespace {

using index::Durability;
using index::NodeId;
using index::NodeKind;

constexpr int kCheckCountMax = 10000;
constexpr size_t kCheckedAtOnce = 500;
constexpr int kNeighbourMax = 1000;
constexpr int kStreamProblemMax = 100;
constexpr char kRecord[] = "GraphService/Record";
constexpr char kRecordStream[] = "GraphService/RecordStream";

// What somebody relies on, a lease or pin, is on the disk before he is
// answered.
bool NeedsSync(const v1::RecordRequest& request) {
  return !request.relaxed() ||
         std::any_of(request.operations().begin(), request.operations().end(),
                     [](const v1::Operation& operation) {
                       return FindLeaseOperation(operation) != nullptr;
                     });
}

absl::StatusOr<NodeId> FindRequested(const index::GraphView& view,
                                     const v1::GetNodeRequest& request,
                                     index::StoreId store) {
  NodeId id = index::kNoNode;
  if (request.has_content()) {
    RECLAIM_ASSIGN_OR_RETURN(const index::ContentName name,
                             index::FromProto(request.content()));
    id = view.FindContent(view.FindPlace(store, name.place), name.digest);
  } else {
    RECLAIM_ASSIGN_OR_RETURN(const NodeKind kind,
                             index::FromProto(request.named().kind()));
    id = view.FindNamed(
        {kind, store, request.named().scope(), request.named().name()});
  }
  if (id != index::kNoNode) return id;
  return absl::NotFoundError(
      "the store has no such node; `reclaim why` finds nodes by part of a "
      "digest");
}

// In the order of the ids: content has no name, and to sort millions of digests
// for each page would cost more than a page is worth.
NodePage ContentPage(const index::GraphView& view, index::StoreId store,
                     NodeKind kind, const std::string& position, size_t size) {
  NodePage page;
  NodeId begin = 0;
  if (!absl::SimpleAtoi(position, &begin)) begin = 0;
  for (NodeId id = begin; id < view.node_count(); ++id) {
    if ((id - begin) % 4096 == 4095) view.Yield();
    if (!view.Exists(id) || view.kind(id) != kind ||
        view.fields(id).store != store) {
      continue;
    }
    if (page.ids.size() == size) {
      page.next = absl::StrCat(id);
      break;
    }
    page.ids.push_back(id);
    page.behind.push_back(absl::StrCat(id + 1));
  }
  return page;
}

}  // namespace

grpc::Status GraphService::Record(grpc::ServerContext* context,
                                  const v1::RecordRequest* request,
                                  v1::RecordResponse* response) {
  return CallFor(parts_, context, kRecord, response, [&](const Caller& caller) {
    return RecordOne(
        *request,
        NeedsSync(*request) ? Durability::kDurable : Durability::kBuffered,
        kRecord, caller);
  });
}

absl::StatusOr<v1::RecordResponse> GraphService::RecordOne(
    const v1::RecordRequest& request, Durability durability, const char* method,
    const Caller& caller) const {
  absl::StatusOr<v1::RecordResponse> response =
      ApplyOne(request, durability, method, caller);
  AuditBatchEnd(parts_, caller, method, request, response.status());
  return response;
}

absl::StatusOr<v1::RecordResponse> GraphService::ApplyOne(
    const v1::RecordRequest& request, Durability durability, const char* method,
    const Caller& caller) const {
  RECLAIM_RETURN_IF_ERROR(CheckRoles(caller, request));
  RECLAIM_ASSIGN_OR_RETURN(index::Mutation mutation, MakeMutation(request));
  if (LacksStore(mutation)) {
    RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord only,
                             parts_.stores->Find(""));
    FillStore(only.name, &mutation);
  }
  RECLAIM_RETURN_IF_ERROR(AssignAll(caller, &mutation));
  RECLAIM_RETURN_IF_ERROR(AuditBatchBegin(parts_, caller, method, request));
  RECLAIM_RETURN_IF_ERROR(CheckHeld(parts_, mutation));
  mutation.actor = caller.actor;
  RECLAIM_ASSIGN_OR_RETURN(const index::AppliedMutation applied,
                           parts_.graph->Apply(mutation, durability));
  RECLAIM_RETURN_IF_ERROR(ReadHeldContent(parts_, mutation));
  v1::RecordResponse response;
  response.set_sequence(applied.sequence);
  response.set_changed_count(applied.changed_count);
  response.set_was_replayed(applied.was_replayed);
  for (const std::string& problem : applied.problems) {
    response.add_problems(problem);
  }
  return response;
}

grpc::Status GraphService::RecordStream(
    grpc::ServerContext* context,
    grpc::ServerReader<v1::RecordRequest>* requests,
    v1::RecordStreamResponse* response) {
  return Call(
      parts_, context, kRecordStream,
      [&](const Caller& caller) -> absl::Status {
        v1::RecordRequest request;
        uint64_t count = 0;
        bool needs_sync = false;
        while (requests->Read(&request)) {
          needs_sync |= NeedsSync(request);
          const auto one =
              RecordOne(request, Durability::kBuffered, kRecordStream, caller);
          if (!one.ok()) {
            RECLAIM_RETURN_IF_ERROR(parts_.graph->AwaitDurable());
            return absl::Status(
                one.status().code(),
                absl::StrCat("request ", count, " (the ", count,
                             " before it stand): ", one.status().message()));
          }
          ++count;
          response->set_sequence(one->sequence());
          response->set_changed_count(response->changed_count() +
                                      one->changed_count());
          for (const std::string& problem : one->problems()) {
            if (response->problems_size() == kStreamProblemMax) break;
            response->add_problems(problem);
          }
        }
        response->set_request_count(count);
        // One sync for all of them.
        return needs_sync ? parts_.graph->AwaitDurable() : absl::OkStatus();
      });
}

grpc::Status GraphService::CheckBlobs(grpc::ServerContext* context,
                                      const v1::CheckBlobsRequest* request,
                                      v1::CheckBlobsResponse* response) {
  return CallFor(
      parts_, context, "GraphService/CheckBlobs", response,
      [&](const Caller& caller) { return CheckAll(*request, caller); });
}

absl::StatusOr<v1::CheckBlobsResponse> GraphService::CheckAll(
    const v1::CheckBlobsRequest& request, const Caller& caller) const {
  if (request.names_size() > kCheckCountMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("names: ", request.names_size(), " are more than ",
                     kCheckCountMax, "; send them in several requests"));
  }
  v1::CheckBlobsResponse response;
  std::vector<index::ContentName> names;
  for (int i = 0; i < request.names_size(); ++i) {
    auto name = index::FromProto(request.names(i));
    if (!name.ok()) {
      return absl::Status(
          name.status().code(),
          absl::StrCat("names[", i, "].", name.status().message()));
    }
    if (name->store.empty()) {
      RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord only,
                               parts_.stores->Find(""));
      name->store = only.name;
    }
    names.push_back(*std::move(name));
  }
  // In steps, so that no other writer waits for long.
  const absl::Span<const index::ContentName> all = names;
  for (size_t i = 0; i < all.size(); i += kCheckedAtOnce) {
    if (caller.is_cancelled()) return absl::CancelledError("cancelled");
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<bool> exist,
                             parts_.graph->CheckExists(
                                 all.subspan(i, kCheckedAtOnce), caller.actor));
    for (const bool exists : exist) response.add_exists(exists);
  }
  return response;
}

grpc::Status GraphService::GetNode(grpc::ServerContext* context,
                                   const v1::GetNodeRequest* request,
                                   v1::GetNodeResponse* response) {
  return CallFor(parts_, context, "GraphService/GetNode", response,
                 [&](const Caller&) { return Get(*request); });
}

absl::StatusOr<v1::GetNodeResponse> GraphService::Get(
    const v1::GetNodeRequest& request) const {
  if (!request.has_content() && !request.has_named()) {
    return absl::InvalidArgumentError("node: neither content nor named");
  }
  RECLAIM_ASSIGN_OR_RETURN(
      const index::StoreRecord store,
      parts_.stores->Find(request.has_content() ? request.content().store()
                                                : request.named().store()));
  v1::GetNodeResponse response;
  NodeId id = index::kNoNode;
  {
    const auto reader = parts_.graph->Read();
    const index::GraphView& view = reader->view();
    RECLAIM_ASSIGN_OR_RETURN(id, FindRequested(view, request, store.id));
    *response.mutable_node() = MakeNode(*reader, id);
    const auto add = [&](absl::Span<const NodeId> neighbours, auto* nodes) {
      for (const NodeId neighbour : neighbours) {
        if (nodes->size() == kNeighbourMax) return;
        // A container still has the id of a volume that has gone.
        if (!view.Exists(neighbour)) continue;
        *nodes->Add() = MakeNode(*reader, neighbour);
      }
    };
    add(view.Kept(id), response.mutable_kept());
    add(view.Referrers(id), response.mutable_referrers());
    view.ForEachRepositoryOf(id, [&](NodeId repository) {
      response.add_repositories(view.named_key(repository).name);
      return response.repositories_size() < kNeighbourMax;
    });
  }
  AddDetails(*parts_.graph, id, response.mutable_node());
  return response;
}

grpc::Status GraphService::ListNodes(grpc::ServerContext* context,
                                     const v1::ListNodesRequest* request,
                                     v1::ListNodesResponse* response) {
  return CallFor(parts_, context, "GraphService/ListNodes", response,
                 [&](const Caller&) { return List(*request); });
}

absl::StatusOr<v1::ListNodesResponse> GraphService::List(
    const v1::ListNodesRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.store()));
  RECLAIM_ASSIGN_OR_RETURN(const NodeKind kind,
                           index::FromProto(request.kind()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string position,
      parts_.tokens->Read(arguments, request.page_token()));
  v1::ListNodesResponse response;
  NodePage page;
  {
    const auto reader = parts_.graph->Read();
    page = IsContent(kind)
               ? ContentPage(reader->view(), store.id, kind, position,
                             static_cast<size_t>(size))
               : ReadPage(reader->view(), {store.id, kind, request.scope()},
                          position, static_cast<size_t>(size));
    for (const NodeId id : page.ids) {
      *response.add_nodes() = MakeNode(*reader, id);
    }
  }
  PageBytes bytes;
  for (int i = 0; i < response.nodes_size(); ++i) {
    const size_t at = static_cast<size_t>(i);
    AddDetails(*parts_.graph, page.ids[at], response.mutable_nodes(i));
    if (bytes.Take(response.nodes(i))) continue;
    response.mutable_nodes()->DeleteSubrange(i, response.nodes_size() - i);
    page.next = page.behind[at - 1];
  }
  if (!page.next.empty()) {
    response.set_next_page_token(parts_.tokens->Make(arguments, page.next));
  }
  return response;
}

grpc::Status GraphService::Explain(grpc::ServerContext* context,
                                   const v1::ExplainRequest* request,
                                   v1::ExplainResponse* response) {
  return CallFor(
      parts_, context, "GraphService/Explain", response,
      [&](const Caller&) { return MakeExplanation(parts_, *request); });
}

}  // namespace reclaim::rpc
