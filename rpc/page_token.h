// rpc/page_token.h — where a list goes on.
//
// A token is opaque, safe in a URL, signed (HMAC-SHA256, cut to 16 bytes) and
// bound to the arguments of the list that gave it: a token of another list, a
// changed one and one of an earlier daemon are INVALID_ARGUMENT.  Positions are
// small and hold no secret.  Thread-safe.

#ifndef RECLAIM_RPC_PAGE_TOKEN_H_
#define RECLAIM_RPC_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/random.h"

namespace reclaim::rpc {

inline constexpr int kPageSizeDefault = 100;
inline constexpr int kPageSizeMax = 1000;

// 0 is the default, more than the most is the most; negative is
// INVALID_ARGUMENT.
absl::StatusOr<int> PageSize(int32_t asked);

class PageTokens {
 public:
  explicit PageTokens(base::RandomSource* random);

  // `arguments` are those of the request but its page_size and page_token.
  std::string Make(absl::string_view arguments,
                   absl::string_view position) const;
  // "" for the empty token: the list begins.
  absl::StatusOr<std::string> Read(absl::string_view arguments,
                                   absl::string_view token) const;

 private:
  std::string Sign(absl::string_view arguments,
                   absl::string_view position) const;

  std::string key_;
};

// The arguments that a token of this request is bound to: the request without
// what differs from page to page.
template <typename Request>
std::string TokenArguments(Request request) {
  request.clear_page_size();
  request.clear_page_token();
  return request.GetTypeName() + "/" + request.SerializeAsString();
}

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_PAGE_TOKEN_H_
