// rpc/lease_service.h — LeaseService of reclaim.v1; see lease.proto.
//
// Thread-safe.

#ifndef RECLAIM_RPC_LEASE_SERVICE_H_
#define RECLAIM_RPC_LEASE_SERVICE_H_

#include <string>

#include "absl/base/thread_annotations.h"
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
  // With mutex_ held: what is known of the lease, and then the write.
  absl::Status Add(const index::Mutation& mutation, const index::PutLease& put)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Change(const v1::UpdateLeaseRequest& request,
                      const std::string& store, const Caller& caller,
                      index::Mutation* mutation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Apply(const index::Mutation& mutation);
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
  // Orders what is read and then written: ids that must be new, etags.
  base::Mutex mutex_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_LEASE_SERVICE_H_
