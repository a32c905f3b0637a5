#include "rpc/registry_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"

namespace reclaim::rpc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::reclaim::base::StatusIs;

// Takes one connection and answers each request with the next of `answers`;
// then closes.
class ScriptedRegistry {
 public:
  explicit ScriptedRegistry(std::vector<std::string> answers) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(
        bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
        0);
    EXPECT_EQ(listen(listener_, 4), 0);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port));
    thread_ = std::thread([this, answers = std::move(answers)] {
      const int fd = accept(listener_, nullptr, nullptr);
      for (const std::string& answer : answers) {
        requests_.push_back(ReadRequest(fd));
        if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
      }
      close(fd);
    });
  }
  ~ScriptedRegistry() { Finish(); }

  const std::string& url() const { return url_; }
  // Waits for the script to end.
  const std::vector<std::string>& Finish() {
    if (thread_.joinable()) thread_.join();
    if (listener_ >= 0) close(listener_);
    listener_ = -1;
    return requests_;
  }

 private:
  static std::string ReadRequest(int fd) {
    std::string request;
    char c = 0;
    while (!absl::EndsWith(request, "\r\n\r\n") && recv(fd, &c, 1, 0) == 1) {
      request.push_back(c);
    }
    return request;
  }

  int listener_ = -1;
  std::string url_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

const oci::Digest kDigest = oci::Digest::Sha256Of("layer");

TEST(RegistryClientTest, AsksOnOneConnection) {
  ScriptedRegistry registry(
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
       "HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n",
       "HTTP/1.1 200 OK\r\n\r\n"});
  RegistryClient client;
  auto conversation = client.Open(registry.url());
  ASSERT_THAT(conversation, IsOk());
  EXPECT_THAT((*conversation)->HasBlob("team/app", kDigest),
              IsOkAndHolds(true));
  EXPECT_THAT((*conversation)->HasBlob("team/app", kDigest),
              IsOkAndHolds(false));
  EXPECT_THAT((*conversation)->HasBlob("team/app", kDigest),
              IsOkAndHolds(true));
  const std::vector<std::string>& requests = registry.Finish();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_TRUE(absl::StartsWith(
      requests[0], absl::StrCat("HEAD /v2/team/app/blobs/", kDigest.ToString(),
                                " HTTP/1.1\r\n")));
  EXPECT_TRUE(absl::StrContains(
      requests[0],
      absl::StrCat("\r\nUser-Agent: ", client.user_agent(), "\r\n")));
  EXPECT_NE(client.user_agent(), RegistryClient().user_agent())
      << "nobody can guess it";
}

TEST(RegistryClientTest, AConversationThatBrokeIsOver) {
  ScriptedRegistry registry({"HTTP/1.1 200 OK\r\n\r\n"});
  auto conversation = RegistryClient().Open(registry.url());
  ASSERT_THAT(conversation, IsOk());
  EXPECT_THAT((*conversation)->HasBlob("app", kDigest), IsOkAndHolds(true));
  registry.Finish();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT((*conversation)->HasBlob("app", kDigest),
                StatusIs(absl::StatusCode::kUnavailable));
  }
}

TEST(RegistryClientTest, OnlyClearAnswersCount) {
  const std::vector<std::pair<std::string, absl::StatusCode>> cases = {
      {"HTTP/1.1 401 Unauthorized\r\n\r\n",
       absl::StatusCode::kPermissionDenied},
      {"HTTP/1.1 503 Service Unavailable\r\n\r\n",
       absl::StatusCode::kUnavailable},
      {"HTTP/1.1 307 Temporary Redirect\r\n\r\n",
       absl::StatusCode::kUnavailable},
      {"HTTP/1.0 200 OK\r\n\r\n", absl::StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
       absl::StatusCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nconnection:\tClose\r\n\r\n",
       absl::StatusCode::kUnavailable},
      {"HTTP/1.1 +200 OK\r\n\r\n", absl::StatusCode::kUnavailable},
      {"HTTP/1.1 0200 OK\r\n\r\n", absl::StatusCode::kUnavailable},
      {"HTTP/1.10 200 OK\r\n\r\n", absl::StatusCode::kUnavailable},
      {"HTTP/1.1  200 OK\r\n\r\n", absl::StatusCode::kUnavailable},
      {"SSH-2.0-x\r\n\r\n", absl::StatusCode::kUnavailable},
      {std::string(20000, 'x'), absl::StatusCode::kUnavailable},
  };
  for (const auto& [answer, code] : cases) {
    ScriptedRegistry registry({answer});
    auto conversation = RegistryClient().Open(registry.url());
    ASSERT_THAT(conversation, IsOk());
    EXPECT_THAT((*conversation)->HasBlob("app", kDigest), StatusIs(code))
        << answer.substr(0, 40);
  }
}

TEST(RegistryClientTest, Urls) {
  for (const char* url : {"http://127.0.0.1:5000", "http://localhost/",
                          "http://[::1]:5000", "http://registry.local"}) {
    EXPECT_THAT(CheckRegistryUrl(url), IsOk()) << url;
  }
  for (const char* url :
       {"", "127.0.0.1:5000", "https://127.0.0.1", "http://", "http://a:0",
        "http://a:70000", "http://a:b", "http://a/v2", "http://a b",
        "http://a\r\nX: y", "http://a:+80", "http://a:80 ", "http://a:\n80"}) {
    EXPECT_THAT(CheckRegistryUrl(url),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << url;
  }
}

TEST(RegistryClientTest, AnAnswerWithoutWordsIsOne) {
  const auto head = ReadAnswerHead("HTTP/1.1 404\r\n\r\n");
  ASSERT_THAT(head, IsOk());
  EXPECT_EQ(head->code, 404);
  EXPECT_FALSE(head->closes);
}

TEST(RegistryClientTest, NobodyThere) {
  ScriptedRegistry registry({});
  const std::string url = registry.url();
  ASSERT_THAT(RegistryClient().Open(url), IsOk());
  registry.Finish();
  EXPECT_THAT(RegistryClient().Open(url),
              StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace reclaim::rpc
