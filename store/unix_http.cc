#include "store/unix_http.h"

#include <curl/curl.h>

#include <memory>
#include <mutex>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace reclaim::store {
namespace {

// More than any list that an engine gives; what is larger is not an answer.
constexpr size_t kBodyBytesMax = size_t{64} << 20;
constexpr long kConnectMilliseconds = 2000;

using Curl = std::unique_ptr<CURL, void (*)(CURL*)>;

Curl NewCurl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  return Curl(curl_easy_init(), curl_easy_cleanup);
}

size_t TakeBody(char* data, size_t, size_t size, void* to) {
  auto* answer = static_cast<HttpAnswer*>(to);
  if (answer->body.size() + size > kBodyBytesMax) return 0;
  answer->body.append(data, size);
  return size;
}

size_t TakeHeader(char* data, size_t, size_t size, void* to) {
  const absl::string_view line(data, size);
  const size_t colon = line.find(':');
  if (colon != absl::string_view::npos) {
    (*static_cast<std::map<std::string, std::string>*>(
        to))[absl::AsciiStrToLower(line.substr(0, colon))] =
        std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  }
  return size;
}

using Take = std::function<bool(absl::string_view)>;

size_t TakePiece(char* data, size_t, size_t size, void* to) {
  return (*static_cast<const Take*>(to))(absl::string_view(data, size)) ? size
                                                                        : 0;
}

int StillWanted(void* to, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<const Take*>(to))("") ? 0 : 1;
}

void SetTarget(CURL* curl, const std::string& socket,
               const std::string& target) {
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(curl, CURLOPT_URL, ("http://engine" + target).c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

absl::Status Away(const std::string& socket, CURLcode code) {
  if (code == CURLE_WRITE_ERROR) {
    return absl::ResourceExhaustedError(absl::StrCat(
        socket, ": the answer is larger than ", kBodyBytesMax, " bytes"));
  }
  return absl::UnavailableError(absl::StrCat(
      "the engine at ", socket, " does not answer (", curl_easy_strerror(code),
      "); is it running, and is the socket's path right?"));
}

}  // namespace

absl::StatusOr<HttpAnswer> UnixHttp::Ask(absl::string_view method,
                                         const std::string& target,
                                         absl::Duration patience) const {
  const Curl curl = NewCurl();
  if (curl == nullptr) return absl::ResourceExhaustedError("no memory");
  HttpAnswer answer;
  SetTarget(curl.get(), socket_, target);
  curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST,
                   std::string(method).c_str());
  if (method == "POST") curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, "");
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(patience)));
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, TakeBody);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, TakeHeader);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &answer.headers);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) return Away(socket_, code);
  long http = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &http);
  answer.code = static_cast<int>(http);
  return answer;
}

absl::Status UnixHttp::Stream(const std::string& target,
                              const Take& take) const {
  const Curl curl = NewCurl();
  if (curl == nullptr) return absl::ResourceExhaustedError("no memory");
  bool is_wanted = true;
  const Take guarded = [&](absl::string_view piece) {
    is_wanted = is_wanted && take(piece);
    return is_wanted;
  };
  SetTarget(curl.get(), socket_, target);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, TakePiece);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &guarded);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, StillWanted);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &guarded);
  const CURLcode code = curl_easy_perform(curl.get());
  if (!is_wanted) return absl::OkStatus();
  return Away(socket_, code);
}

std::string UrlEscape(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
        c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      absl::StrAppend(
          &out, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
  }
  return out;
}

}  // namespace reclaim::store
