#include "server/http_server.h"

#include <CivetServer.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reclaim::server {
namespace {

constexpr int64_t kBodyBytesMax = int64_t{4} << 20;
// The server waits for each piece as long as bytes keep coming: a sender who
// drips is noticed between pieces.
constexpr size_t kPieceBytes = 64;
constexpr std::chrono::seconds kBodyPatience{30};
// And so with who takes his answer, a little at a time.
constexpr size_t kAnswerPieceBytes = 4096;
constexpr std::chrono::seconds kAnswerPatience{30};
// Of a body that nobody wants.
constexpr int kDropBytesMax = 64 << 10;
constexpr std::chrono::seconds kDropPatience{5};
constexpr char kNotifications[] = "/v1/notifications/";

struct Page {
  int code = 200;
  const char* reason = "OK";
  std::string more;  // header lines
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

using Clock = std::chrono::steady_clock;

// A peer that has gone, or takes too long, gets no more.
void Write(mg_connection* connection, absl::string_view text) {
  const Clock::time_point begin = Clock::now();
  while (!text.empty() && Clock::now() - begin <= kAnswerPatience) {
    const size_t piece = std::min(kAnswerPieceBytes, text.size());
    const int n = mg_write(connection, text.data(), piece);
    if (n < 0 || static_cast<size_t>(n) < piece) return;
    text.remove_prefix(piece);
  }
}

// Reads what has come of a body behind the answer: who closes a connection with
// something unread may take back what he has just said.  The library would wait
// for all of it, for as long as a sender drips, whoever he is.
void DropBody(mg_connection* connection) {
  // After this it reads no more by itself.
  mg_disable_connection_keep_alive(connection);
  if (mg_get_request_info(connection)->content_length <= 0) return;
  const Clock::time_point begin = Clock::now();
  char byte = 0;
  for (int i = 0; i < kDropBytesMax && Clock::now() - begin <= kDropPatience;
       ++i) {
    if (mg_read(connection, &byte, 1) != 1) return;
  }
}

// The last of a connection: it is closed then.
void Send(mg_connection* connection, const Page& page, bool with_body) {
  Write(connection,
        absl::StrCat("HTTP/1.1 ", page.code, " ", page.reason,
                     "\r\nContent-Type: ", page.type,
                     "\r\nContent-Length: ", page.body.size(), "\r\n",
                     page.more, "Cache-Control: no-store\r\n\r\n",
                     with_body ? page.body : ""));
  DropBody(connection);
}

class PageAnswer final : public CivetHandler {
 public:
  explicit PageAnswer(std::function<Page()> make) : make_(std::move(make)) {}
  bool handleGet(CivetServer*, mg_connection* connection) override {
    Send(connection, make_(), true);
    return true;
  }
  bool handleHead(CivetServer*, mg_connection* connection) override {
    Send(connection, make_(), false);
    return true;
  }

 private:
  std::function<Page()> make_;
};

const char* ReasonOf(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Payload Too Large";
    case 429:
      return "Too Many Requests";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

// A refusal ends the connection, for the body may not have been read.
Page AnswerWith(int code, absl::string_view message) {
  Page page;
  page.code = code;
  page.reason = ReasonOf(code);
  page.body = absl::StrCat(message, "\n");
  if (code == 401) page.more = "WWW-Authenticate: Bearer\r\n";
  if (code == 429 || code == 503) page.more = "Retry-After: 1\r\n";
  if (code != 200) absl::StrAppend(&page.more, "Connection: close\r\n");
  return page;
}

// Takes what registries post.
class NotificationPost final : public CivetHandler {
 public:
  NotificationPost(decltype(HttpPages::admit) admit,
                   decltype(HttpPages::notify) notify)
      : admit_(std::move(admit)), notify_(std::move(notify)) {}

  bool handlePost(CivetServer*, mg_connection* connection) override {
    Send(connection, Answer(connection), true);
    return true;
  }

 private:
  Page Answer(mg_connection* connection) const {
    const mg_request_info* request = mg_get_request_info(connection);
    if (request->content_length < 0) {
      return AnswerWith(411, "say how long the body is");
    }
    if (request->content_length > kBodyBytesMax) {
      return AnswerWith(413, "an envelope of more than 4 MiB");
    }
    const char* header = mg_get_header(connection, "Authorization");
    const std::string authorization = header == nullptr ? "" : header;
    const std::string uri = request->local_uri;
    const std::string store =
        uri.substr(std::min(uri.size(), sizeof(kNotifications) - 1));
    // Who may not post costs no memory, and no time.
    absl::Status status =
        admit_ ? admit_(store, authorization) : absl::OkStatus();
    if (!status.ok()) return AnswerWith(HttpCode(status), status.message());
    std::string body(static_cast<size_t>(request->content_length), '\0');
    if (const int code = ReadBody(connection, &body); code != 200) {
      return AnswerWith(code, "the body did not come to its end");
    }
    status = notify_(store, authorization, body);
    return AnswerWith(HttpCode(status), status.ok() ? "ok" : status.message());
  }

  // 200, or what to answer.
  static int ReadBody(mg_connection* connection, std::string* body) {
    const Clock::time_point begin = Clock::now();
    size_t read = 0;
    while (read < body->size()) {
      if (Clock::now() - begin > kBodyPatience) return 408;
      const int n = mg_read(connection, body->data() + read,
                            std::min(kPieceBytes, body->size() - read));
      if (n <= 0) return 400;
      read += static_cast<size_t>(n);
    }
    return 200;
  }

  const decltype(HttpPages::admit) admit_;
  const decltype(HttpPages::notify) notify_;
};

class CivetHttp final : public HttpServer {
 public:
  CivetHttp(std::unique_ptr<CivetServer> server, HttpPages pages)
      : pages_(std::move(pages)),
        metrics_([this] { return MetricsPage(); }),
        liveness_([] {
          Page page;
          page.body = "ok\n";
          return page;
        }),
        readiness_([this] { return ReadinessPage(); }),
        nothing_([] {
          Page page;
          page.code = 404;
          page.reason = "Not Found";
          page.body = "there are /metrics, /livez, /readyz and /healthz\n";
          return page;
        }),
        notifications_(pages_.admit, pages_.notify),
        server_(std::move(server)) {
    if (pages_.metrics) server_->addHandler("/metrics", &metrics_);
    server_->addHandler("/livez", &liveness_);
    if (pages_.readiness) {
      server_->addHandler("/readyz", &readiness_);
      server_->addHandler("/healthz", &readiness_);
    }
    if (pages_.notify) {
      server_->addHandler(absl::StrCat(kNotifications, "**"), &notifications_);
    }
    server_->addHandler("/**", &nothing_);
  }

  int port() const override {
    const std::vector<int> ports = server_->getListeningPorts();
    return ports.empty() ? 0 : ports[0];
  }

 private:
  Page MetricsPage() const {
    Page page;
    page.type = "text/plain; version=0.0.4; charset=utf-8";
    page.body = pages_.metrics();
    return page;
  }
  Page ReadinessPage() const {
    const absl::Status ready = pages_.readiness();
    Page page;
    page.body = "ok\n";
    if (!ready.ok()) {
      page.code = 503;
      page.reason = "Service Unavailable";
      page.body = absl::StrCat(ready.message(), "\n");
    }
    return page;
  }

  const HttpPages pages_;
  PageAnswer metrics_;
  PageAnswer liveness_;
  PageAnswer readiness_;
  PageAnswer nothing_;
  NotificationPost notifications_;
  std::unique_ptr<CivetServer> server_;  // last: stops before the pages go
};

}  // namespace

int HttpCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kOutOfRange:
      return 413;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
      return 503;
    default:
      return 500;
  }
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const std::string& address, HttpPages pages) {
  // A thread waits up to ten seconds for a request, and as long for a peer that
  // takes nothing of its answer: more threads than slow peers, so that probes
  // are answered meanwhile.
  const std::vector<std::string> options = {
      "listening_ports",          address, "num_threads", "32",
      "request_timeout_ms",       "10000", "tcp_nodelay", "1",
      "enable_directory_listing", "no"};
  try {
    auto server = std::make_unique<CivetServer>(options);
    return std::unique_ptr<HttpServer>(
        std::make_unique<CivetHttp>(std::move(server), std::move(pages)));
  } catch (const CivetException&) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address,
                     " for HTTP; is the port taken?  http.address and "
                     "notifications.address change it"));
  }
}

}  // namespace reclaim::server
