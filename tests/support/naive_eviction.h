// tests/support/naive_eviction.h — evictions worked out the slow and obvious
// way.  FOR TESTS ONLY: the twin that gc::ChooseEvictions() is held against.

#ifndef RECLAIM_TESTS_SUPPORT_NAIVE_EVICTION_H_
#define RECLAIM_TESTS_SUPPORT_NAIVE_EVICTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "gc/eviction.h"

namespace reclaim::tests {

// Bytes of all pieces that somebody uses less those that a candidate outside
// `chosen` uses.
uint64_t FreedNaively(const gc::EvictionProblem& problem,
                      const std::vector<uint32_t>& chosen);

// The fewest candidates that cost something in any set that frees
// `target_bytes`, by trying every set.  REQUIRES: at most 20 candidates, which
// together free so much.
uint64_t FewestByTrial(const gc::EvictionProblem& problem,
                       uint64_t target_bytes);

// What is wrong with an answer: it misses the target or its own figures, holds
// a candidate that it does not need, takes from a tier although a lower one
// would do, or counts wrongly.  "" if nothing is.
std::string FaultOf(const gc::EvictionProblem& problem, uint64_t target_bytes,
                    const gc::Eviction& eviction);

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_NAIVE_EVICTION_H_
