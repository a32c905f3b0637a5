#include "cli/units.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/byte_size.h"

namespace reclaim::cli {
namespace {

const char* const kUnits[] = {"B",  "kB", "MB", "GB", "TB",
                              "PB", "EB", "ZB", "YB"};

// protobuf's own limit (duration.proto).
constexpr absl::Duration kSpanMax = absl::Seconds(int64_t{315'576'000'000});

std::string Count(int64_t number, const char* unit) {
  return absl::StrCat(number, " ", unit);
}

}  // namespace

std::string HumanSize(uint64_t bytes, int digits) {
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  // What rounds up to 1000 is 1 of the next unit.
  const double limit = 1000.0 - 0.5 * std::pow(10.0, 3 - digits);
  while (value >= limit && unit + 1 < std::size(kUnits)) {
    value /= 1000.0;
    ++unit;
  }
  char text[64];
  snprintf(text, sizeof(text), "%.*g%s", digits, value, kUnits[unit]);
  return text;
}

std::string HumanDuration(absl::Duration age) {
  const int64_t seconds = absl::ToInt64Seconds(age);
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return Count(seconds, "seconds");
  const int64_t minutes = seconds / 60;
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return Count(minutes, "minutes");
  const int64_t hours =
      static_cast<int64_t>(std::round(static_cast<double>(seconds) / 3600.0));
  if (hours == 1) return "About an hour";
  if (hours < 48) return Count(hours, "hours");
  if (hours < 24 * 7 * 2) return Count(hours / 24, "days");
  if (hours < 24 * 60) return Count(hours / 24 / 7, "weeks");
  if (hours < 24 * 365 * 2) return Count(hours / 24 / 30, "months");
  return Count(hours / 24 / 365, "years");
}

std::string Ago(absl::Time time, absl::Time now) {
  return HumanDuration(now - time) + " ago";
}

std::string ShortId(absl::string_view digest) {
  const size_t colon = digest.find(':');
  if (colon != absl::string_view::npos) digest.remove_prefix(colon + 1);
  return std::string(digest.substr(0, 12));
}

absl::StatusOr<absl::Duration> ParseSpan(const std::string& text) {
  absl::string_view rest = text;
  absl::Duration days = absl::ZeroDuration();
  if (const size_t d = rest.find('d'); d != absl::string_view::npos) {
    int64_t count = 0;
    if (absl::SimpleAtoi(rest.substr(0, d), &count)) {
      days = absl::Hours(24) * count;
      rest.remove_prefix(d + 1);
    }
  }
  absl::Duration parsed;
  const bool is_read =
      (rest.empty() && !text.empty()) || absl::ParseDuration(rest, &parsed);
  if (is_read && days >= absl::ZeroDuration() &&
      parsed >= absl::ZeroDuration()) {
    return days + parsed;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no duration; write 24h, 7d or 1h30m"));
}

google::protobuf::Duration ToProto(absl::Duration span) {
  absl::Duration rest;
  const int64_t seconds =
      absl::IDivDuration(std::min(span, kSpanMax), absl::Seconds(1), &rest);
  google::protobuf::Duration message;
  message.set_seconds(seconds);
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return message;
}

absl::StatusOr<uint64_t> ReadSize(const char* flag, const std::string& text) {
  const auto bytes = base::ParseBytes(text);
  if (bytes.ok()) return *bytes;
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": ", bytes.status().message()));
}

}  // namespace reclaim::cli
