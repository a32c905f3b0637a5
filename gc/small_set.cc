#include "gc/small_set.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

namespace reclaim::gc {
namespace {

// Of the candidates of the largest shares that reach the target, so much is
// taken before the greedy choice begins; in per cent.
constexpr uint64_t kBeginnings[] = {100, 98, 95, 90, 80, 60, 30, 0};
// A piece's users are looked at anew whenever so few are left, and each time
// their number is halved: what it would bring them has grown.
constexpr uint32_t kFewUsers = 8;
constexpr size_t kTakenPerSlice = 256;

using Users = std::vector<std::vector<uint32_t>>;

bool IsWorthALook(uint32_t users_left) {
  return users_left > 0 &&
         (users_left <= kFewUsers || (users_left & (users_left - 1)) == 0);
}

// Candidates by what they bring for each user that is left.
class GreedyChoice {
 public:
  GreedyChoice(const EvictionProblem& problem, const Users& users,
               EvictionState* state)
      : problem_(problem), users_(users), state_(*state) {
    for (uint32_t i = 0; i < problem.candidate_count(); ++i) Push(i);
  }

  void Run(uint64_t target_bytes, const std::function<void()>& yield,
           std::vector<uint32_t>* taken) {
    while (state_.freed_bytes() < target_bytes && !heap_.empty()) {
      const uint32_t candidate = heap_.top().second;
      heap_.pop();
      if (state_.IsChosen(candidate)) continue;
      state_.Take(candidate);
      taken->push_back(candidate);
      if (yield && taken->size() % kTakenPerSlice == 0) yield();
      for (const uint32_t piece : problem_.pieces(candidate)) {
        if (!IsWorthALook(state_.users_left(piece))) continue;
        for (const uint32_t user : users_[piece]) Push(user);
      }
    }
  }

 private:
  void Push(uint32_t candidate) {
    if (state_.IsChosen(candidate)) return;
    double score = 0;
    for (const uint32_t piece : problem_.pieces(candidate)) {
      score +=
          static_cast<double>(problem_.bytes(piece)) / state_.users_left(piece);
    }
    heap_.push({score, candidate});
  }

  const EvictionProblem& problem_;
  const Users& users_;
  EvictionState& state_;
  std::priority_queue<std::pair<double, uint32_t>> heap_;
};

std::vector<uint32_t> ByShare(absl::Span<const uint64_t> shares) {
  std::vector<uint32_t> order(shares.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return shares[a] > shares[b];
  });
  return order;
}

}  // namespace

void Peel(absl::Span<const uint32_t> order, uint64_t target_bytes,
          EvictionState* state) {
  for (const uint32_t candidate : order) {
    if (state->freed_bytes() - state->Loss(candidate) >= target_bytes) {
      state->Leave(candidate);
    }
  }
}

std::vector<uint32_t> ChooseSmallSet(const EvictionProblem& problem,
                                     absl::Span<const uint64_t> shares,
                                     uint64_t target_bytes,
                                     const std::function<void()>& yield) {
  Users users(problem.piece_count());
  for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
    for (const uint32_t piece : problem.pieces(i)) users[piece].push_back(i);
  }
  const std::vector<uint32_t> order = ByShare(shares);
  const EvictionState nothing(problem);
  EvictionState prefix = nothing;
  size_t reaching = 0;
  while (prefix.freed_bytes() < target_bytes) prefix.Take(order[reaching++]);
  // No set has fewer (gc/fair_shares.h).
  uint64_t bound = 0;
  uint64_t reached = 0;
  while (reached < target_bytes) reached += shares[order[bound++]];
  std::vector<uint32_t> best;
  for (const uint64_t percent : kBeginnings) {
    if (!best.empty() && best.size() == bound) break;
    if (yield) yield();
    EvictionState state = nothing;
    const size_t begin = reaching * percent / 100;
    std::vector<uint32_t> taken(order.begin(),
                                order.begin() + static_cast<ptrdiff_t>(begin));
    for (const uint32_t candidate : taken) state.Take(candidate);
    GreedyChoice(problem, users, &state).Run(target_bytes, yield, &taken);
    std::stable_sort(taken.begin(), taken.end(), [&](uint32_t a, uint32_t b) {
      return state.Loss(a) < state.Loss(b);
    });
    Peel(taken, target_bytes, &state);
    taken.erase(std::remove_if(taken.begin(), taken.end(),
                               [&](uint32_t i) { return !state.IsChosen(i); }),
                taken.end());
    if (best.empty() || taken.size() < best.size()) best = std::move(taken);
  }
  return best;
}

}  // namespace reclaim::gc
