#include "gc/eviction.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "base/check.h"
#include "gc/eviction_state.h"
#include "gc/fair_shares.h"
#include "gc/small_set.h"

namespace reclaim::gc {
namespace {

using Candidates = std::vector<uint32_t>;

// What is left to choose from once others are chosen: the pieces that the
// candidates in `among` can free by themselves.
struct Residual {
  EvictionProblem problem;
  Candidates candidates;  // numbers in the whole problem
};

Residual MakeResidual(const EvictionProblem& whole, const EvictionState& state,
                      const Candidates& among) {
  constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  std::vector<uint32_t> users(whole.piece_count(), 0);
  for (const uint32_t candidate : among) {
    for (const uint32_t piece : whole.pieces(candidate)) ++users[piece];
  }
  std::vector<uint32_t> number(whole.piece_count(), kNone);
  Residual residual;
  residual.candidates = among;
  for (const uint32_t candidate : among) {
    Candidates pieces;
    for (const uint32_t piece : whole.pieces(candidate)) {
      if (users[piece] < state.users_left(piece)) continue;
      if (number[piece] == kNone) {
        number[piece] = residual.problem.AddPiece(whole.bytes(piece));
      }
      pieces.push_back(number[piece]);
    }
    residual.problem.AddCandidate(whole.tier(candidate), pieces);
  }
  return residual;
}

// The tiers in order, but that of no regret.
std::map<uint32_t, Candidates> Tiers(const EvictionProblem& problem) {
  std::map<uint32_t, Candidates> tiers;
  for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
    tiers[problem.tier(i)].push_back(i);
  }
  return tiers;
}

class Chooser {
 public:
  Chooser(const EvictionProblem& problem, const std::function<void()>& yield)
      : problem_(problem),
        yield_(yield),
        state_(problem),
        tiers_(Tiers(problem)) {}

  Eviction Run(uint64_t target_bytes) {
    Eviction eviction;
    if (target_bytes == 0) return eviction;
    Yield();
    const uint64_t most = FreedByAll();
    Yield();
    const uint64_t target = std::min(target_bytes, most);
    eviction.short_by_bytes = target_bytes - target;
    eviction.lower_bound_count = Bound(target);
    for (const auto& [tier, candidates] : tiers_) {
      if (state_.freed_bytes() >= target) break;
      TakeTier(candidates, target);
      Yield();
    }
    PeelAll(target);
    for (uint32_t i = 0; i < problem_.candidate_count(); ++i) {
      if (!state_.IsChosen(i)) continue;
      eviction.chosen.push_back(i);
      if (problem_.tier(i) != kNoRegretTier) ++eviction.evicted_count;
    }
    eviction.freed_bytes = state_.freed_bytes();
    RECLAIM_CHECK(eviction.freed_bytes >= target, "a target is missed");
    RECLAIM_CHECK(eviction.evicted_count >= eviction.lower_bound_count,
                  "fewer than the proven bound");
    return eviction;
  }

 private:
  void Yield() const {
    if (yield_) yield_();
  }

  uint64_t FreedByAll() const {
    EvictionState all(problem_);
    for (uint32_t i = 0; i < problem_.candidate_count(); ++i) all.Take(i);
    return all.freed_bytes();
  }

  // Of candidates that cost something, once all others are taken.
  uint64_t Bound(uint64_t target) {
    EvictionState state = state_;
    Candidates costly;
    for (const auto& [tier, candidates] : tiers_) {
      for (const uint32_t candidate : candidates) {
        if (tier == kNoRegretTier) state.Take(candidate);
      }
      if (tier != kNoRegretTier) {
        costly.insert(costly.end(), candidates.begin(), candidates.end());
      }
    }
    if (state.freed_bytes() >= target) return 0;
    const Residual residual = MakeResidual(problem_, state, costly);
    std::vector<uint64_t> shares = FairShares(residual.problem, yield_);
    const uint64_t bound =
        LowerBoundCount(shares, target - state.freed_bytes());
    if (tiers_.size() - tiers_.count(kNoRegretTier) == 1) {
      shares_ = std::move(shares);
    }
    return bound;
  }

  // All of it, or as few of it as reach the target.
  void TakeTier(const Candidates& candidates, uint64_t target) {
    const EvictionState before = state_;
    for (const uint32_t candidate : candidates) state_.Take(candidate);
    if (state_.freed_bytes() <= target) return;
    state_ = before;
    const Residual residual = MakeResidual(problem_, state_, candidates);
    const bool is_only_tier = shares_.size() == candidates.size() &&
                              problem_.tier(candidates[0]) != kNoRegretTier;
    const std::vector<uint64_t> shares =
        is_only_tier ? shares_ : FairShares(residual.problem, yield_);
    for (const uint32_t chosen : ChooseSmallSet(
             residual.problem, shares, target - state_.freed_bytes(), yield_)) {
      state_.Take(residual.candidates[chosen]);
    }
  }

  // What is most regretted is left out first.
  void PeelAll(uint64_t target) {
    for (auto tier = tiers_.rbegin(); tier != tiers_.rend(); ++tier) {
      Candidates chosen;
      for (const uint32_t candidate : tier->second) {
        if (state_.IsChosen(candidate)) chosen.push_back(candidate);
      }
      std::reverse(chosen.begin(), chosen.end());
      Peel(chosen, target, &state_);
    }
  }

  const EvictionProblem& problem_;
  const std::function<void()>& yield_;
  EvictionState state_;
  const std::map<uint32_t, Candidates> tiers_;
  // Of the only tier that costs something; empty if there are several.
  std::vector<uint64_t> shares_;
};

}  // namespace

uint32_t EvictionProblem::AddPiece(uint64_t bytes) {
  piece_bytes_.push_back(bytes);
  return piece_count() - 1;
}

uint32_t EvictionProblem::AddCandidate(uint32_t tier,
                                       absl::Span<const uint32_t> pieces) {
  pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
  first_piece_.push_back(pieces_.size());
  tiers_.push_back(tier);
  return candidate_count() - 1;
}

Eviction ChooseEvictions(const EvictionProblem& problem, uint64_t target_bytes,
                         const std::function<void()>& yield) {
  return Chooser(problem, yield).Run(target_bytes);
}

uint64_t FreedBytes(const EvictionProblem& problem,
                    absl::Span<const uint32_t> chosen) {
  EvictionState state(problem);
  for (const uint32_t candidate : chosen) state.Take(candidate);
  return state.freed_bytes();
}

}  // namespace reclaim::gc
