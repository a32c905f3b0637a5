// rpc/server.h — the gRPC server: services, sockets, health, reflection.
//
// Thread-safe after Start().

#ifndef RECLAIM_RPC_SERVER_H_
#define RECLAIM_RPC_SERVER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "rpc/call_limits.h"
#include "rpc/grants.h"
#include "rpc/role.h"
#include "rpc/service_parts.h"
#include "rpc/tls.h"
#include "rpc/unix_listener.h"

namespace reclaim::rpc {

struct ServerOptions {
  std::optional<UnixSocket> unix_socket;
  // A second one, for those who may look only: its `roles` say so.
  std::optional<UnixSocket> read_socket;
  // "HOST:PORT", port 0 for any; "" for no TCP.
  std::string tcp_address;
  // TCP asks for clients' certificates.
  TlsFiles tls;
  // TCP without TLS: only on a loopback address, and whoever calls holds
  // `insecure_roles`.
  bool is_insecure = false;
  RoleSet insecure_roles = RoleSet(Role::kRead);
  // Reflection over TCP as well; over the Unix sockets it is on.
  bool has_tcp_reflection = false;
  // Who holds which roles; see rpc/grants.h for those whom none names.
  std::vector<Grant> grants;
  CallLimitOptions calls;
  // Of one message; manifests come in messages.
  int message_bytes_max = 16 << 20;
  // Calls at a time on one connection; more of them wait at the client.
  int connection_call_count_max = 100;
};

// "GraphService/Record", ...: every method of every service.
std::vector<std::string> MethodNames();

class Server {
 public:
  // `parts` is copied but for what it points to; tokens, peers and limits are
  // the server's own.  Without a graph calls are answered UNAVAILABLE until
  // Open().  INVALID_ARGUMENT: the options; ALREADY_EXISTS: the socket is
  // another daemon's; UNAVAILABLE: the port is taken.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options, const ServiceParts& parts);

  virtual ~Server() = default;
  // The graph is loaded, and `parts` has what calls need.  Once.
  virtual void Open(const ServiceParts& parts) = 0;
  // The port of tcp_address; 0 without TCP.
  virtual int tcp_port() const = 0;
  // What grpc.health.v1 tells, of every service.  False until it is said.
  virtual void SetServing(bool is_serving) = 0;
  // Health turns to NOT_SERVING, no connection is accepted; calls that go on
  // may take `patience`, then they are cut.  Idempotent.
  virtual void Shutdown(absl::Duration patience) = 0;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_SERVER_H_
