#include "server/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

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

  absl::Status ready_;
  std::unique_ptr<HttpServer> server_;
};

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

TEST_F(HttpServerTest, ATakenPortIsAnError) {
  const std::string address = "127.0.0.1:" + std::to_string(server_->port());
  EXPECT_THAT(HttpServer::Start(address, {}),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace reclaim::server
