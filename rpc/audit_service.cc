#include "rpc/audit_service.h"

#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "base/utf8.h"
#include "rpc/audit_log.h"
#include "rpc/call.h"
#include "rpc/page_bytes.h"
#include "rpc/page_token.h"

namespace reclaim::rpc {

absl::StatusOr<AuditLog*> AuditService::Log() const {
  if (parts_.audit != nullptr) return parts_.audit;
  return absl::FailedPreconditionError("this daemon keeps no audit log");
}

absl::StatusOr<v1::ListAuditResponse> AuditService::List(int limit) const {
  RECLAIM_ASSIGN_OR_RETURN(const AuditLog* log, Log());
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(limit));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                           log->Tail(static_cast<size_t>(size)));
  v1::ListAuditResponse response;
  PageBytes bytes;
  for (const std::string& line : lines) {
    // One that the disk has damaged must not hide the others.
    std::string record = base::EscapeUnlessUtf8(line);
    if (!bytes.Take(record.size())) break;
    response.add_records(std::move(record));
  }
  return response;
}

absl::StatusOr<v1::VerifyAuditResponse> AuditService::Verify() const {
  RECLAIM_ASSIGN_OR_RETURN(const AuditLog* log, Log());
  RECLAIM_ASSIGN_OR_RETURN(const AuditReport report,
                           VerifyChain(log->folder()));
  v1::VerifyAuditResponse response;
  response.set_first_sequence(report.first_sequence);
  response.set_last_sequence(report.head.sequence);
  response.set_record_count(report.record_count);
  response.set_head_hash(report.head.hash);
  response.set_fault_count(report.fault_count);
  for (const AuditFault& fault : report.faults) {
    v1::AuditFault* out = response.add_faults();
    out->set_segment(base::EscapeUnlessUtf8(fault.segment));
    out->set_line(fault.line);
    out->set_what(fault.what);
  }
  return response;
}

grpc::Status AuditService::ListAudit(grpc::ServerContext* context,
                                     const v1::ListAuditRequest* request,
                                     v1::ListAuditResponse* response) {
  return CallFor(parts_, context, "AuditService/ListAudit", response,
                 [&](const Caller&) { return List(request->limit()); });
}

grpc::Status AuditService::VerifyAudit(grpc::ServerContext* context,
                                       const v1::VerifyAuditRequest*,
                                       v1::VerifyAuditResponse* response) {
  return CallFor(parts_, context, "AuditService/VerifyAudit", response,
                 [&](const Caller&) { return Verify(); });
}

}  // namespace reclaim::rpc
