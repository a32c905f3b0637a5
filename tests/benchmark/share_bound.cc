#include "tests/benchmark/share_bound.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

#include "base/check.h"

namespace reclaim::benchmark {
namespace {

constexpr int kPassCountMax = 100;
// Dealing ends when less than this part of all bytes changes hands in a pass.
constexpr uint64_t kSettledPart = 10'000;

}  // namespace

ShareBound::ShareBound(const gc::EvictionProblem& problem)
    : shares_(problem.candidate_count()) {
  std::vector<Piece> pieces(problem.piece_count());
  for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
    for (const uint32_t piece : problem.pieces(i)) {
      pieces[piece].users.push_back(i);
    }
  }
  uint64_t total = 0;
  for (uint32_t i = 0; i < problem.piece_count(); ++i) {
    Piece& piece = pieces[i];
    if (piece.users.empty()) continue;  // nobody frees it
    piece.bytes = problem.bytes(i);
    // All to the first, for a start.
    piece.dealt.assign(piece.users.size(), 0);
    piece.dealt[0] = piece.bytes;
    shares_[piece.users[0]] += piece.bytes;
    total += piece.bytes;
  }
  for (int pass = 0; pass < kPassCountMax; ++pass) {
    uint64_t moved = 0;
    for (Piece& piece : pieces) {
      if (piece.users.size() > 1) moved += DealAnew(&piece);
    }
    if (moved <= total / kSettledPart) break;
  }
  // The proof: every byte was dealt once.
  std::vector<uint64_t> dealt(shares_.size());
  for (const Piece& piece : pieces) {
    const uint64_t sum =
        std::accumulate(piece.dealt.begin(), piece.dealt.end(), uint64_t{0});
    RECLAIM_CHECK(sum == piece.bytes, "a piece is dealt whole");
    for (size_t k = 0; k < piece.users.size(); ++k) {
      dealt[piece.users[k]] += piece.dealt[k];
    }
  }
  RECLAIM_CHECK(dealt == shares_, "a share is what was dealt");
  std::sort(dealt.begin(), dealt.end(), std::greater<uint64_t>());
  std::partial_sum(dealt.begin(), dealt.end(), std::back_inserter(most_));
}

// To those who have least without it, so that they come to one level.
uint64_t ShareBound::DealAnew(Piece* piece) {
  const size_t count = piece->users.size();
  order_.resize(count);
  std::iota(order_.begin(), order_.end(), 0);
  without_.resize(count);
  for (size_t k = 0; k < count; ++k) {
    without_[k] = shares_[piece->users[k]] - piece->dealt[k];
  }
  std::sort(order_.begin(), order_.end(), [this](uint32_t a, uint32_t b) {
    return without_[a] < without_[b];
  });
  // The first `raised` stand at `level`, and `left` is still to be dealt.
  uint64_t left = piece->bytes;
  uint64_t level = without_[order_[0]];
  size_t raised = 1;
  while (raised < count) {
    const uint64_t step = without_[order_[raised]] - level;
    if (step > left / raised) break;
    left -= step * raised;
    level += step;
    ++raised;
  }
  level += left / raised;
  const uint64_t one_more = left % raised;
  uint64_t moved = 0;
  for (size_t place = 0; place < count; ++place) {
    const uint32_t k = order_[place];
    uint64_t part = 0;
    if (place < raised) part = level - without_[k] + (place < one_more ? 1 : 0);
    moved += part > piece->dealt[k] ? part - piece->dealt[k] : 0;
    piece->dealt[k] = part;
    shares_[piece->users[k]] = without_[k] + part;
  }
  return moved;
}

uint64_t ShareBound::FewestFor(uint64_t bytes) const {
  if (bytes == 0) return 0;
  const auto enough = std::lower_bound(most_.begin(), most_.end(), bytes);
  const auto fewer = static_cast<uint64_t>(enough - most_.begin());
  return std::min<uint64_t>(fewer + 1, most_.size());
}

}  // namespace reclaim::benchmark
