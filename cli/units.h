// cli/units.h — sizes and ages as Docker writes and reads them.
//
// Source of the shapes: docker/go-units.  Pure.

#ifndef RECLAIM_CLI_UNITS_H_
#define RECLAIM_CLI_UNITS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"

namespace reclaim::cli {

// Base 1000 with `digits` significant ones: "16.43MB", "0B".  999.6 MB is
// "1GB", never "1e+03MB".
std::string HumanSize(uint64_t bytes, int digits = 4);

// "About an hour", "3 weeks"; with " ago" for Ago().
std::string HumanDuration(absl::Duration age);
std::string Ago(absl::Time time, absl::Time now);

// "sha256:0123…" as 12 digits.
std::string ShortId(absl::string_view digest);

// "24h", "7d", "1h30m"; never negative.  INVALID_ARGUMENT names the text.
absl::StatusOr<absl::Duration> ParseSpan(const std::string& text);
// The same to the nanosecond: what is less than a second is no "0s", which
// would mean something else.  Longer than 10,000 years is 10,000 years, the
// most that a message holds.
google::protobuf::Duration ToProto(absl::Duration span);

// "10GB", "512MiB" of a flag; INVALID_ARGUMENT names the flag.
absl::StatusOr<uint64_t> ReadSize(const char* flag, const std::string& text);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_UNITS_H_
