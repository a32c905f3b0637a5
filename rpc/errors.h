// rpc/errors.h — a status as gRPC sends it.
//
// Codes carry over one to one.  Each error carries one google.rpc.ErrorInfo:
// domain "reclaim", a reason in capitals (the code's name unless the status
// says more), and metadata from the status's payloads "reclaim/KEY".  The only
// code that is worth a retry as it stands is UNAVAILABLE.
//
// Pure and thread-safe.

#ifndef RECLAIM_RPC_ERRORS_H_
#define RECLAIM_RPC_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/support/status.h"

namespace reclaim::rpc {

inline constexpr char kErrorDomain[] = "reclaim";

grpc::Status ToGrpc(const absl::Status& status);

// The status with a reason for programs; OK stays OK.
absl::Status WithReason(absl::Status status, absl::string_view reason);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_ERRORS_H_
