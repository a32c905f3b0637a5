#include "server/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::server {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    HttpPages pages;
    pages.metrics = [] { return std::string("a_metric 1\n"); };
    pages.readiness = [this] { return ready_; };
    pages.admit = [this](const std::string&, absl::string_view) {
      return admitted_;
    };
    pages.notify = [this](const std::string& store,
                          absl::string_view authorization,
                          absl::string_view body) {
      posted_ = absl::StrCat(store, "|", authorization, "|", body);
      return answer_;
    };
    auto server = HttpServer::Start("127.0.0.1:0", std::move(pages));
    ASSERT_THAT(server, base::IsOk());
    server_ = *std::move(server);
  }

  // Sends `request` as it is and reads until the end.
  std::string Send(const std::string& request) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(
        connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    // Nothing more will come: the server does not wait for a body.
    shutdown(fd, SHUT_WR);
    std::string answer;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(n));
    }
    close(fd);
    return answer;
  }
  std::string Get(const std::string& path) {
    return Send("GET " + path +
                " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }

  std::string Post(const std::string& head, const std::string& body) {
    return Send(absl::StrCat("POST /v1/notifications/hub HTTP/1.1\r\nHost: x",
                             "\r\nConnection: close\r\n", head, "\r\n", body));
  }

  absl::Status ready_;
  absl::Status admitted_;
  absl::Status answer_;
  std::string posted_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, HealthIsReadiness) {
  EXPECT_THAT(Get("/healthz"), HasSubstr("200 OK"));
  ready_ = absl::UnavailableError("the graph is being loaded");
  EXPECT_THAT(Get("/healthz"), HasSubstr("503 Service Unavailable"));
  EXPECT_THAT(Get("/readyz"), HasSubstr("the graph is being loaded"));
  EXPECT_THAT(Get("/livez"), HasSubstr("200 OK"));
}

TEST_F(HttpServerTest, ThreePages) {
  EXPECT_THAT(Get("/metrics"), HasSubstr("a_metric 1\n"));
  EXPECT_THAT(Get("/metrics"), HasSubstr("version=0.0.4"));
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 200"));
  ready_ = absl::UnavailableError("the graph is loading");
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Get("/readyz"), HasSubstr("the graph is loading"));
}

TEST_F(HttpServerTest, NothingElse) {
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get("/../../etc/passwd"), Not(HasSubstr("root:")));
  EXPECT_THAT(Get("/etc/passwd"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Send("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: "
                   "0\r\nConnection: close\r\n\r\n"),
              Not(HasSubstr("a_metric")));
  EXPECT_THAT(Send("nonsense\r\n\r\n"), Not(HasSubstr("200 OK")));
}

TEST_F(HttpServerTest, NotificationsArePosted) {
  EXPECT_THAT(Post("Authorization: Bearer s\r\nContent-Length: 4\r\n", "body"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(posted_, "hub|Bearer s|body");
  EXPECT_THAT(Get("/v1/notifications/hub"), Not(StartsWith("HTTP/1.1 200")));
}

TEST_F(HttpServerTest, RefusalsSayWhatToDo) {
  answer_ = absl::UnavailableError("later");
  EXPECT_THAT(Post("Content-Length: 1\r\n", "x"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: 1"),
                    HasSubstr("later")));
  answer_ = absl::ResourceExhaustedError("too many");
  EXPECT_THAT(Post("Content-Length: 1\r\n", "x"),
              AllOf(StartsWith("HTTP/1.1 429"), HasSubstr("Retry-After: 1")));
  answer_ = absl::UnauthenticatedError("no");
  EXPECT_THAT(
      Post("Content-Length: 1\r\n", "x"),
      AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("WWW-Authenticate: Bearer")));
  answer_ = absl::NotFoundError("no such store");
  EXPECT_THAT(Post("Content-Length: 1\r\n", "x"), StartsWith("HTTP/1.1 404"));
  answer_ = absl::InvalidArgumentError("not an envelope");
  EXPECT_THAT(Post("Content-Length: 1\r\n", "x"), StartsWith("HTTP/1.1 400"));
  answer_ = absl::DataLossError("the database");
  EXPECT_THAT(Post("Content-Length: 1\r\n", "x"), StartsWith("HTTP/1.1 500"));
}

TEST_F(HttpServerTest, BodiesAreBounded) {
  EXPECT_THAT(Post("Content-Length: 4194305\r\n", ""),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Post("Content-Length: 99999999999999999999\r\n", ""),
              Not(StartsWith("HTTP/1.1 200")));
  EXPECT_EQ(posted_, "");
}

TEST_F(HttpServerTest, WhoMayNotPostIsToldBeforeTheBody) {
  EXPECT_THAT(Post("Content-Length: 4194304\r\n", "half of it"),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("its end")));
  admitted_ = absl::UnauthenticatedError("no");
  EXPECT_THAT(Post("Content-Length: 4194304\r\n", "half of it"),
              StartsWith("HTTP/1.1 401"));
  EXPECT_EQ(posted_, "");
}

TEST_F(HttpServerTest, APageWithoutAFunctionIsNotThere) {
  auto server = HttpServer::Start("127.0.0.1:0", {});
  ASSERT_THAT(server, base::IsOk());
  server_ = *std::move(server);
  EXPECT_THAT(Get("/metrics"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Post("Content-Length: 1\r\n", "x"),
              Not(StartsWith("HTTP/1.1 200")));
}

TEST_F(HttpServerTest, ATakenPortIsAnError) {
  const std::string address = "127.0.0.1:" + std::to_string(server_->port());
  EXPECT_THAT(HttpServer::Start(address, {}),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace reclaim::server
