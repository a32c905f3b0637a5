// rpc/store_service.h — StoreService of reclaim.v1; see store.proto.
//
// Thread-safe.

#ifndef RECLAIM_RPC_STORE_SERVICE_H_
#define RECLAIM_RPC_STORE_SERVICE_H_

#include <string>

#include "absl/status/statusor.h"
#include "index/reference_graph.h"
#include "reclaim/v1/store.grpc.pb.h"
#include "rpc/request_memory.h"
#include "rpc/service_parts.h"
#include "store/types.h"

namespace reclaim::rpc {

class StoreService final : public v1::StoreService::Service {
 public:
  // Not owned.
  explicit StoreService(const ServiceParts* parts)
      : parts_(*parts), memory_(&parts->graph) {}

  grpc::Status RegisterStore(grpc::ServerContext* context,
                             const v1::RegisterStoreRequest* request,
                             v1::Store* response) override;
  grpc::Status ForgetStore(grpc::ServerContext* context,
                           const v1::ForgetStoreRequest* request,
                           v1::ForgetStoreResponse* response) override;
  grpc::Status ListStores(grpc::ServerContext* context,
                          const v1::ListStoresRequest* request,
                          v1::ListStoresResponse* response) override;
  grpc::Status GetStore(grpc::ServerContext* context,
                        const v1::GetStoreRequest* request,
                        v1::Store* response) override;
  grpc::Status ScanStore(grpc::ServerContext* context,
                         const v1::ScanStoreRequest* request,
                         v1::Run* response) override;
  grpc::Status ConfirmLoss(grpc::ServerContext* context,
                           const v1::ConfirmLossRequest* request,
                           v1::ConfirmLossResponse* response) override;
  grpc::Status VerifyStore(
      grpc::ServerContext* context, const v1::VerifyStoreRequest* request,
      grpc::ServerWriter<v1::VerifyStoreResponse>* responses) override;

 private:
  v1::Store Describe(const index::StoreRecord& record) const;
  absl::StatusOr<v1::ListStoresResponse> Stores(
      const v1::ListStoresRequest& request) const;
  absl::Status Verify(
      const v1::VerifyStoreRequest& request, const Caller& caller,
      grpc::ServerWriter<v1::VerifyStoreResponse>* responses) const;

  const ServiceParts& parts_;
  RequestMemory memory_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_STORE_SERVICE_H_
