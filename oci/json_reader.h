// oci/json_reader.h — JSON from strangers.
//
// Manifests, configs and index.json files come from anyone who may push.  The
// reader refuses what parsers disagree about and what is made to exhaust:
// documents over 4 MiB, nesting deeper than 32, values that take more than
// 16 MiB of memory, a key twice in one object, invalid UTF-8 (TRUST.md; RFC
// 8259, section 4).
//
// Key order is preserved, so that an edited document differs where it was
// edited only.

#ifndef RECLAIM_OCI_JSON_READER_H_
#define RECLAIM_OCI_JSON_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "nlohmann/json_fwd.hpp"

namespace reclaim::oci {

// Declared only: who looks into one includes "nlohmann/json.hpp", which takes a
// compiler a second.
using Json = nlohmann::ordered_json;

inline constexpr size_t kJsonBytesMax = size_t{4} << 20;
inline constexpr int kJsonDepthMax = 32;
// Of what has been read, beside its text.  4 MiB of the densest list that has a
// use, of manifests with a name and a platform each, take 15.
inline constexpr size_t kJsonMemoryMax = size_t{16} << 20;

// INVALID_ARGUMENT says at which byte; RESOURCE_EXHAUSTED names the limit.
absl::StatusOr<Json> ReadJson(absl::string_view text,
                              size_t memory_max = kJsonMemoryMax);

// The same, and the top must be an object.
absl::StatusOr<Json> ReadJsonObject(absl::string_view text,
                                    size_t memory_max = kJsonMemoryMax);

// INVALID_ARGUMENT if a member of `object` is one of `names` but for the case
// of its letters: Go's reader, and so every registry and puller, takes it for
// that member, others do not.
absl::Status RefuseOtherCase(const Json& object,
                             absl::Span<const absl::string_view> names);

// Members of an object.  An absent member is "" or 0; one of another type is
// INVALID_ARGUMENT with its name.
absl::StatusOr<std::string> StringMember(const Json& object, const char* name);
absl::StatusOr<int64_t> IntegerMember(const Json& object, const char* name);
// nullptr if absent or null.
absl::StatusOr<const Json*> ArrayMember(const Json& object, const char* name);
absl::StatusOr<const Json*> ObjectMember(const Json& object, const char* name);

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_JSON_READER_H_
