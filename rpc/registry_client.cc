#include "rpc/registry_client.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/random.h"
#include "base/status_macros.h"

namespace reclaim::rpc {
namespace {

constexpr size_t kHeadBytesMax = 16384;

struct Address {
  std::string host;
  std::string port = "80";
};

// absl::SimpleAtoi() takes signs and blanks as well.
bool AreDigits(absl::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("0123456789") == absl::string_view::npos;
}

absl::StatusOr<Address> ParseUrl(absl::string_view url) {
  const absl::Status wrong = absl::InvalidArgumentError(absl::StrCat(
      "registry_url: \"", url, "\" is not http://HOST:PORT of the registry"));
  if (!absl::ConsumePrefix(&url, "http://")) return wrong;
  absl::ConsumeSuffix(&url, "/");
  Address address;
  absl::string_view host = url;
  const size_t colon = url.rfind(':');
  if (colon != absl::string_view::npos && !absl::EndsWith(url, "]")) {
    host = url.substr(0, colon);
    address.port = std::string(url.substr(colon + 1));
    int port = 0;
    if (!AreDigits(address.port) || !absl::SimpleAtoi(address.port, &port) ||
        port < 1 || port > 65535) {
      return wrong;
    }
  }
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  for (const char c : host) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '-' && c != ':') {
      return wrong;
    }
  }
  if (host.empty()) return wrong;
  address.host = std::string(host);
  return address;
}

absl::Status Failed(const std::string& url, const char* what) {
  return absl::UnavailableError(absl::StrCat("the registry at ", url, ": ",
                                             what, ": ", std::strerror(errno)));
}

class Connection final : public gc::RegistryConversation {
 public:
  Connection(std::string url, std::string host, std::string user_agent, int fd)
      : url_(std::move(url)),
        host_(std::move(host)),
        user_agent_(std::move(user_agent)),
        fd_(fd) {}
  ~Connection() override { Close(); }

  absl::StatusOr<bool> HasBlob(const std::string& repository,
                               const oci::Digest& digest) override;

 private:
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  absl::Status Send(absl::string_view text);
  // Up to the blank line; a HEAD has no body.
  absl::StatusOr<std::string> ReadHead();
  absl::StatusOr<int> Ask(const std::string& path);

  const std::string url_;
  const std::string host_;
  const std::string user_agent_;
  int fd_;
};

absl::Status Connection::Send(absl::string_view text) {
  while (!text.empty()) {
    const ssize_t n = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Failed(url_, "send");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Connection::ReadHead() {
  std::string head;
  while (!absl::EndsWith(head, "\r\n\r\n")) {
    char c = 0;
    const ssize_t n = recv(fd_, &c, 1, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed(url_, "receive");
    if (n == 0 || head.size() >= kHeadBytesMax) {
      return absl::UnavailableError(
          absl::StrCat("the registry at ", url_, " closed the connection"));
    }
    head.push_back(c);
  }
  return head;
}

absl::StatusOr<int> Connection::Ask(const std::string& path) {
  RECLAIM_RETURN_IF_ERROR(
      Send(absl::StrCat("HEAD ", path, " HTTP/1.1\r\nHost: ", host_,
                        "\r\nUser-Agent: ", user_agent_, "\r\n\r\n")));
  RECLAIM_ASSIGN_OR_RETURN(const std::string head, ReadHead());
  const absl::StatusOr<AnswerHead> answer = ReadAnswerHead(head);
  if (!answer.ok()) {
    return absl::UnavailableError(
        absl::StrCat(url_, " does not speak HTTP/1.1"));
  }
  if (answer->closes) {
    return absl::UnavailableError(
        absl::StrCat("the registry at ", url_, " keeps no connections"));
  }
  return answer->code;
}

absl::StatusOr<bool> Connection::HasBlob(const std::string& repository,
                                         const oci::Digest& digest) {
  if (fd_ < 0) {
    return absl::UnavailableError(
        absl::StrCat("the conversation with ", url_, " is over"));
  }
  const absl::StatusOr<int> code =
      Ask(absl::StrCat("/v2/", repository, "/blobs/", digest.ToString()));
  if (!code.ok()) {
    Close();
    return code.status();
  }
  if (*code == 200) return true;
  if (*code == 404) return false;
  Close();
  if (*code == 401 || *code == 403) {
    return absl::PermissionDeniedError(
        absl::StrCat("the registry at ", url_, " asks for credentials"));
  }
  return absl::UnavailableError(
      absl::StrCat("the registry at ", url_, " answers ", *code));
}

}  // namespace

absl::StatusOr<AnswerHead> ReadAnswerHead(absl::string_view head) {
  constexpr absl::string_view kVersion = "HTTP/1.1 ";
  constexpr size_t kCodeSize = 3;
  AnswerHead answer;
  const std::vector<absl::string_view> lines = absl::StrSplit(head, "\r\n");
  absl::string_view code = lines[0];
  // What the code means may stand behind it.
  if (!absl::ConsumePrefix(&code, kVersion) ||
      code.substr(0, code.find(' ')).size() != kCodeSize) {
    return absl::InvalidArgumentError("no answer of HTTP/1.1");
  }
  code = code.substr(0, kCodeSize);
  if (!AreDigits(code) || !absl::SimpleAtoi(code, &answer.code) ||
      answer.code < 100) {
    return absl::InvalidArgumentError("no answer of HTTP/1.1");
  }
  for (const absl::string_view line : lines) {
    const std::string lower = absl::AsciiStrToLower(line);
    absl::string_view value = lower;
    answer.closes |= absl::ConsumePrefix(&value, "connection:") &&
                     absl::StrContains(value, "close");
  }
  return answer;
}

absl::Status CheckRegistryUrl(const std::string& url) {
  return ParseUrl(url).status();
}

RegistryClient::RegistryClient(absl::Duration patience)
    : patience_(patience),
      user_agent_(
          absl::StrCat("reclaim/", base::RandomId(base::SystemRandom()))) {}

absl::StatusOr<std::unique_ptr<gc::RegistryConversation>> RegistryClient::Open(
    const std::string& url) {
  RECLAIM_ASSIGN_OR_RETURN(const Address address, ParseUrl(url));
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (code != 0) {
    return absl::UnavailableError(absl::StrCat(url, ": ", gai_strerror(code)));
  }
  const timeval patience = absl::ToTimeval(patience_);
  int fd = -1;
  for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
    fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) break;
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  if (fd < 0) return Failed(url, "connect");
  return std::unique_ptr<gc::RegistryConversation>(
      std::make_unique<Connection>(url, address.host, user_agent_, fd));
}

}  // namespace reclaim::rpc
