// server/http_server.h — /metrics, /livez, /readyz and /healthz over HTTP, and
// the notifications of registries at /v1/notifications/STORE.
//
// Thread-safe.  Pages answer GET and HEAD, notifications POST; everything else
// is 404 or 405.  A page without a function is not there.

#ifndef RECLAIM_SERVER_HTTP_SERVER_H_
#define RECLAIM_SERVER_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reclaim::server {

struct HttpPages {
  std::function<std::string()> metrics;
  // OK: ready; else 503 with the reason.  /healthz says the same.
  std::function<absl::Status()> readiness;
  // Whether a body may come, before it is read; none: any may.
  std::function<absl::Status(const std::string& store,
                             absl::string_view authorization)>
      admit;
  // What was posted for `store`; `authorization` is the header's value, "" if
  // it was not sent.  Bodies over 4 MiB (413) and without a length (411) do not
  // come here.
  std::function<absl::Status(const std::string& store,
                             absl::string_view authorization,
                             absl::string_view body)>
      notify;
};

// What a status is over HTTP: 200, 400, 401, 404, 413, 429, 503, or 500.
// A body that takes more than half a minute is 408, and an answer that is not
// taken within that is cut off.  Of a body that nobody wants 64 KiB are read,
// for five seconds.
int HttpCode(const absl::Status& status);

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
