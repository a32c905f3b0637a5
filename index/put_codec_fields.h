// index/put_codec_fields.h — private to the codec: single fields of messages.

#ifndef RECLAIM_INDEX_PUT_CODEC_FIELDS_H_
#define RECLAIM_INDEX_PUT_CODEC_FIELDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "google/protobuf/timestamp.pb.h"
#include "index/mutation.h"
#include "index/put_codec.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::index::put_codec {

inline std::optional<absl::Time> OptionalTime(
    bool has, const google::protobuf::Timestamp& time) {
  if (!has) return std::nullopt;
  return FromProto(time);
}

// Sizes of records that are no files: one figure, logical and allocated alike.
inline std::optional<store::Bytes> OptionalBytes(bool has, uint64_t bytes) {
  if (!has) return std::nullopt;
  return store::Bytes{bytes, bytes};
}

inline absl::Status Field(const char* field, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(field, ": ", status.message()));
}

inline absl::StatusOr<oci::Digest> ParseField(const char* field,
                                              const std::string& text) {
  absl::StatusOr<oci::Digest> digest = oci::Digest::Parse(text);
  if (!digest.ok()) return Field(field, digest.status());
  return digest;
}

inline absl::StatusOr<std::optional<oci::Digest>> OptionalDigest(
    const char* field, const std::string& text) {
  if (text.empty()) return std::optional<oci::Digest>();
  RECLAIM_ASSIGN_OR_RETURN(const oci::Digest digest, ParseField(field, text));
  return std::optional<oci::Digest>(digest);
}

template <typename Map>
Labels FromMap(const Map& map) {
  return Labels(map.begin(), map.end());
}

template <typename Repeated>
std::vector<std::string> FromList(const Repeated& list) {
  return {list.begin(), list.end()};
}

// Each must be a digest; the error names the field.
template <typename Repeated>
absl::StatusOr<std::vector<oci::Digest>> Digests(const char* field,
                                                 const Repeated& texts) {
  std::vector<oci::Digest> digests;
  for (const std::string& text : texts) {
    RECLAIM_ASSIGN_OR_RETURN(digests.emplace_back(), ParseField(field, text));
  }
  return digests;
}

}  // namespace reclaim::index::put_codec

#endif  // RECLAIM_INDEX_PUT_CODEC_FIELDS_H_
