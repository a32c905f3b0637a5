#include "server/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// What somebody says that he will send.
constexpr size_t kAnnouncedBytes = size_t{256} << 20;

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    HttpPages pages;
    pages.metrics = [this] { return metrics_; };
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

  // A connection on which `request` has been sent as it is; to be closed.
  int Connect(const std::string& request) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(
        connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    return fd;
  }
  // Sends it and reads until the end.
  std::string Send(const std::string& request) {
    const int fd = Connect(request);
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

  // How much of a body that is far too long is taken.
  size_t SendOn(const std::string& request) {
    const int fd = Connect(absl::StrCat(
        request, " HTTP/1.1\r\nHost: x\r\nContent-Length: ", kAnnouncedBytes,
        "\r\n\r\n"));
    const std::string piece(size_t{64} << 10, 'x');
    size_t sent = 0;
    while (sent < kAnnouncedBytes) {
      const ssize_t n = send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    close(fd);
    return sent;
  }

  std::string Post(const std::string& head, const std::string& body) {
    return Send(absl::StrCat("POST /v1/notifications/hub HTTP/1.1\r\nHost: x",
                             "\r\nConnection: close\r\n", head, "\r\n", body));
  }

  std::string metrics_ = "a_metric 1\n";
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

// Nor does anybody wait for the rest of one that is not wanted: who sends it
// slowly would hold a thread for ever.
TEST_F(HttpServerTest, ABodyThatNobodyWantsIsNotReadToItsEnd) {
  admitted_ = absl::UnauthenticatedError("no");
  for (const char* request :
       {"GET /livez", "GET /metrics", "HEAD /readyz", "GET /nowhere",
        "POST /v1/notifications/hub", "POST /metrics"}) {
    EXPECT_LT(SendOn(request), kAnnouncedBytes) << request;
  }
  EXPECT_EQ(posted_, "");
  // What is as long as it should be is answered, and not with a reset.
  EXPECT_THAT(Post("Content-Length: 60000\r\n", std::string(60000, 'x')),
              StartsWith("HTTP/1.1 401"));
}

TEST_F(HttpServerTest, SlowPeersStopNobody) {
  // More than lies between two ends of a connection.
  metrics_ = absl::StrCat(std::string(size_t{16} << 20, '#'), "\na_metric 1\n");
  std::vector<int> slow;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(Connect("GET /metrics HTTP/1.1\r\nHo"));
    slow.push_back(Connect("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    slow.push_back(
        Connect("POST /v1/notifications/hub HTTP/1.1\r\nHost: x\r\n"
                "Content-Length: 10\r\n\r\nx"));
  }
  EXPECT_THAT(Get("/livez"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(Get("/metrics") == Get("/metrics")) << "whole, in its pieces";
  EXPECT_THAT(Get("/metrics").substr(metrics_.size()),
              EndsWith("\na_metric 1\n"));
  EXPECT_THAT(Post("Content-Length: 4\r\n", "body"),
              StartsWith("HTTP/1.1 200"));
  for (const int fd : slow) close(fd);
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
