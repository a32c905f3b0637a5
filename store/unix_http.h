// store/unix_http.h — private to engine drivers: HTTP over a Unix socket.
//
// One request a call, each with a deadline, over libcurl.  Bodies are bounded:
// a larger one is RESOURCE_EXHAUSTED, never cut.  UNAVAILABLE says that nobody
// answered (with the socket's path), so that an engine that is away or hangs
// costs its caller the deadline and nobody else anything.  Thread-safe.

#ifndef RECLAIM_STORE_UNIX_HTTP_H_
#define RECLAIM_STORE_UNIX_HTTP_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace reclaim::store {

struct HttpAnswer {
  int code = 0;  // of HTTP
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

class UnixHttp {
 public:
  explicit UnixHttp(std::string socket) : socket_(std::move(socket)) {}

  // `method`: "GET", "POST", "DELETE".  `target`: path and query.
  absl::StatusOr<HttpAnswer> Ask(absl::string_view method,
                                 const std::string& target,
                                 absl::Duration patience) const;

  // A body without an end: `take` sees each piece; false ends it.  It is asked
  // with an empty piece about once a second while nothing comes.  Returns when
  // it ends: OK if `take` ended it, UNAVAILABLE otherwise.
  absl::Status Stream(const std::string& target,
                      const std::function<bool(absl::string_view)>& take) const;

  const std::string& socket() const { return socket_; }

 private:
  const std::string socket_;
};

// A part of a path or a value of a query, escaped.
std::string UrlEscape(absl::string_view text);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_UNIX_HTTP_H_
