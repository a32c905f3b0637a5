#include "oci/digest.h"

#include <openssl/evp.h>

#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace reclaim::oci {
namespace {

size_t SizeOf(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::kSha256:
      return 32;
    case DigestAlgorithm::kSha512:
      return 64;
    case DigestAlgorithm::kNone:
      return 0;
  }
  return 0;
}

constexpr absl::string_view kLowerHex = "0123456789abcdef";
constexpr absl::string_view kAlgorithmCharacters =
    "0123456789abcdefghijklmnopqrstuvwxyz+._-";
constexpr size_t kTextSizeMax = 1024;

absl::Status NotADigest(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("not a digest: \"", absl::CHexEscape(text.substr(0, 100)),
                   "\"; write sha256: and 64 lower-case hex digits"));
}

}  // namespace

const char* ToString(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::kSha256:
      return "sha256";
    case DigestAlgorithm::kSha512:
      return "sha512";
    case DigestAlgorithm::kNone:
      return "none";
  }
  return "unknown";
}

absl::StatusOr<Digest> Digest::Parse(absl::string_view text) {
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos || colon == 0 ||
      text.size() > kTextSizeMax) {
    return NotADigest(text);
  }
  const absl::string_view name = text.substr(0, colon);
  const absl::string_view hex = text.substr(colon + 1);
  DigestAlgorithm algorithm = DigestAlgorithm::kNone;
  if (name == "sha256") algorithm = DigestAlgorithm::kSha256;
  if (name == "sha512") algorithm = DigestAlgorithm::kSha512;
  if (algorithm == DigestAlgorithm::kNone) {
    if (name.find_first_not_of(kAlgorithmCharacters) !=
            absl::string_view::npos ||
        hex.empty()) {
      return NotADigest(text);
    }
    return absl::UnimplementedError(absl::StrCat(
        "digest algorithm ", name, " is not supported; sha256 and sha512 are"));
  }
  if (hex.size() != 2 * SizeOf(algorithm) ||
      hex.find_first_not_of(kLowerHex) != absl::string_view::npos) {
    return NotADigest(text);
  }
  return FromBytes(algorithm, absl::HexStringToBytes(hex));
}

absl::StatusOr<Digest> Digest::FromBytes(DigestAlgorithm algorithm,
                                         absl::string_view bytes) {
  if (algorithm == DigestAlgorithm::kNone ||
      bytes.size() != SizeOf(algorithm)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ", oci::ToString(algorithm), " digest of ",
                     bytes.size(), " bytes cannot be"));
  }
  Digest digest;
  digest.algorithm_ = algorithm;
  std::memcpy(digest.bytes_.data(), bytes.data(), bytes.size());
  return digest;
}

Digest Digest::Sha256Of(absl::string_view bytes) {
  Hasher hasher(DigestAlgorithm::kSha256);
  hasher.Update(bytes);
  return hasher.Finish();
}

size_t Digest::size() const { return SizeOf(algorithm_); }

absl::string_view Digest::bytes() const {
  return {reinterpret_cast<const char*>(bytes_.data()), size()};
}

std::string Digest::hex() const { return absl::BytesToHexString(bytes()); }

std::string Digest::ToString() const {
  if (empty()) return "";
  return absl::StrCat(oci::ToString(algorithm_), ":", hex());
}

std::string Digest::Short() const {
  return absl::BytesToHexString(bytes().substr(0, 6));
}

struct Hasher::State {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(digest); }
};

Hasher::Hasher(DigestAlgorithm algorithm)
    : state_(std::make_unique<State>()), algorithm_(algorithm) {
  const EVP_MD* md =
      algorithm == DigestAlgorithm::kSha512 ? EVP_sha512() : EVP_sha256();
  RECLAIM_CHECK(EVP_DigestInit_ex(state_->digest, md, nullptr) == 1,
                "OpenSSL offers SHA-2");
}

Hasher::~Hasher() = default;

void Hasher::Update(absl::string_view bytes) {
  RECLAIM_CHECK(
      EVP_DigestUpdate(state_->digest, bytes.data(), bytes.size()) == 1,
      "hashing memory cannot fail");
}

Digest Hasher::Finish() {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  RECLAIM_CHECK(EVP_DigestFinal_ex(state_->digest, out, &size) == 1,
                "hashing memory cannot fail");
  auto digest =
      Digest::FromBytes(algorithm_, {reinterpret_cast<const char*>(out), size});
  RECLAIM_CHECK(digest.ok(), "OpenSSL's digests have their standard sizes");
  return *digest;
}

}  // namespace reclaim::oci
