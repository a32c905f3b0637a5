// gc/time_value.h — the instants that filters name.
//
// The grammar is SEMANTICS.md rule 3: Go durations back from now ("10m",
// "1h30m"; "0m" is now; a negative one is refused), RFC 3339 and its truncated
// forms, bare dates (in `zone`), Unix seconds with a fraction ("0" is the
// epoch; digits beyond nine are cut off, more than twenty refused).  Text that
// holds a '-' never falls back to Unix seconds.

#ifndef RECLAIM_GC_TIME_VALUE_H_
#define RECLAIM_GC_TIME_VALUE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace reclaim::gc {

// INVALID_ARGUMENT says which forms are understood.  Pure.
absl::StatusOr<absl::Time> ParseTimeValue(absl::string_view text,
                                          absl::Time now, absl::TimeZone zone);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_TIME_VALUE_H_
