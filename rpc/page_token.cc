#include "rpc/page_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace reclaim::rpc {
namespace {

constexpr size_t kSignatureBytes = 16;
constexpr int kKeyWords = 4;

absl::Status NotOurs() {
  return absl::InvalidArgumentError(
      "page_token: not a token that this list gave; begin the list anew with "
      "an empty page_token");
}

}  // namespace

absl::StatusOr<int> PageSize(int32_t asked) {
  if (asked < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size: ", asked, " is negative"));
  }
  return asked == 0 ? kPageSizeDefault : std::min(asked, kPageSizeMax);
}

PageTokens::PageTokens(base::RandomSource* random) {
  for (int i = 0; i < kKeyWords; ++i) {
    const uint64_t word = random->Next();
    key_.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
}

std::string PageTokens::Sign(absl::string_view arguments,
                             absl::string_view position) const {
  const std::string text =
      absl::StrCat(arguments.size(), ":", arguments, position);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const unsigned char* signed_bytes =
      HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           digest, &size);
  RECLAIM_CHECK(signed_bytes != nullptr && size >= kSignatureBytes,
                "OpenSSL computes HMAC-SHA256");
  return std::string(reinterpret_cast<const char*>(digest), kSignatureBytes);
}

std::string PageTokens::Make(absl::string_view arguments,
                             absl::string_view position) const {
  return absl::WebSafeBase64Escape(
      absl::StrCat(Sign(arguments, position), position));
}

absl::StatusOr<std::string> PageTokens::Read(absl::string_view arguments,
                                             absl::string_view token) const {
  if (token.empty()) return std::string();
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(token, &bytes) ||
      bytes.size() <= kSignatureBytes) {
    return NotOurs();
  }
  std::string position = bytes.substr(kSignatureBytes);
  const std::string expected = Sign(arguments, position);
  if (CRYPTO_memcmp(expected.data(), bytes.data(), kSignatureBytes) != 0) {
    return NotOurs();
  }
  return position;
}

}  // namespace reclaim::rpc
