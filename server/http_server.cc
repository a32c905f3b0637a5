#include "server/http_server.h"

#include <CivetServer.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reclaim::server {
namespace {

struct Page {
  int code = 200;
  const char* reason = "OK";
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

void Send(mg_connection* connection, const Page& page, bool with_body) {
  const std::string head = absl::StrCat(
      "HTTP/1.1 ", page.code, " ", page.reason, "\r\nContent-Type: ", page.type,
      "\r\nContent-Length: ", page.body.size(),
      "\r\nCache-Control: no-store\r\n\r\n");
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
          page.body = "there are /metrics, /livez and /readyz\n";
          return page;
        }),
        server_(std::move(server)) {
    server_->addHandler("/metrics", &metrics_);
    server_->addHandler("/livez", &liveness_);
    server_->addHandler("/readyz", &readiness_);
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
  std::unique_ptr<CivetServer> server_;  // last: stops before the pages go
};

}  // namespace

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
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", address,
        " for /metrics; is the port taken?  http.address changes it"));
  }
}

}  // namespace reclaim::server
