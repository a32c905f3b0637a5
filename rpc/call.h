// rpc/call.h — one frame around every method of every service.
//
// Tells the observer, names the caller, refuses what the caller may not do,
// what is too much (rpc/call_limits.h) and what nobody waits for any more,
// writes the audit, and turns our status into gRPC's.

#ifndef RECLAIM_RPC_CALL_H_
#define RECLAIM_RPC_CALL_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// PERMISSION_DENIED, naming the role and who may give it, unless the caller
// holds `role`.
absl::Status Require(const Caller& caller, Role role, absl::string_view what);

// "GraphService/Record"; rpc/method_roles.h says who may call it.  The request
// is there for what the audit shows of it (rpc/audit_call.h).
struct Method {
  Method(const char* literal) : name(literal) {}  // NOLINT: meant to convert
  Method(const char* literal, const google::protobuf::Message& of_call)
      : name(literal), request(&of_call) {}
  const char* name;
  const google::protobuf::Message* request = nullptr;
};

grpc::Status Call(const ServiceParts& parts, grpc::ServerContext* context,
                  const Method& method,
                  absl::FunctionRef<absl::Status(const Caller&)> body);

// Runs `body` and stores its value in `out`.
template <typename Out, typename Body>
grpc::Status CallFor(const ServiceParts& parts, grpc::ServerContext* context,
                     const Method& method, Out* out, Body body) {
  return Call(parts, context, method, [&](const Caller& caller) {
    auto value = body(caller);
    if (!value.ok()) return absl::Status(value.status());
    *out = *std::move(value);
    return absl::OkStatus();
  });
}

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_CALL_H_
