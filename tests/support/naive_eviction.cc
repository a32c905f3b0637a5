#include "tests/support/naive_eviction.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace reclaim::tests {
namespace {

std::vector<uint32_t> AllOf(const gc::EvictionProblem& problem) {
  std::vector<uint32_t> all;
  for (uint32_t i = 0; i < problem.candidate_count(); ++i) all.push_back(i);
  return all;
}

uint64_t CostOf(const gc::EvictionProblem& problem,
                const std::vector<uint32_t>& chosen) {
  return static_cast<uint64_t>(std::count_if(
      chosen.begin(), chosen.end(),
      [&](uint32_t i) { return problem.tier(i) != gc::kNoRegretTier; }));
}

// A needless candidate, or -1.
int NeedlessOf(const gc::EvictionProblem& problem, uint64_t target_bytes,
               const std::vector<uint32_t>& chosen) {
  for (const uint32_t left : chosen) {
    std::vector<uint32_t> others;
    for (const uint32_t i : chosen) {
      if (i != left) others.push_back(i);
    }
    if (FreedNaively(problem, others) >= target_bytes) {
      return static_cast<int>(left);
    }
  }
  return -1;
}

// Whether the lower tiers than the highest chosen one would do.
bool IsTierNeeded(const gc::EvictionProblem& problem, uint64_t target_bytes,
                  const std::vector<uint32_t>& chosen) {
  uint32_t highest = 0;
  for (const uint32_t i : chosen) {
    highest = std::max(highest, problem.tier(i));
  }
  std::vector<uint32_t> lower;
  for (const uint32_t i : AllOf(problem)) {
    if (problem.tier(i) < highest) lower.push_back(i);
  }
  return FreedNaively(problem, lower) < target_bytes;
}

}  // namespace

uint64_t FreedNaively(const gc::EvictionProblem& problem,
                      const std::vector<uint32_t>& chosen) {
  const std::set<uint32_t> goes(chosen.begin(), chosen.end());
  std::set<uint32_t> used;
  std::set<uint32_t> kept;
  for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
    for (const uint32_t piece : problem.pieces(i)) {
      used.insert(piece);
      if (goes.count(i) == 0) kept.insert(piece);
    }
  }
  uint64_t bytes = 0;
  for (const uint32_t piece : used) {
    if (kept.count(piece) == 0) bytes += problem.bytes(piece);
  }
  return bytes;
}

uint64_t FewestByTrial(const gc::EvictionProblem& problem,
                       uint64_t target_bytes) {
  uint64_t fewest = problem.candidate_count();
  for (uint32_t set = 0; set < 1u << problem.candidate_count(); ++set) {
    std::vector<uint32_t> chosen;
    for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
      if ((set >> i & 1) != 0) chosen.push_back(i);
    }
    const uint64_t cost = CostOf(problem, chosen);
    if (cost < fewest && FreedNaively(problem, chosen) >= target_bytes) {
      fewest = cost;
    }
  }
  return fewest;
}

std::string FaultOf(const gc::EvictionProblem& problem, uint64_t target_bytes,
                    const gc::Eviction& eviction) {
  const uint64_t most = FreedNaively(problem, AllOf(problem));
  const uint64_t reachable = std::min(target_bytes, most);
  const uint64_t freed = FreedNaively(problem, eviction.chosen);
  if (freed != eviction.freed_bytes) {
    return absl::StrCat("frees ", freed, ", states ", eviction.freed_bytes);
  }
  if (freed < reachable) {
    return absl::StrCat("frees ", freed, " of ", reachable);
  }
  if (eviction.short_by_bytes != target_bytes - reachable) {
    return absl::StrCat("is short by ", target_bytes - reachable, ", states ",
                        eviction.short_by_bytes);
  }
  if (CostOf(problem, eviction.chosen) != eviction.evicted_count) {
    return "miscounts what it evicts";
  }
  if (eviction.chosen.empty()) return "";
  const int needless = NeedlessOf(problem, reachable, eviction.chosen);
  if (needless >= 0) return absl::StrCat("does not need ", needless);
  if (!IsTierNeeded(problem, reachable, eviction.chosen)) {
    return "takes from a tier that it does not need";
  }
  return "";
}

}  // namespace reclaim::tests
