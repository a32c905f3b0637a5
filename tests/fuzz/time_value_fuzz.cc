// gc/time_value.h, base/byte_size.h, cli/units.h: what people write for times,
// spans and sizes; base/rfc3339.h: what documents do.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/byte_size.h"
#include "base/check.h"
#include "base/rfc3339.h"
#include "cli/units.h"
#include "gc/time_value.h"
#include "google/protobuf/duration.pb.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::gc {
namespace {

constexpr int64_t kFirstSecond = -30'610'224'000;  // of the year 1000
constexpr int64_t kLastSecond = 253'402'300'799;   // of the year 9999
constexpr int64_t kSpanSecondsMax = 315'576'000'000;

// Written again, it is the same instant; and absl reads the same of it.
void CheckRfc3339(absl::string_view text) {
  const auto time = base::ParseRfc3339(text);
  if (!time) return;
  RECLAIM_CHECK(*time > absl::InfinitePast() && *time < absl::InfiniteFuture(),
                "an instant is finite");
  absl::Time other;
  RECLAIM_CHECK(absl::ParseTime(absl::RFC3339_full, text, &other, nullptr) &&
                    other == *time,
                "another reader reads the same");
  // absl writes years of fewer digits with fewer digits.
  const int64_t seconds = absl::ToUnixSeconds(*time);
  if (seconds < kFirstSecond || seconds > kLastSecond) return;
  RECLAIM_CHECK(base::ParseRfc3339(absl::FormatTime(
                    absl::RFC3339_full, *time, absl::UTCTimeZone())) == time,
                "what was written is read");
}

RECLAIM_FUZZ_TARGET(time_value) {
  CheckRfc3339(input);
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
    const google::protobuf::Duration message = cli::ToProto(*span);
    RECLAIM_CHECK(message.seconds() >= 0 && message.nanos() >= 0 &&
                      message.nanos() < 1'000'000'000 &&
                      message.seconds() <= kSpanSecondsMax,
                  "a message can hold it");
    RECLAIM_CHECK(*span < absl::Nanoseconds(1) || message.seconds() > 0 ||
                      message.nanos() > 0,
                  "what is not nothing is not sent as nothing");
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
