// rpc/peers.h — who is at the other end of a connection.
//
// gRPC tells nothing of the peer of a Unix socket, so we accept such
// connections ourselves (rpc/unix_listener.h) and note the credentials that the
// kernel gives (SO_PEERCRED) under the descriptor's number, which is all that
// gRPC calls such a peer.  A number that is used again is noted again before
// any call of the new connection is read.
//
// Thread-safe.

#ifndef RECLAIM_RPC_PEERS_H_
#define RECLAIM_RPC_PEERS_H_

#include <sys/types.h>

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "grpcpp/server_context.h"

namespace reclaim::rpc {

class Peers {
 public:
  void Note(int fd, uid_t uid);

  // "uid:1000"; the name in a client's certificate ("cn:…"); else the address.
  std::string ActorOf(const grpc::ServerContext& context) const;

 private:
  mutable base::Mutex mutex_;
  std::map<int, uid_t> uids_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_PEERS_H_
