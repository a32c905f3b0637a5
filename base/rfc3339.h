// base/rfc3339.h — instants as documents of others write them.  Pure.
//
// absl::ParseTime() reads more than RFC 3339 has: words ("infinite-past"),
// years with a sign or of any length, single digits, blanks.  What the tools
// that wrote the document would not read is no time here either.

#ifndef RECLAIM_BASE_RFC3339_H_
#define RECLAIM_BASE_RFC3339_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace reclaim::base {

// "2026-01-02T03:04:05Z", with a fraction and with "+01:00" as well; upper
// case, as Go's time.RFC3339.  Unset for everything else; never an infinity.
std::optional<absl::Time> ParseRfc3339(absl::string_view text);

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_RFC3339_H_
