// rpc/peers.h — who is at the other end of a connection, and what it may do.
//
// gRPC tells nothing of the peer of a Unix socket, so we accept such
// connections ourselves (rpc/unix_listener.h) and note the credentials that the
// kernel gives (SO_PEERCRED, SO_PEERGROUPS) under the descriptor's number,
// which is all that gRPC calls such a peer.  A number that is used again is
// noted again before any call of the new connection is read.
//
// Thread-safe.

#ifndef RECLAIM_RPC_PEERS_H_
#define RECLAIM_RPC_PEERS_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "grpcpp/server_context.h"
#include "rpc/grants.h"
#include "rpc/role.h"

namespace reclaim::rpc {

struct Peer {
  std::string actor;  // "uid:1000", "uri:…", "cn:…", else the address
  RoleSet roles;
};

// What the kernel tells of the process that connected.
struct UnixPeer {
  uid_t uid = static_cast<uid_t>(-1);
  std::vector<gid_t> groups;
  RoleSet socket_roles;  // of the socket that it came through
};

class Peers {
 public:
  // `plain_roles` are those of a peer that nothing authenticates: TCP without
  // TLS.
  Peers(Grants grants, RoleSet plain_roles)
      : grants_(std::move(grants)), plain_roles_(plain_roles) {}

  void Note(int fd, UnixPeer peer);
  Peer PeerOf(const grpc::ServerContext& context) const;

 private:
  bool FindUnix(const std::string& address, Peer* out) const;
  Peer Certified(const grpc::AuthContext& auth) const;

  const Grants grants_;
  const RoleSet plain_roles_;
  mutable base::Mutex mutex_;
  std::map<int, UnixPeer> unix_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_PEERS_H_
