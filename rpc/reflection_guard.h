// rpc/reflection_guard.h — private to the server: who is served reflection, and
// how many at a time.
//
// gRPC's own service asks nobody who he is, and each of its streams holds a
// thread for as long as its caller likes.  Over the Unix sockets it is on; over
// TCP it is on if the operator says so.  What is refused is CANCELLED: an
// interceptor has no other word.

#ifndef RECLAIM_RPC_REFLECTION_GUARD_H_
#define RECLAIM_RPC_REFLECTION_GUARD_H_

#include <atomic>
#include <memory>

#include "grpcpp/support/server_interceptor.h"

namespace reclaim::rpc {

// Streams of reflection at a time, of all callers together.
inline constexpr int kReflectionCountMax = 16;

class ReflectionGuard final
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit ReflectionGuard(bool is_on_tcp) : is_on_tcp_(is_on_tcp) {}

  // Null for all other calls, which cost nothing by it.
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  const bool is_on_tcp_;
  // Shared with the calls, which may end after the server has.
  const std::shared_ptr<std::atomic<int>> count_ =
      std::make_shared<std::atomic<int>>(0);
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_REFLECTION_GUARD_H_
