// oci/json_syntax.h — private to the reader: is a text JSON, and how much
// memory does what it says take?  Pure.
//
// One pass that builds nothing, ahead of nlohmann's.  That parser's lexer holds
// all of the token that it reads, with the blanks before it, and quotes it in
// its errors, where each blank takes eight bytes: a megabyte of blanks before a
// wrong letter took thirty.  So it is given nothing but JSON, and of that no
// more than there is room for.

#ifndef RECLAIM_OCI_JSON_SYNTAX_H_
#define RECLAIM_OCI_JSON_SYNTAX_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reclaim::oci {

inline constexpr size_t kJsonNumberBytesMax = 1024;
// An object of more members has a set of their names while it is read.
inline constexpr size_t kJsonFewMembers = 16;

struct JsonShape {
  // How many elements or members each array and object has, in the order in
  // which they begin.
  std::vector<uint32_t> sizes;
  // The most that the document takes, with room for just so many.
  size_t memory_bytes = 0;
};

// INVALID_ARGUMENT says at which byte it is no JSON (RFC 8259, in UTF-8; a byte
// order mark is passed over); RESOURCE_EXHAUSTED names the limit: arrays and
// objects in one another, the bytes of a number, the memory.
absl::StatusOr<JsonShape> CheckJson(absl::string_view text, size_t depth_max,
                                    size_t memory_max);

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_JSON_SYNTAX_H_
