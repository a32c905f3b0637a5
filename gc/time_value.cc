#include "gc/time_value.h"

#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace reclaim::gc {
namespace {

constexpr absl::string_view kDigits = "0123456789";
constexpr size_t kFractionDigitsMax = 20;

absl::Status NotATime(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "not a time: \"", text,
      "\"; write a duration back from now (24h, 1h30m), a date (2026-01-02), "
      "RFC 3339 (2026-01-02T15:04:05Z) or Unix seconds (1767323045.5)"));
}

// "123" or "123.456"; digits of a fraction beyond nine are cut off.
absl::StatusOr<absl::Time> ParseUnixSeconds(absl::string_view text) {
  const size_t dot = text.find('.');
  const absl::string_view whole = text.substr(0, dot);
  int64_t seconds = 0;
  if (whole.find_first_not_of(kDigits) != absl::string_view::npos ||
      !absl::SimpleAtoi(whole, &seconds)) {
    return NotATime(text);
  }
  int64_t nanos = 0;
  if (dot != absl::string_view::npos) {
    std::string fraction(text.substr(dot + 1));
    if (fraction.empty() || fraction.size() > kFractionDigitsMax ||
        fraction.find_first_not_of("0123456789") != std::string::npos) {
      return NotATime(text);
    }
    fraction.resize(9, '0');
    if (!absl::SimpleAtoi(fraction, &nanos)) return NotATime(text);
  }
  return absl::FromUnixSeconds(seconds) + absl::Nanoseconds(nanos);
}

}  // namespace

absl::StatusOr<absl::Time> ParseTimeValue(absl::string_view text,
                                          absl::Time now, absl::TimeZone zone) {
  text = absl::StripAsciiWhitespace(text);
  // absl::ParseTime() knows words ("infinite-future"), signs and short years.
  if (text.empty() || (!absl::ascii_isdigit(text[0]) && text[0] != '.')) {
    return NotATime(text);
  }
  const size_t dash = text.find('-');
  if (dash != absl::string_view::npos && dash != 4) return NotATime(text);
  std::string error;
  absl::Time time;
  for (const char* format :
       {absl::RFC3339_full, "%Y-%m-%dT%H:%M:%E*S", "%Y-%m-%dT%H:%M%Ez",
        "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H%Ez", "%Y-%m-%dT%H", "%Y-%m-%d%Ez",
        "%Y-%m-%d"}) {
    if (absl::ParseTime(format, text, zone, &time, &error)) return time;
  }
  // A '-' belongs to a date: what is no date by now is an error, never a number
  // or a negative duration.
  if (dash != absl::string_view::npos) return NotATime(text);
  if (text.find_first_not_of("0123456789.") == absl::string_view::npos) {
    return ParseUnixSeconds(text);
  }
  absl::Duration back;
  if (absl::ParseDuration(std::string(text), &back) &&
      back != absl::InfiniteDuration() && back >= absl::ZeroDuration()) {
    return now - back;
  }
  return NotATime(text);
}

}  // namespace reclaim::gc
