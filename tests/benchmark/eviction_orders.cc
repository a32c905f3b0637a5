#include "tests/benchmark/eviction_orders.h"

#include <algorithm>
#include <numeric>

namespace reclaim::tests {

gc::EvictionProblem ProblemOf(const ImagePopulation& population) {
  gc::EvictionProblem problem;
  for (const uint64_t bytes : population.layer_bytes) problem.AddPiece(bytes);
  for (const auto& layers : population.images) problem.AddCandidate(1, layers);
  return problem;
}

std::vector<uint32_t> UpTo(size_t count) {
  std::vector<uint32_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<uint32_t> LargestFirst(const gc::EvictionProblem& problem) {
  std::vector<uint64_t> sizes;
  for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
    uint64_t bytes = 0;
    for (const uint32_t piece : problem.pieces(i)) {
      bytes += problem.bytes(piece);
    }
    sizes.push_back(bytes);
  }
  std::vector<uint32_t> order = UpTo(sizes.size());
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return sizes[a] > sizes[b]; });
  return order;
}

size_t CountInOrder(const gc::EvictionProblem& problem,
                    const std::vector<uint32_t>& order, uint64_t target) {
  // FreedBytes() grows with the beginning.
  size_t low = 0;
  size_t high = order.size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const std::vector<uint32_t> begin(
        order.begin(), order.begin() + static_cast<ptrdiff_t>(middle));
    if (gc::FreedBytes(problem, begin) >= target) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace reclaim::tests
