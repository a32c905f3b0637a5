#include "base/byte_size.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace reclaim::base {

std::string FormatBytes(uint64_t bytes) {
  static const char* const kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000.0 && unit + 1 < std::size(kUnits)) {
    value /= 1000.0;
    ++unit;
  }
  return absl::StrFormat("%.4g%s", value, kUnits[unit]);
}

absl::StatusOr<uint64_t> ParseBytes(absl::string_view text) {
  const auto fail = [&] {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a size: \"", text, "\"; write for example 512MiB, 10GB or 1024"));
  };
  const size_t split = text.find_first_not_of("0123456789.");
  double number = 0;
  if (!absl::SimpleAtod(text.substr(0, std::min(split, text.size())), &number))
    return fail();
  std::string unit = split == absl::string_view::npos
                         ? ""
                         : absl::AsciiStrToLower(text.substr(split));
  if (!unit.empty() && unit.back() == 'b') unit.pop_back();
  double base = 1000;
  if (!unit.empty() && unit.back() == 'i') {
    base = 1024;
    unit.pop_back();
    if (unit.empty()) return fail();
  }
  if (unit.size() > 1) return fail();
  if (!unit.empty()) {
    const size_t power = absl::string_view("kmgtpe").find(unit[0]);
    if (power == absl::string_view::npos) return fail();
    number *= std::pow(base, static_cast<double>(power + 1));
  }
  if (!(number >= 0) || number >= 9223372036854775808.0) return fail();
  return static_cast<uint64_t>(std::llround(number));
}

std::string FormatAge(absl::Duration age) {
  const int64_t seconds = absl::ToInt64Seconds(age);
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return absl::StrCat(seconds, " seconds");
  const int64_t minutes = absl::ToInt64Minutes(age);
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return absl::StrCat(minutes, " minutes");
  const int64_t hours = std::llround(absl::ToDoubleHours(age));
  if (hours == 1) return "About an hour";
  if (hours < 48) return absl::StrCat(hours, " hours");
  if (hours < 24 * 7 * 2) return absl::StrCat(hours / 24, " days");
  if (hours < 24 * 30 * 2) return absl::StrCat(hours / 24 / 7, " weeks");
  if (hours < 24 * 365 * 2) return absl::StrCat(hours / 24 / 30, " months");
  return absl::StrCat(hours / 24 / 365, " years");
}

int Percent(uint64_t part, uint64_t whole) {
  if (part >= whole) return whole == 0 ? 0 : 100;
  if (part <= UINT64_MAX / 100) return static_cast<int>(part * 100 / whole);
  // As good as exact where a hundredth is more than 10^15.
  return static_cast<int>(std::min<uint64_t>(part / (whole / 100), 99));
}

}  // namespace reclaim::base
