#include "base/nearest_name.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/match.h"

namespace reclaim::base {
namespace {

absl::string_view LastPart(absl::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == absl::string_view::npos ? name : name.substr(dot + 1);
}

size_t Distance(absl::string_view text, absl::string_view name) {
  const absl::string_view meant = LastPart(text);
  const absl::string_view known = LastPart(name);
  size_t least = std::min(EditDistance(text, name),
                          // Right but in another section is nearly right.
                          1 + EditDistance(meant, known));
  if (!meant.empty() && absl::StartsWith(known, meant)) {
    least = std::min<size_t>(least, 2);
  }
  return least;
}

bool IsNear(absl::string_view text, absl::string_view name) {
  const absl::string_view meant = LastPart(text);
  return Distance(text, name) <= std::max<size_t>(1, (meant.size() + 1) / 3) ||
         (!meant.empty() && absl::StartsWith(LastPart(name), meant));
}

}  // namespace

size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::string NearestName(absl::string_view text,
                        const std::vector<std::string>& names) {
  const auto nearest =
      std::min_element(names.begin(), names.end(),
                       [text](const std::string& a, const std::string& b) {
                         return Distance(text, a) < Distance(text, b);
                       });
  if (nearest == names.end() || !IsNear(text, *nearest)) return "";
  return *nearest;
}

}  // namespace reclaim::base
