// server/listening.h — what the configuration says of sockets, TLS and roles,
// as the gRPC server takes it.

#ifndef RECLAIM_SERVER_LISTENING_H_
#define RECLAIM_SERVER_LISTENING_H_

#include "absl/status/statusor.h"
#include "rpc/server.h"
#include "server/config.h"

namespace reclaim::server {

// INVALID_ARGUMENT names the key: a role or a grant that is none, a group that
// this machine does not know.
absl::StatusOr<rpc::ServerOptions> MakeServerOptions(const Config& config);

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_LISTENING_H_
