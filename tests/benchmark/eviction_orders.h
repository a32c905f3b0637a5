// tests/benchmark/eviction_orders.h — a population of images as a problem of
// eviction, and what a choice of them is held against: orders that look at each
// image alone.

#ifndef RECLAIM_TESTS_BENCHMARK_EVICTION_ORDERS_H_
#define RECLAIM_TESTS_BENCHMARK_EVICTION_ORDERS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gc/eviction.h"
#include "tests/benchmark/image_population.h"

namespace reclaim::tests {

// A choice may have so many times the images that are proven to be needed.
inline constexpr double kEvictionRatioMax = 1.02;

// Layers as pieces, images as candidates of one tier.
gc::EvictionProblem ProblemOf(const ImagePopulation& population);

// 0, 1, 2, ...: the order of age, where candidates are numbered by it.
std::vector<uint32_t> UpTo(size_t count);
std::vector<uint32_t> LargestFirst(const gc::EvictionProblem& problem);

// The shortest beginning of `order` that frees the target.
size_t CountInOrder(const gc::EvictionProblem& problem,
                    const std::vector<uint32_t>& order, uint64_t target);

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_BENCHMARK_EVICTION_ORDERS_H_
