#include "gc/policy_name.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace reclaim::gc {

absl::Status CheckPolicyName(absl::string_view what, absl::string_view name) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  const bool is_good = !name.empty() && name.size() <= 63 && is_word(name[0]) &&
                       std::all_of(name.begin(), name.end(), [&](char c) {
                         return is_word(c) || c == '.' || c == '_' || c == '-';
                       });
  if (is_good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      what, " \"", name, "\": a name is like [a-z0-9][a-z0-9._-]{0,62}"));
}

}  // namespace reclaim::gc
