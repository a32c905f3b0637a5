// rpc/collection_service.h — CollectionService of reclaim.v1; see
// collection.proto.
//
// Thread-safe.

#ifndef RECLAIM_RPC_COLLECTION_SERVICE_H_
#define RECLAIM_RPC_COLLECTION_SERVICE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "reclaim/v1/collection.grpc.pb.h"
#include "rpc/request_memory.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

class CollectionService final : public v1::CollectionService::Service {
 public:
  // Not owned.
  explicit CollectionService(const ServiceParts* parts)
      : parts_(*parts), memory_(&parts->graph) {}

  grpc::Status CreatePlan(grpc::ServerContext* context,
                          const v1::CreatePlanRequest* request,
                          v1::Plan* response) override;
  grpc::Status GetPlan(grpc::ServerContext* context,
                       const v1::GetPlanRequest* request,
                       v1::Plan* response) override;
  grpc::Status ListPlans(grpc::ServerContext* context,
                         const v1::ListPlansRequest* request,
                         v1::ListPlansResponse* response) override;
  grpc::Status ListPlanItems(grpc::ServerContext* context,
                             const v1::ListPlanItemsRequest* request,
                             v1::ListPlanItemsResponse* response) override;
  grpc::Status DeletePlan(grpc::ServerContext* context,
                          const v1::DeletePlanRequest* request,
                          v1::DeletePlanResponse* response) override;
  grpc::Status ApplyPlan(grpc::ServerContext* context,
                         const v1::ApplyPlanRequest* request,
                         v1::Run* response) override;
  grpc::Status Restore(grpc::ServerContext* context,
                       const v1::RestoreRequest* request,
                       v1::Run* response) override;
  grpc::Status Purge(grpc::ServerContext* context,
                     const v1::PurgeRequest* request,
                     v1::Run* response) override;
  grpc::Status GetRun(grpc::ServerContext* context,
                      const v1::GetRunRequest* request,
                      v1::Run* response) override;
  grpc::Status ListRuns(grpc::ServerContext* context,
                        const v1::ListRunsRequest* request,
                        v1::ListRunsResponse* response) override;
  grpc::Status WatchRun(grpc::ServerContext* context,
                        const v1::WatchRunRequest* request,
                        grpc::ServerWriter<v1::Run>* responses) override;
  grpc::Status CancelRun(grpc::ServerContext* context,
                         const v1::CancelRunRequest* request,
                         v1::Run* response) override;
  grpc::Status ListQuarantine(grpc::ServerContext* context,
                              const v1::ListQuarantineRequest* request,
                              v1::ListQuarantineResponse* response) override;
  grpc::Status WatchEvents(
      grpc::ServerContext* context, const v1::WatchEventsRequest* request,
      grpc::ServerWriter<v1::WatchEventsResponse>* responses) override;

 private:
  absl::StatusOr<v1::Plan> MakePlan(const v1::CreatePlanRequest& request,
                                    const Caller& caller);
  absl::StatusOr<v1::Plan> PlanById(const std::string& id) const;
  absl::StatusOr<v1::ListPlansResponse> Plans(
      const v1::ListPlansRequest& request) const;
  absl::StatusOr<v1::ListPlanItemsResponse> Items(
      const v1::ListPlanItemsRequest& request) const;
  absl::StatusOr<v1::Run> RunById(const std::string& id) const;
  absl::StatusOr<v1::ListRunsResponse> Runs(
      const v1::ListRunsRequest& request) const;
  absl::StatusOr<v1::ListQuarantineResponse> Quarantine(
      const v1::ListQuarantineRequest& request) const;
  // Starts a run, after what `before` does unless it is null, or finds the one
  // that this request id began before.
  absl::StatusOr<v1::Run> StartOnce(
      const std::string& request_id, const Caller& caller, RunBoard::Work work,
      const std::function<absl::Status()>& before = nullptr);

  const ServiceParts& parts_;
  RequestMemory memory_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_COLLECTION_SERVICE_H_
