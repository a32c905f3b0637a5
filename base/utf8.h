// base/utf8.h — what is text.  Pure.
//
// Names on a disk are any bytes.  Records and the API hold texts (protobuf's
// `string`): bytes that are none are refused there when they are read, so they
// must not be written.

#ifndef RECLAIM_BASE_UTF8_H_
#define RECLAIM_BASE_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace reclaim::base {

// Whether `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong
// forms, nothing above U+10FFFF).  "" is, and so is a NUL.
bool IsUtf8(absl::string_view text);

// The beginning of `text` of at most `bytes_max` bytes.  Of UTF-8 it is UTF-8:
// no character is cut.
absl::string_view Utf8Prefix(absl::string_view text, size_t bytes_max);

// `text` as it is if it is UTF-8; else all of it escaped as in C ("caf\xe9"),
// to be shown.
std::string EscapeUnlessUtf8(absl::string_view text);

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_UTF8_H_
