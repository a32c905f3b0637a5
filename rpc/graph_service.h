// rpc/graph_service.h — GraphService of reclaim.v1; see graph.proto.
//
// Thread-safe.

#ifndef RECLAIM_RPC_GRAPH_SERVICE_H_
#define RECLAIM_RPC_GRAPH_SERVICE_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/graph.grpc.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

class GraphService final : public v1::GraphService::Service {
 public:
  // Not owned.
  explicit GraphService(const ServiceParts* parts) : parts_(*parts) {}

  grpc::Status Record(grpc::ServerContext* context,
                      const v1::RecordRequest* request,
                      v1::RecordResponse* response) override;
  grpc::Status RecordStream(grpc::ServerContext* context,
                            grpc::ServerReader<v1::RecordRequest>* requests,
                            v1::RecordStreamResponse* response) override;
  grpc::Status CheckBlobs(grpc::ServerContext* context,
                          const v1::CheckBlobsRequest* request,
                          v1::CheckBlobsResponse* response) override;
  grpc::Status GetNode(grpc::ServerContext* context,
                       const v1::GetNodeRequest* request,
                       v1::GetNodeResponse* response) override;
  grpc::Status ListNodes(grpc::ServerContext* context,
                         const v1::ListNodesRequest* request,
                         v1::ListNodesResponse* response) override;
  grpc::Status Explain(grpc::ServerContext* context,
                       const v1::ExplainRequest* request,
                       v1::ExplainResponse* response) override;

 private:
  // One request, with what the audit says of its leases and pins.
  absl::StatusOr<v1::RecordResponse> RecordOne(const v1::RecordRequest& request,
                                               index::Durability durability,
                                               const char* method,
                                               const Caller& caller) const;
  absl::StatusOr<v1::RecordResponse> ApplyOne(const v1::RecordRequest& request,
                                              index::Durability durability,
                                              const char* method,
                                              const Caller& caller) const;
  absl::StatusOr<v1::CheckBlobsResponse> CheckAll(
      const v1::CheckBlobsRequest& request, const Caller& caller) const;
  absl::StatusOr<v1::GetNodeResponse> Get(
      const v1::GetNodeRequest& request) const;
  absl::StatusOr<v1::ListNodesResponse> List(
      const v1::ListNodesRequest& request) const;

  const ServiceParts& parts_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_GRAPH_SERVICE_H_
