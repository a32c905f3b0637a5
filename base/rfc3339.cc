#include "base/rfc3339.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace reclaim::base {
namespace {

constexpr absl::string_view kMoment = "0000-00-00T00:00:00";

// Whether `text` is `shape`, in which a 0 stands for any digit.
bool IsLike(absl::string_view text, absl::string_view shape) {
  return text.size() == shape.size() &&
         std::equal(
             text.begin(), text.end(), shape.begin(), [](char c, char wanted) {
               return wanted == '0'
                          ? absl::ascii_isdigit(static_cast<unsigned char>(c))
                          : c == wanted;
             });
}

}  // namespace

std::optional<absl::Time> ParseRfc3339(absl::string_view text) {
  if (!IsLike(text.substr(0, kMoment.size()), kMoment)) return std::nullopt;
  absl::string_view rest = text.substr(kMoment.size());
  if (absl::ConsumePrefix(&rest, ".")) {
    const size_t digits = rest.find_first_not_of("0123456789");
    if (digits == 0 || digits == absl::string_view::npos) return std::nullopt;
    rest.remove_prefix(digits);
  }
  if (rest != "Z" && !IsLike(rest, "+00:00") && !IsLike(rest, "-00:00")) {
    return std::nullopt;
  }
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) {
    return std::nullopt;
  }
  return time;
}

}  // namespace reclaim::base
