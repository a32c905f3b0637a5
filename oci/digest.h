// oci/digest.h — a content digest, as a value of fixed size.
//
// Text form "sha256:<64 lower-case hex digits>" or "sha512:<128>" (OCI image
// specification, "Descriptors", "Digests").  Other registered-looking
// algorithms parse to UNIMPLEMENTED: what cannot be verified is not stored.

#ifndef RECLAIM_OCI_DIGEST_H_
#define RECLAIM_OCI_DIGEST_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reclaim::oci {

// Values are stored on disk: never renumber.
enum class DigestAlgorithm : uint8_t { kNone = 0, kSha256 = 1, kSha512 = 2 };
const char* ToString(DigestAlgorithm algorithm);

class Digest {
 public:
  static constexpr size_t kSizeMax = 64;

  Digest() = default;  // empty: names nothing

  // INVALID_ARGUMENT if `text` is no digest; UNIMPLEMENTED if it is one of an
  // algorithm other than sha256 and sha512.
  static absl::StatusOr<Digest> Parse(absl::string_view text);
  // INVALID_ARGUMENT if the length does not fit the algorithm.
  static absl::StatusOr<Digest> FromBytes(DigestAlgorithm algorithm,
                                          absl::string_view bytes);
  static Digest Sha256Of(absl::string_view bytes);

  bool empty() const { return algorithm_ == DigestAlgorithm::kNone; }
  DigestAlgorithm algorithm() const { return algorithm_; }
  size_t size() const;              // 0, 32 or 64
  absl::string_view bytes() const;  // size() bytes; lives as long as this
  std::string hex() const;
  std::string ToString() const;  // "sha256:…"; "" if empty
  std::string Short() const;     // the first 12 hex digits

  friend bool operator==(const Digest& a, const Digest& b) {
    return a.algorithm_ == b.algorithm_ && a.bytes_ == b.bytes_;
  }
  friend bool operator!=(const Digest& a, const Digest& b) { return !(a == b); }
  friend bool operator<(const Digest& a, const Digest& b) {
    if (a.algorithm_ != b.algorithm_) return a.algorithm_ < b.algorithm_;
    return a.bytes_ < b.bytes_;
  }
  template <typename H>
  friend H AbslHashValue(H h, const Digest& d) {
    // All of them: names in a store are anybody's, and need be no digests.
    return H::combine_contiguous(std::move(h), d.bytes_.data(), d.size());
  }

 private:
  DigestAlgorithm algorithm_ = DigestAlgorithm::kNone;
  std::array<uint8_t, kSizeMax> bytes_{};  // the tail beyond size() is zero
};

// Computes a digest of bytes that come in pieces.  Not thread-safe.
class Hasher {
 public:
  // REQUIRES: algorithm != kNone.
  explicit Hasher(DigestAlgorithm algorithm);
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void Update(absl::string_view bytes);
  Digest Finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
  DigestAlgorithm algorithm_;
};

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_DIGEST_H_
