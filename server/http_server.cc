#include "server/http_server.h"

#include <CivetServer.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reclaim::server {
namespace {

constexpr int64_t kBodyBytesMax = int64_t{4} << 20;
constexpr char kNotifications[] = "/v1/notifications/";

struct Page {
  int code = 200;
  const char* reason = "OK";
  std::string more;  // header lines
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

void Send(mg_connection* connection, const Page& page, bool with_body) {
  const std::string head = absl::StrCat(
      "HTTP/1.1 ", page.code, " ", page.reason, "\r\nContent-Type: ", page.type,
      "\r\nContent-Length: ", page.body.size(), "\r\n", page.more,
      "Cache-Control: no-store\r\n\r\n");
  // A peer that has gone gets nothing.
  mg_write(connection, head.data(), head.size());
  if (with_body) mg_write(connection, page.body.data(), page.body.size());
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
  explicit NotificationPost(decltype(HttpPages::notify) notify)
      : notify_(std::move(notify)) {}

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
    std::string body(static_cast<size_t>(request->content_length), '\0');
    size_t read = 0;
    while (read < body.size()) {
      const int n = mg_read(connection, body.data() + read, body.size() - read);
      if (n <= 0) return AnswerWith(400, "the body ended early");
      read += static_cast<size_t>(n);
    }
    const char* authorization = mg_get_header(connection, "Authorization");
    const std::string uri = request->local_uri;
    const absl::Status status =
        notify_(uri.substr(std::min(uri.size(), sizeof(kNotifications) - 1)),
                authorization == nullptr ? "" : authorization, body);
    return AnswerWith(HttpCode(status), status.ok() ? "ok" : status.message());
  }

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
        notifications_(pages_.notify),
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
  const std::vector<std::string> options = {"listening_ports",
                                            address,
                                            "num_threads",
                                            "4",
                                            "request_timeout_ms",
                                            "10000",
                                            "enable_directory_listing",
                                            "no"};
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
