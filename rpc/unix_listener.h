// rpc/unix_listener.h — a Unix socket that tells who connects.
//
// Accepts connections itself, notes the peer's user and groups (rpc/peers.h)
// and hands the descriptor to the gRPC server.  A socket file that a dead
// daemon left is taken over; one that a living daemon serves is an error.

#ifndef RECLAIM_RPC_UNIX_LISTENER_H_
#define RECLAIM_RPC_UNIX_LISTENER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "grpcpp/server.h"
#include "rpc/peers.h"

namespace reclaim::rpc {

struct UnixSocket {
  // A socket that listens already (systemd's), or -1 to make one.  Its file,
  // mode and group are then another's.
  int fd = -1;
  std::string path;  // its folder is made by need, mode 0755
  mode_t mode = 0660;
  gid_t group = static_cast<gid_t>(-1);  // -1: as the daemon's
  RoleSet roles = RoleSet::All();        // of peers that no grant names
};

class UnixListener {
 public:
  // Binds and listens.  ALREADY_EXISTS: somebody answers there.
  // INVALID_ARGUMENT: the path is too long for a socket (107 bytes), or `fd` is
  // no Unix socket that listens.
  static absl::StatusOr<std::unique_ptr<UnixListener>> Open(
      const UnixSocket& socket);
  // Stops, and removes the socket file if it made it.
  ~UnixListener();
  UnixListener(const UnixListener&) = delete;
  UnixListener& operator=(const UnixListener&) = delete;

  // Begins to accept, for a server that has started.  Neither is owned; both
  // outlive Stop().
  void Start(grpc::Server* server, Peers* peers);
  // No connection is accepted afterwards; those that are stay.
  void Stop();

 private:
  UnixListener(const UnixSocket& socket, int fd, int wake_fd)
      : path_(socket.path), roles_(socket.roles), fd_(fd), wake_fd_(wake_fd) {}
  void AcceptAll(grpc::Server* server, Peers* peers);

  const std::string path_;  // "": not ours
  const RoleSet roles_;
  const int fd_;
  const int wake_fd_;  // an eventfd: ends the thread
  bool is_stopped_ = false;
  std::thread thread_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_UNIX_LISTENER_H_
