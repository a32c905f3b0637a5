// rpc/audit_service.h — AuditService of reclaim.v1; see audit.proto.
//
// Thread-safe.

#ifndef RECLAIM_RPC_AUDIT_SERVICE_H_
#define RECLAIM_RPC_AUDIT_SERVICE_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/audit.grpc.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

class AuditService final : public v1::AuditService::Service {
 public:
  // Not owned.
  explicit AuditService(const ServiceParts* parts) : parts_(*parts) {}

  grpc::Status ListAudit(grpc::ServerContext* context,
                         const v1::ListAuditRequest* request,
                         v1::ListAuditResponse* response) override;
  grpc::Status VerifyAudit(grpc::ServerContext* context,
                           const v1::VerifyAuditRequest* request,
                           v1::VerifyAuditResponse* response) override;

 private:
  absl::StatusOr<AuditLog*> Log() const;
  absl::StatusOr<v1::ListAuditResponse> List(int limit) const;
  absl::StatusOr<v1::VerifyAuditResponse> Verify() const;

  const ServiceParts& parts_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_AUDIT_SERVICE_H_
