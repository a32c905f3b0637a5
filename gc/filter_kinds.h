// gc/filter_kinds.h — which keys and which clocks a filter of each kind has.
//
// SEMANTICS.md rule 2: a term that the kind cannot carry is an error before
// anything is deleted.  A clock that a kind does not have would select nothing,
// in silence.  docs/FILTERS.md is the reference; filter_kinds_test holds it to
// this.

#ifndef RECLAIM_GC_FILTER_KINDS_H_
#define RECLAIM_GC_FILTER_KINDS_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "gc/filter.h"

namespace reclaim::gc {

// "images", "system prune": for messages and the reference.
const char* ToString(FilterTarget target);

// "until" stands for all terms that name a clock.
const std::set<std::string>& KeysOf(FilterTarget target);

// All of them, in the order of the reference.
absl::Span<const TimeClock> AllClocks();

// In the order of the reference; none where no filter may name a time.  Those
// of kSystem are the clocks of any kind that it runs over: a kind without the
// clock keeps what it has, for a missing time keeps (rule 3).
const std::vector<TimeClock>& ClocksOf(FilterTarget target);

// INVALID_ARGUMENT names the clock, the kind and the clocks that it has.
absl::Status CheckClock(TimeClock clock, FilterTarget target);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_FILTER_KINDS_H_
