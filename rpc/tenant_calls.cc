// The calls of PolicyService about tenants and quotas.

#include <string>
#include <utility>

#include "base/status_macros.h"
#include "gc/tenants.h"
#include "rpc/call.h"
#include "rpc/policy_convert.h"
#include "rpc/policy_page.h"
#include "rpc/policy_service.h"

namespace reclaim::rpc {

absl::StatusOr<v1::Tenant> PolicyService::PutTenant(
    const v1::SetTenantRequest& request, const Caller& caller) {
  gc::Tenant tenant = FromProto(request.tenant());
  tenant.actor = caller.actor;
  const auto put = [&]() -> absl::StatusOr<std::string> {
    RECLAIM_RETURN_IF_ERROR(
        parts_.policies->PutTenant(tenant, request.etag()).status());
    return tenant.name;
  };
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string name,
      memory_.Once(caller.actor, request.request_id(), put));
  RECLAIM_ASSIGN_OR_RETURN(const gc::Tenant stored,
                           parts_.policies->GetTenant(name));
  return ToProto(stored);
}

grpc::Status PolicyService::SetTenant(grpc::ServerContext* context,
                                      const v1::SetTenantRequest* request,
                                      v1::Tenant* response) {
  return CallFor(
      parts_, context, {"PolicyService/SetTenant", *request}, response,
      [&](const Caller& caller) { return PutTenant(*request, caller); });
}

grpc::Status PolicyService::GetTenant(grpc::ServerContext* context,
                                      const v1::GetTenantRequest* request,
                                      v1::Tenant* response) {
  return CallFor(parts_, context, "PolicyService/GetTenant", response,
                 [&](const Caller&) -> absl::StatusOr<v1::Tenant> {
                   RECLAIM_ASSIGN_OR_RETURN(
                       const gc::Tenant tenant,
                       parts_.policies->GetTenant(request->name()));
                   return ToProto(tenant);
                 });
}

grpc::Status PolicyService::ListTenants(grpc::ServerContext* context,
                                        const v1::ListTenantsRequest* request,
                                        v1::ListTenantsResponse* response) {
  return CallFor(parts_, context, "PolicyService/ListTenants", response,
                 [&](const Caller&) {
                   return PageOf<v1::ListTenantsResponse>(
                       parts_, *request, parts_.policies->ListTenants(),
                       [](v1::ListTenantsResponse* page) {
                         return page->mutable_tenants();
                       });
                 });
}

grpc::Status PolicyService::DeleteTenant(grpc::ServerContext* context,
                                         const v1::DeleteTenantRequest* request,
                                         v1::DeleteTenantResponse*) {
  const auto erase = [&]() -> absl::StatusOr<std::string> {
    RECLAIM_RETURN_IF_ERROR(
        parts_.policies->DeleteTenant(request->name(), request->etag()));
    return request->name();
  };
  return Call(parts_, context, {"PolicyService/DeleteTenant", *request},
              [&](const Caller& caller) {
                return memory_.Once(caller.actor, request->request_id(), erase)
                    .status();
              });
}

absl::StatusOr<v1::RepositoryQuota> PolicyService::PutQuota(
    const v1::SetRepositoryQuotaRequest& request, const Caller& caller) {
  gc::RepositoryQuota quota = FromProto(request.quota());
  quota.actor = caller.actor;
  const auto put = [&]() -> absl::StatusOr<std::string> {
    RECLAIM_RETURN_IF_ERROR(
        parts_.policies->PutQuota(quota, request.etag()).status());
    return quota.name;
  };
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string name,
      memory_.Once(caller.actor, request.request_id(), put));
  RECLAIM_ASSIGN_OR_RETURN(const gc::RepositoryQuota stored,
                           parts_.policies->GetQuota(name));
  return ToProto(stored);
}

grpc::Status PolicyService::SetRepositoryQuota(
    grpc::ServerContext* context, const v1::SetRepositoryQuotaRequest* request,
    v1::RepositoryQuota* response) {
  return CallFor(
      parts_, context, {"PolicyService/SetRepositoryQuota", *request}, response,
      [&](const Caller& caller) { return PutQuota(*request, caller); });
}

grpc::Status PolicyService::GetRepositoryQuota(
    grpc::ServerContext* context, const v1::GetRepositoryQuotaRequest* request,
    v1::RepositoryQuota* response) {
  return CallFor(parts_, context, "PolicyService/GetRepositoryQuota", response,
                 [&](const Caller&) -> absl::StatusOr<v1::RepositoryQuota> {
                   RECLAIM_ASSIGN_OR_RETURN(
                       const gc::RepositoryQuota quota,
                       parts_.policies->GetQuota(request->name()));
                   return ToProto(quota);
                 });
}

grpc::Status PolicyService::ListRepositoryQuotas(
    grpc::ServerContext* context,
    const v1::ListRepositoryQuotasRequest* request,
    v1::ListRepositoryQuotasResponse* response) {
  return CallFor(parts_, context, "PolicyService/ListRepositoryQuotas",
                 response, [&](const Caller&) {
                   return PageOf<v1::ListRepositoryQuotasResponse>(
                       parts_, *request, parts_.policies->ListQuotas(),
                       [](v1::ListRepositoryQuotasResponse* page) {
                         return page->mutable_quotas();
                       });
                 });
}

grpc::Status PolicyService::DeleteRepositoryQuota(
    grpc::ServerContext* context,
    const v1::DeleteRepositoryQuotaRequest* request,
    v1::DeleteRepositoryQuotaResponse*) {
  const auto erase = [&]() -> absl::StatusOr<std::string> {
    RECLAIM_RETURN_IF_ERROR(
        parts_.policies->DeleteQuota(request->name(), request->etag()));
    return request->name();
  };
  return Call(parts_, context,
              {"PolicyService/DeleteRepositoryQuota", *request},
              [&](const Caller& caller) {
                return memory_.Once(caller.actor, request->request_id(), erase)
                    .status();
              });
}

}  // namespace reclaim::rpc
