#include "rpc/reflection_guard.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/interceptor.h"

namespace reclaim::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

// One call while it lives.
class GuardedCall final : public grpc::experimental::Interceptor {
 public:
  GuardedCall(ServerRpcInfo* info, bool is_on_tcp,
              std::shared_ptr<std::atomic<int>> count)
      : info_(info),
        is_on_tcp_(is_on_tcp),
        count_(std::move(count)),
        is_one_too_many_(count_->fetch_add(1) >= kReflectionCountMax) {}
  ~GuardedCall() override { count_->fetch_sub(1); }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::POST_RECV_INITIAL_METADATA) &&
        !IsServed()) {
      info_->server_context()->TryCancel();
    }
    methods->Proceed();
  }

 private:
  bool IsServed() const {
    if (is_one_too_many_) return false;
    // As rpc/peers.h has it: a Unix socket's peer is a descriptor.
    const std::string peer = info_->server_context()->peer();
    return is_on_tcp_ || absl::StartsWith(peer, "fd:");
  }

  ServerRpcInfo* const info_;
  const bool is_on_tcp_;
  const std::shared_ptr<std::atomic<int>> count_;
  const bool is_one_too_many_;
};

}  // namespace

grpc::experimental::Interceptor* ReflectionGuard::CreateServerInterceptor(
    ServerRpcInfo* info) {
  if (!absl::StartsWith(info->method(), "/grpc.reflection.")) return nullptr;
  return new GuardedCall(info, is_on_tcp_, count_);
}

}  // namespace reclaim::rpc
