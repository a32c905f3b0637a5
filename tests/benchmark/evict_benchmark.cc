// How many images must go to free 10, 25, 50 and 75 % of what images alone
// keep: ours beside least recently used, largest first and the proven lower
// bound.
//
//   bazel run --config=release //tests/benchmark:evict_benchmark [SEED]
//
// The oracle runs first: small problems against trial of every set, and the
// bytes of every answer worked out anew.  Each choice is timed three times; the
// best counts.  The exit code is 1 if the oracle finds anything, if an answer
// has more than 1.02 times the bound, or if a release build takes more
// than 50 ms for 2,000 candidates or a second for 100,000.

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "gc/eviction.h"
#include "tests/benchmark/eviction_orders.h"
#include "tests/benchmark/image_population.h"
#include "tests/support/naive_eviction.h"

namespace reclaim::tests {
namespace {

constexpr int kTimings = 3;

#ifdef NDEBUG
constexpr bool kIsRelease = true;
#else
constexpr bool kIsRelease = false;
#endif

bool SmallProblemsAgree(uint64_t seed) {
  std::mt19937_64 random(seed);
  for (int round = 0; round < 1000; ++round) {
    gc::EvictionProblem problem;
    const uint32_t piece_count = 1 + random() % 9;
    for (uint32_t i = 0; i < piece_count; ++i) problem.AddPiece(random() % 50);
    for (uint64_t i = random() % 12; i > 0; --i) {
      std::vector<uint32_t> pieces;
      for (uint32_t piece = 0; piece < piece_count; ++piece) {
        if (random() % 3 == 0) pieces.push_back(piece);
      }
      problem.AddCandidate(static_cast<uint32_t>(random() % 3), pieces);
    }
    const uint64_t target = 1 + random() % 200;
    const gc::Eviction eviction = gc::ChooseEvictions(problem, target);
    const std::string fault = FaultOf(problem, target, eviction);
    const uint64_t fewest =
        FewestByTrial(problem, target - eviction.short_by_bytes);
    if (!fault.empty() || eviction.lower_bound_count > fewest) {
      std::printf("oracle: seed %" PRIu64 " round %d: %s, bound %" PRIu64
                  " of %" PRIu64 "\n",
                  seed, round, fault.c_str(), eviction.lower_bound_count,
                  fewest);
      return false;
    }
  }
  return true;
}

// The choice, and the best of its times.
gc::Eviction Choose(const gc::EvictionProblem& problem, uint64_t target,
                    absl::Duration* best) {
  gc::Eviction eviction;
  *best = absl::InfiniteDuration();
  for (int i = 0; i < kTimings; ++i) {
    const absl::Duration begin = base::SystemClock()->Monotonic();
    eviction = gc::ChooseEvictions(problem, target);
    *best = std::min(*best, base::SystemClock()->Monotonic() - begin);
  }
  return eviction;
}

bool Measure(uint32_t image_count, uint64_t seed, absl::Duration time_max) {
  const ImagePopulation population = MakePopulation(image_count, seed);
  const gc::EvictionProblem problem = ProblemOf(population);
  const uint64_t total = gc::FreedBytes(problem, UpTo(image_count));
  const std::vector<uint32_t> by_age = UpTo(image_count);
  const std::vector<uint32_t> by_size = LargestFirst(problem);
  std::printf("\n%u candidates, %u layers, %" PRIu64 " edges, %.1f GB\n",
              image_count, problem.piece_count(), population.edge_count(),
              static_cast<double>(total) / 1e9);
  std::printf("%8s %8s %8s %8s %8s %8s %10s\n", "target", "lru", "largest",
              "ours", "bound", "ratio", "time");
  bool is_good = true;
  for (const uint64_t percent : {10, 25, 50, 75}) {
    const uint64_t target = total / 100 * percent;
    absl::Duration took;
    const gc::Eviction eviction = Choose(problem, target, &took);
    const double ratio = static_cast<double>(eviction.evicted_count) /
                         static_cast<double>(eviction.lower_bound_count);
    const uint64_t freed = FreedNaively(problem, eviction.chosen);
    std::printf(
        "%7" PRIu64 "%% %8zu %8zu %8" PRIu64 " %8" PRIu64 " %8.4f %7.1f ms\n",
        percent, CountInOrder(problem, by_age, target),
        CountInOrder(problem, by_size, target), eviction.evicted_count,
        eviction.lower_bound_count, ratio, absl::ToDoubleMilliseconds(took));
    if (freed != eviction.freed_bytes || freed < target) {
      std::printf("oracle: frees %" PRIu64 ", states %" PRIu64 "\n", freed,
                  eviction.freed_bytes);
      is_good = false;
    }
    is_good &= ratio <= kEvictionRatioMax;
    is_good &= !kIsRelease || took <= time_max;
  }
  std::printf("at most %.2f times the bound and %.0f ms%s\n", kEvictionRatioMax,
              absl::ToDoubleMilliseconds(time_max),
              kIsRelease ? "" : " (the time is judged in a release build)");
  return is_good;
}

int Run(uint64_t seed) {
  std::printf("seed %" PRIu64 "\n", seed);
  bool is_good = SmallProblemsAgree(seed);
  is_good &= Measure(2'000, seed, absl::Milliseconds(50));
  is_good &= Measure(100'000, seed, absl::Seconds(1));
  std::printf("\n%s\n", is_good ? "good" : "NOT GOOD");
  return is_good ? 0 : 1;
}

}  // namespace
}  // namespace reclaim::tests

int main(int argc, char** argv) {
  return reclaim::tests::Run(argc > 1 ? std::strtoull(argv[1], nullptr, 10)
                                      : 20260102);
}
