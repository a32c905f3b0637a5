// rpc/usage_service.h — UsageService of reclaim.v1; see usage.proto.
//
// Thread-safe.

#ifndef RECLAIM_RPC_USAGE_SERVICE_H_
#define RECLAIM_RPC_USAGE_SERVICE_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/usage.grpc.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

class UsageService final : public v1::UsageService::Service {
 public:
  // Not owned.
  explicit UsageService(const ServiceParts* parts) : parts_(*parts) {}

  grpc::Status GetDiskUsage(grpc::ServerContext* context,
                            const v1::GetDiskUsageRequest* request,
                            v1::GetDiskUsageResponse* response) override;
  grpc::Status ListImages(grpc::ServerContext* context,
                          const v1::ListImagesRequest* request,
                          v1::ListImagesResponse* response) override;
  grpc::Status ListContainers(grpc::ServerContext* context,
                              const v1::ListContainersRequest* request,
                              v1::ListContainersResponse* response) override;
  grpc::Status ListVolumes(grpc::ServerContext* context,
                           const v1::ListVolumesRequest* request,
                           v1::ListVolumesResponse* response) override;
  grpc::Status ListNetworks(grpc::ServerContext* context,
                            const v1::ListNetworksRequest* request,
                            v1::ListNetworksResponse* response) override;
  grpc::Status ListBuildCache(grpc::ServerContext* context,
                              const v1::ListBuildCacheRequest* request,
                              v1::ListBuildCacheResponse* response) override;
  grpc::Status ListUsage(grpc::ServerContext* context,
                         const v1::ListUsageRequest* request,
                         v1::ListUsageResponse* response) override;
  grpc::Status GetImageHistory(grpc::ServerContext* context,
                               const v1::GetImageHistoryRequest* request,
                               v1::GetImageHistoryResponse* response) override;
  grpc::Status GetTree(grpc::ServerContext* context,
                       const v1::GetTreeRequest* request,
                       v1::GetTreeResponse* response) override;
  grpc::Status WhatIf(grpc::ServerContext* context,
                      const v1::WhatIfRequest* request,
                      v1::WhatIfResponse* response) override;
  grpc::Status ListRetained(grpc::ServerContext* context,
                            const v1::ListRetainedRequest* request,
                            v1::ListRetainedResponse* response) override;
  grpc::Status GetUsageHistory(grpc::ServerContext* context,
                               const v1::GetUsageHistoryRequest* request,
                               v1::GetUsageHistoryResponse* response) override;

 private:
  absl::StatusOr<v1::ListImagesResponse> Images(
      const v1::ListImagesRequest& request) const;

  const ServiceParts& parts_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_USAGE_SERVICE_H_
