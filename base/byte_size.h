// base/byte_size.h — sizes and ages as people read and write them.
//
// The shapes are those of Docker's command line (docker/go-units): four
// significant digits, powers of 1000.  Pure.

#ifndef RECLAIM_BASE_BYTE_SIZE_H_
#define RECLAIM_BASE_BYTE_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace reclaim::base {

// "0B", "77.82MB", "1.084GB".
std::string FormatBytes(uint64_t bytes);

// "1024", "512MiB", "10GB", "1.5k"; units with "i" are powers of 1024.
// INVALID_ARGUMENT otherwise, or past 2^63.
absl::StatusOr<uint64_t> ParseBytes(absl::string_view text);

// "Less than a second", "About a minute", "3 weeks", as `docker ps` says it.
std::string FormatAge(absl::Duration age);

// `part` of `whole` in percent, rounded down, from 0 to 100: 99.9 % is 99, and
// nothing of nothing is 0.
int Percent(uint64_t part, uint64_t whole);

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_BYTE_SIZE_H_
