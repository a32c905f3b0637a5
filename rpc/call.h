// rpc/call.h — one frame around every method of every service.
//
// Tells the observer, names the caller, refuses what is too much or what nobody
// waits for any more (rpc/call_limits.h), and turns our status into gRPC's.

#ifndef RECLAIM_RPC_CALL_H_
#define RECLAIM_RPC_CALL_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// `method` is a literal, "GraphService/Record".
grpc::Status Call(const ServiceParts& parts, grpc::ServerContext* context,
                  const char* method,
                  absl::FunctionRef<absl::Status(const Caller&)> body);

// Runs `body` and stores its value in `out`.
template <typename Out, typename Body>
grpc::Status CallFor(const ServiceParts& parts, grpc::ServerContext* context,
                     const char* method, Out* out, Body body) {
  return Call(parts, context, method, [&](const Caller& caller) {
    auto value = body(caller);
    if (!value.ok()) return absl::Status(value.status());
    *out = *std::move(value);
    return absl::OkStatus();
  });
}

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_CALL_H_
