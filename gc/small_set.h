// gc/small_set.h — private to gc/eviction: a small set that frees enough.
//
// One tier's problem: which candidate goes is all the same, how many go is not.
// Several beginnings are tried: the candidates of the largest fair shares (the
// sets that the min-cuts give), more or fewer of them, filled up greedily, and
// then peeled.  The smallest result is taken; one that the shares prove to be
// the smallest there is ends the search.  Pure.

#ifndef RECLAIM_GC_SMALL_SET_H_
#define RECLAIM_GC_SMALL_SET_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "gc/eviction.h"
#include "gc/eviction_state.h"

namespace reclaim::gc {

// `shares` as FairShares(problem) gives them.  REQUIRES: all candidates
// together free `target_bytes`.  `yield`, if any, is called now and then.
std::vector<uint32_t> ChooseSmallSet(const EvictionProblem& problem,
                                     absl::Span<const uint64_t> shares,
                                     uint64_t target_bytes,
                                     const std::function<void()>& yield);

// Leaves out of `state` what the target does not need, the first of `order`
// first.  Once is enough: what is left out makes others needful, never
// needless.  REQUIRES: `order` is chosen.
void Peel(absl::Span<const uint32_t> order, uint64_t target_bytes,
          EvictionState* state);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_SMALL_SET_H_
