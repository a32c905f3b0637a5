// rpc/tls.h — credentials of the TCP listener.
//
// Clients must show a certificate that `client_ca` signed and that no list of
// `crl_directory` revokes.  The files are read again when they change: a new
// certificate, key or CA is taken up within a minute, without a restart.
// Replace key and certificate together (a renamed folder, a switched link).
//
// TLS 1.2 and 1.3 (gRPC 1.51 speaks no other).  Thread-safe.

#ifndef RECLAIM_RPC_TLS_H_
#define RECLAIM_RPC_TLS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"

namespace reclaim::rpc {

struct TlsFiles {
  // PEM files.
  std::string certificate;  // the server's chain
  std::string key;
  std::string client_ca;
  // Revocation lists under OpenSSL's hashed names ("c_rehash"); "" for none.
  std::string crl_directory;
};

// INVALID_ARGUMENT names the file: not to be read, no certificate, no key, a
// key of another certificate.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeTlsCredentials(
    const TlsFiles& files);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_TLS_H_
