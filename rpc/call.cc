#include "rpc/call.h"

#include "absl/strings/str_cat.h"
#include "rpc/audit_call.h"
#include "rpc/call_limits.h"
#include "rpc/errors.h"
#include "rpc/method_roles.h"
#include "rpc/peers.h"

namespace reclaim::rpc {
namespace {

absl::Status CheckRole(const Caller& caller, const char* method) {
  const std::optional<Role> role = RoleOf(method);
  if (role) return Require(caller, *role, method);
  return absl::PermissionDeniedError(
      absl::StrCat(method, " has no role, so nobody may call it"));
}

}  // namespace

absl::Status Require(const Caller& caller, Role role, absl::string_view what) {
  if (caller.roles.Has(role)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      what, " needs the role \"", ToString(role), "\", which ", caller.actor,
      " does not hold; an administrator can add a [[grant]] for it"));
}

grpc::Status Call(const ServiceParts& parts, grpc::ServerContext* context,
                  const Method& method,
                  absl::FunctionRef<absl::Status(const Caller&)> body) {
  const absl::Duration begin = parts.clock->Monotonic();
  parts.observer->OnCallBegin(method.name);
  const Peer peer = parts.peers->PeerOf(*context);
  const CallLimits::Admission admission =
      parts.limits->Admit(method.name, *context, peer.actor);
  Caller caller;
  caller.actor = peer.actor;
  caller.roles = peer.roles;
  caller.is_cancelled = [context, &admission] {
    return context->IsCancelled() || admission.IsLate();
  };
  absl::Status status = parts.limits->AdmitPeer(caller.actor);
  const bool is_heard = status.ok();
  if (status.ok()) status = CheckRole(caller, method.name);
  if (status.ok()) status = admission.status();
  if (status.ok()) status = AuditBegin(parts, caller, method);
  if (status.ok()) {
    status =
        context->IsCancelled()
            ? absl::CancelledError("the caller went away before the call began")
            : admission.Outcome(body(caller));
  }
  // A flood is not written down call by call: nothing came of it.
  if (is_heard) AuditEnd(parts, caller, method, status);
  parts.observer->OnCallEnd(method.name, status,
                            parts.clock->Monotonic() - begin);
  return ToGrpc(status);
}

}  // namespace reclaim::rpc
