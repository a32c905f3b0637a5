// rpc/policy_service.h — PolicyService of reclaim.v1; see policy.proto.
//
// Thread-safe.

#ifndef RECLAIM_RPC_POLICY_SERVICE_H_
#define RECLAIM_RPC_POLICY_SERVICE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "reclaim/v1/policy.grpc.pb.h"
#include "rpc/request_memory.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

class PolicyService final : public v1::PolicyService::Service {
 public:
  // Not owned.
  explicit PolicyService(const ServiceParts* parts)
      : parts_(*parts), memory_(&parts->graph) {}

  grpc::Status SetRuleSet(grpc::ServerContext* context,
                          const v1::SetRuleSetRequest* request,
                          v1::RuleSet* response) override;
  grpc::Status GetRuleSet(grpc::ServerContext* context,
                          const v1::GetRuleSetRequest* request,
                          v1::RuleSet* response) override;
  grpc::Status ListRuleSets(grpc::ServerContext* context,
                            const v1::ListRuleSetsRequest* request,
                            v1::ListRuleSetsResponse* response) override;
  grpc::Status DeleteRuleSet(grpc::ServerContext* context,
                             const v1::DeleteRuleSetRequest* request,
                             v1::DeleteRuleSetResponse* response) override;
  grpc::Status TestPolicy(
      grpc::ServerContext* context, const v1::TestPolicyRequest* request,
      grpc::ServerWriter<v1::TestPolicyResponse>* responses) override;
  grpc::Status SetSchedule(grpc::ServerContext* context,
                           const v1::SetScheduleRequest* request,
                           v1::Schedule* response) override;
  grpc::Status GetSchedule(grpc::ServerContext* context,
                           const v1::GetScheduleRequest* request,
                           v1::Schedule* response) override;
  grpc::Status ListSchedules(grpc::ServerContext* context,
                             const v1::ListSchedulesRequest* request,
                             v1::ListSchedulesResponse* response) override;
  grpc::Status DeleteSchedule(grpc::ServerContext* context,
                              const v1::DeleteScheduleRequest* request,
                              v1::DeleteScheduleResponse* response) override;
  grpc::Status RunSchedule(grpc::ServerContext* context,
                           const v1::RunScheduleRequest* request,
                           v1::Schedule* response) override;
  grpc::Status PauseSchedule(grpc::ServerContext* context,
                             const v1::PauseScheduleRequest* request,
                             v1::Schedule* response) override;
  grpc::Status ResumeSchedule(grpc::ServerContext* context,
                              const v1::ResumeScheduleRequest* request,
                              v1::Schedule* response) override;
  grpc::Status ApprovePlan(grpc::ServerContext* context,
                           const v1::ApprovePlanRequest* request,
                           v1::Plan* response) override;
  grpc::Status SetTenant(grpc::ServerContext* context,
                         const v1::SetTenantRequest* request,
                         v1::Tenant* response) override;
  grpc::Status GetTenant(grpc::ServerContext* context,
                         const v1::GetTenantRequest* request,
                         v1::Tenant* response) override;
  grpc::Status ListTenants(grpc::ServerContext* context,
                           const v1::ListTenantsRequest* request,
                           v1::ListTenantsResponse* response) override;
  grpc::Status DeleteTenant(grpc::ServerContext* context,
                            const v1::DeleteTenantRequest* request,
                            v1::DeleteTenantResponse* response) override;
  grpc::Status SetRepositoryQuota(grpc::ServerContext* context,
                                  const v1::SetRepositoryQuotaRequest* request,
                                  v1::RepositoryQuota* response) override;
  grpc::Status GetRepositoryQuota(grpc::ServerContext* context,
                                  const v1::GetRepositoryQuotaRequest* request,
                                  v1::RepositoryQuota* response) override;
  grpc::Status ListRepositoryQuotas(
      grpc::ServerContext* context,
      const v1::ListRepositoryQuotasRequest* request,
      v1::ListRepositoryQuotasResponse* response) override;
  grpc::Status DeleteRepositoryQuota(
      grpc::ServerContext* context,
      const v1::DeleteRepositoryQuotaRequest* request,
      v1::DeleteRepositoryQuotaResponse* response) override;

 private:
  absl::StatusOr<v1::RuleSet> PutRuleSet(const v1::SetRuleSetRequest& request,
                                         const Caller& caller);
  // FAILED_PRECONDITION naming the repositories that a set would empty.
  absl::Status CheckThatNoneIsEmptied(gc::RuleSet set,
                                      const Caller& caller) const;
  absl::StatusOr<std::vector<gc::TagDecision>> Test(
      const v1::TestPolicyRequest& request, const Caller& caller) const;
  absl::StatusOr<v1::Schedule> PutSchedule(
      const v1::SetScheduleRequest& request, const Caller& caller);
  absl::StatusOr<v1::Schedule> ScheduleByName(const std::string& name) const;
  absl::StatusOr<v1::Tenant> PutTenant(const v1::SetTenantRequest& request,
                                       const Caller& caller);
  absl::StatusOr<v1::RepositoryQuota> PutQuota(
      const v1::SetRepositoryQuotaRequest& request, const Caller& caller);

  const ServiceParts& parts_;
  RequestMemory memory_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_POLICY_SERVICE_H_
