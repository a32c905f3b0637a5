#include "rpc/call.h"

#include "rpc/call_limits.h"
#include "rpc/errors.h"
#include "rpc/peers.h"

namespace reclaim::rpc {

grpc::Status Call(const ServiceParts& parts, grpc::ServerContext* context,
                  const char* method,
                  absl::FunctionRef<absl::Status(const Caller&)> body) {
  const absl::Duration begin = parts.clock->Monotonic();
  parts.observer->OnCallBegin(method);
  const CallLimits::Admission admission = parts.limits->Admit(method, *context);
  Caller caller;
  caller.actor = parts.peers->ActorOf(*context);
  caller.is_cancelled = [context, &admission] {
    return context->IsCancelled() || admission.IsLate();
  };
  absl::Status status = admission.status();
  if (status.ok()) {
    status =
        context->IsCancelled()
            ? absl::CancelledError("the caller went away before the call began")
            : admission.Outcome(body(caller));
  }
  parts.observer->OnCallEnd(method, status, parts.clock->Monotonic() - begin);
  return ToGrpc(status);
}

}  // namespace reclaim::rpc
