#include "rpc/store_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/operations.h"
#include "rpc/page_bytes.h"
#include "rpc/run_starter.h"
#include "rpc/store_condition.h"

namespace reclaim::rpc {

namespace {

absl::StatusOr<index::WriterTerms> WritersOf(
    const v1::RegisterStoreRequest& request) {
  index::WriterTerms terms;
  if (request.has_write_duration_max()) {
    terms.write_duration_max = FromProto(request.write_duration_max());
  }
  switch (request.descriptor_cache()) {
    case v1::DESCRIPTOR_CACHE_UNSPECIFIED:
      break;
    case v1::DESCRIPTOR_CACHE_NONE:
      terms.descriptor_cache = index::DescriptorCache::kNone;
      break;
    case v1::DESCRIPTOR_CACHE_MEMORY:
      terms.descriptor_cache = index::DescriptorCache::kMemory;
      break;
    default:
      return absl::InvalidArgumentError(
          "descriptor_cache: is none that this version knows");
  }
  terms.registry_url = request.registry_url();
  return terms;
}

}  // namespace

v1::Store StoreService::Describe(const index::StoreRecord& record) const {
  v1::Store out;
  out.set_name(record.name);
  out.set_uri(record.uri);
  out.set_kind(store::ToString(record.kind));
  out.set_is_read_only(record.is_read_only);
  out.set_knows_containers(record.knows_containers);
  SetTime(record.last_scan_begin, [&] { return out.mutable_last_scan_time(); });
  *out.mutable_write_duration_max() =
      ToProto(record.writers.write_duration_max);
  out.set_descriptor_cache(
      static_cast<v1::DescriptorCache>(record.writers.descriptor_cache));
  out.set_registry_url(record.writers.registry_url);
  out.set_run_id(parts_.collector->ActingRun(record.name));
  const StoreCondition condition = ConditionOf(parts_, record);
  out.set_state(condition.state);
  if (condition.traits) {
    out.set_has_quarantine(condition.traits->has_quarantine &&
                           !condition.traits->is_read_only);
    out.set_knows_containers(record.knows_containers ||
                             condition.traits->knows_containers);
  }
  if (condition.capacity) {
    out.set_capacity_bytes(condition.capacity->capacity_bytes);
    out.set_available_bytes(condition.capacity->available_bytes);
  }
  return out;
}

grpc::Status StoreService::RegisterStore(
    grpc::ServerContext* context, const v1::RegisterStoreRequest* request,
    v1::Store* response) {
  return CallFor(
      parts_, context, {"StoreService/RegisterStore", *request}, response,
      [&](const Caller&) -> absl::StatusOr<v1::Store> {
        // Registering is idempotent by name and path.
        RECLAIM_RETURN_IF_ERROR(CheckRequestId(request->request_id()));
        RECLAIM_ASSIGN_OR_RETURN(const index::WriterTerms writers,
                                 WritersOf(*request));
        RECLAIM_ASSIGN_OR_RETURN(
            const index::StoreRecord record,
            parts_.stores->Register({request->name(), request->uri(),
                                     request->is_read_only(),
                                     request->knows_containers(), writers}));
        return Describe(record);
      });
}

grpc::Status StoreService::ForgetStore(grpc::ServerContext* context,
                                       const v1::ForgetStoreRequest* request,
                                       v1::ForgetStoreResponse*) {
  return Call(parts_, context, {"StoreService/ForgetStore", *request},
              [&](const Caller&) -> absl::Status {
                if (request->name().empty()) {
                  return absl::InvalidArgumentError("name: is empty");
                }
                return parts_.stores->Forget(request->name());
              });
}

grpc::Status StoreService::ListStores(grpc::ServerContext* context,
                                      const v1::ListStoresRequest* request,
                                      v1::ListStoresResponse* response) {
  return CallFor(parts_, context, "StoreService/ListStores", response,
                 [&](const Caller&) { return Stores(*request); });
}

absl::StatusOr<v1::ListStoresResponse> StoreService::Stores(
    const v1::ListStoresRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string after,
      parts_.tokens->Read(arguments, request.page_token()));
  uint64_t last_id = 0;
  const bool is_first = !absl::SimpleAtoi(after, &last_id);
  v1::ListStoresResponse response;
  PageBytes bytes;
  for (const index::StoreRecord& record : parts_.graph->Stores()) {
    if (!is_first && record.id <= last_id) continue;
    v1::Store row = Describe(record);
    if (response.stores_size() == size || !bytes.Take(row)) {
      response.set_next_page_token(
          parts_.tokens->Make(arguments, absl::StrCat(last_id)));
      break;
    }
    last_id = record.id;
    *response.add_stores() = std::move(row);
  }
  return response;
}

grpc::Status StoreService::GetStore(grpc::ServerContext* context,
                                    const v1::GetStoreRequest* request,
                                    v1::Store* response) {
  return CallFor(parts_, context, "StoreService/GetStore", response,
                 [&](const Caller&) -> absl::StatusOr<v1::Store> {
                   RECLAIM_ASSIGN_OR_RETURN(
                       const index::StoreRecord record,
                       parts_.stores->Find(request->name()));
                   return Describe(record);
                 });
}

grpc::Status StoreService::ConfirmLoss(grpc::ServerContext* context,
                                       const v1::ConfirmLossRequest* request,
                                       v1::ConfirmLossResponse* response) {
  return CallFor(
      parts_, context, {"StoreService/ConfirmLoss", *request}, response,
      [&](const Caller&) -> absl::StatusOr<v1::ConfirmLossResponse> {
        // Confirming is idempotent.
        RECLAIM_RETURN_IF_ERROR(CheckRequestId(request->request_id()));
        v1::ConfirmLossResponse confirmed;
        const auto loss = parts_.graph->UnconfirmedLoss();
        if (!loss) return confirmed;
        RECLAIM_RETURN_IF_ERROR(parts_.graph->ConfirmLoss());
        SetTime(loss->found, [&] { return confirmed.mutable_found_time(); });
        confirmed.set_why(loss->why);
        return confirmed;
      });
}

grpc::Status StoreService::ScanStore(grpc::ServerContext* context,
                                     const v1::ScanStoreRequest* request,
                                     v1::Run* response) {
  return CallFor(
      parts_, context, {"StoreService/ScanStore", *request}, response,
      [&](const Caller& caller) -> absl::StatusOr<v1::Run> {
        RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord record,
                                 parts_.stores->Find(request->name()));
        const auto begin = [&]() -> absl::StatusOr<std::string> {
          RECLAIM_ASSIGN_OR_RETURN(
              const gc::Run run,
              StartScan(parts_, record.name, request->from_nothing(), caller));
          return run.id;
        };
        RECLAIM_ASSIGN_OR_RETURN(
            const std::string id,
            memory_.Once(caller.actor, request->request_id(), begin));
        RECLAIM_ASSIGN_OR_RETURN(const gc::Run run, FindRun(parts_, id));
        return ToProto(run);
      });
}

}  // namespace reclaim::rpc
