// gc/time_value.h, base/byte_size.h, cli/units.h: what people write for times,
// spans and sizes.

#include <string>

#include "base/byte_size.h"
#include "base/check.h"
#include "cli/units.h"
#include "gc/time_value.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::gc {
namespace {

RECLAIM_FUZZ_TARGET(time_value) {
  const absl::Time now = absl::FromUnixSeconds(1700000000);
  const auto time = ParseTimeValue(input, now, absl::UTCTimeZone());
  if (time.ok()) {
    RECLAIM_CHECK(*time != absl::InfiniteFuture(),
                  "no filter takes what is yet to come");
    const auto later =
        ParseTimeValue(input, now + absl::Hours(1), absl::UTCTimeZone());
    RECLAIM_CHECK(
        later.ok() && *later >= *time && *later <= *time + absl::Hours(1),
        "an instant is fixed or goes with the clock");
  }
  const auto span = cli::ParseSpan(std::string(input));
  if (span.ok()) {
    RECLAIM_CHECK(*span >= absl::ZeroDuration(), "a span is not negative");
  }
  const auto bytes = base::ParseBytes(input);
  if (bytes.ok()) {
    RECLAIM_CHECK(*bytes <= uint64_t{1} << 63, "a size has a limit");
    RECLAIM_CHECK(
        !base::FormatBytes(*bytes).empty() && !cli::HumanSize(*bytes).empty(),
        "a size can be shown");
  }
}

}  // namespace
}  // namespace reclaim::gc
