// server/http_server.h — /metrics, /livez and /readyz over HTTP.
//
// Thread-safe.  Answers GET and HEAD; everything else is 404 or 405.

#ifndef RECLAIM_SERVER_HTTP_SERVER_H_
#define RECLAIM_SERVER_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reclaim::server {

struct HttpPages {
  std::function<std::string()> metrics;
  // OK: ready; else 503 with the reason.
  std::function<absl::Status()> readiness;
};

class HttpServer {
 public:
  // `address` is HOST:PORT, port 0 for any.  UNAVAILABLE if it can't be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const std::string& address, HttpPages pages);
  virtual ~HttpServer() = default;
  virtual int port() const = 0;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_HTTP_SERVER_H_
