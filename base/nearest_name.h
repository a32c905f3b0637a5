// base/nearest_name.h — which known name somebody meant.  Pure.

#ifndef RECLAIM_BASE_NEAREST_NAME_H_
#define RECLAIM_BASE_NEAREST_NAME_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace reclaim::base {

// Insertions, removals and replacements of bytes that turn one into the other
// (Levenshtein).  Time |a|·|b|, space |b|.
size_t EditDistance(absl::string_view a, absl::string_view b);

// The name out of `names` that is nearest to `text`; the first of equals, "" if
// none is near: what was typed by mistake differs in about a third of its bytes
// at most, or in one.  Names are dotted: the last part alone counts too, and so
// does a last part that was cut short ("grace" is near "gc.grace_period").
std::string NearestName(absl::string_view text,
                        const std::vector<std::string>& names);

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_NEAREST_NAME_H_
