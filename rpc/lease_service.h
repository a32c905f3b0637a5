// rpc/lease_service.h — LeaseService of reclaim.v1; see lease.proto.
//
// Thread-safe.

#ifndef RECLAIM_RPC_LEASE_SERVICE_H_
#define RECLAIM_RPC_LEASE_SERVICE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "index/mutation.h"
#include "index/node.h"
#include "reclaim/v1/lease.grpc.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

class LeaseService final : public v1::LeaseService::Service {
 public:
  // Not owned.
  explicit LeaseService(const ServiceParts* parts) : parts_(*parts) {}

  grpc::Status CreateLease(grpc::ServerContext* context,
                           const v1::CreateLeaseRequest* request,
                           v1::Lease* response) override;
  grpc::Status UpdateLease(grpc::ServerContext* context,
                           const v1::UpdateLeaseRequest* request,
                           v1::Lease* response) override;
  grpc::Status DeleteLease(grpc::ServerContext* context,
                           const v1::DeleteLeaseRequest* request,
                           v1::DeleteLeaseResponse* response) override;
  grpc::Status GetLease(grpc::ServerContext* context,
                        const v1::GetLeaseRequest* request,
                        v1::Lease* response) override;
  grpc::Status ListLeases(grpc::ServerContext* context,
                          const v1::ListLeasesRequest* request,
                          v1::ListLeasesResponse* response) override;
  grpc::Status CreatePin(grpc::ServerContext* context,
                         const v1::CreatePinRequest* request,
                         v1::Pin* response) override;
  grpc::Status DeletePin(grpc::ServerContext* context,
                         const v1::DeletePinRequest* request,
                         v1::DeletePinResponse* response) override;
  grpc::Status ListPins(grpc::ServerContext* context,
                        const v1::ListPinsRequest* request,
                        v1::ListPinsResponse* response) override;

 private:
  absl::StatusOr<v1::Lease> Create(const v1::CreateLeaseRequest& request,
                                   const Caller& caller);
  absl::StatusOr<v1::Lease> Update(const v1::UpdateLeaseRequest& request,
                                   const Caller& caller);
  // ABORTED if it is not as it was read any more.
  absl::Status Change(const v1::UpdateLeaseRequest& request,
                      const v1::Lease& before, const Caller& caller);
  // As the caller's own (Assign() of rpc/lease_operations.h).
  absl::StatusOr<index::AppliedMutation> Apply(const std::string& request_id,
                                               index::Operation operation,
                                               const Caller& caller);
  absl::StatusOr<index::AppliedMutation> ApplyAssigned(
      const index::Mutation& mutation);
  absl::StatusOr<v1::Pin> AddPin(const v1::CreatePinRequest& request,
                                 const Caller& caller);
  absl::Status Remove(const std::string& store, index::NodeKind kind,
                      const std::string& id, const std::string& request_id,
                      const Caller& caller);
  // NOT_FOUND; an expired lease is not there either.
  absl::StatusOr<v1::Lease> Find(const std::string& store,
                                 const std::string& id) const;
  absl::StatusOr<v1::Pin> FindPin(const std::string& store,
                                  const std::string& id) const;
  absl::StatusOr<v1::ListLeasesResponse> Leases(
      const v1::ListLeasesRequest& request) const;
  absl::StatusOr<v1::ListPinsResponse> Pins(
      const v1::ListPinsRequest& request) const;

  const ServiceParts& parts_;
  base::Mutex losers_;  // of updates that others have overtaken
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_LEASE_SERVICE_H_
