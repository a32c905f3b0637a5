#include "gc/fair_shares.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "absl/types/span.h"

namespace reclaim::gc {
namespace {

// Enough for the bound to settle within a fraction of a per cent; see
// tests/benchmark/evict_benchmark.cc.
constexpr int kPassCountMax = 60;

// Pieces of several users; pieces with the same users are one.
struct SharedPieces {
  std::vector<uint64_t> bytes;
  std::vector<size_t> first_user = {0};
  std::vector<uint32_t> users;

  size_t count() const { return bytes.size(); }
  absl::Span<const uint32_t> UsersOf(size_t piece) const {
    return absl::MakeConstSpan(users).subspan(
        first_user[piece], first_user[piece + 1] - first_user[piece]);
  }
};

SharedPieces UsersByPiece(const EvictionProblem& problem) {
  SharedPieces all;
  all.first_user.assign(problem.piece_count() + size_t{1}, 0);
  for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
    for (const uint32_t piece : problem.pieces(i)) ++all.first_user[piece + 1];
  }
  for (uint32_t piece = 0; piece < problem.piece_count(); ++piece) {
    all.bytes.push_back(problem.bytes(piece));
    all.first_user[piece + 1] += all.first_user[piece];
  }
  all.users.resize(all.first_user.back());
  std::vector<size_t> next(all.first_user.begin(), all.first_user.end() - 1);
  for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
    for (const uint32_t piece : problem.pieces(i)) all.users[next[piece]++] = i;
  }
  return all;
}

uint64_t HashOf(absl::Span<const uint32_t> users) {
  uint64_t hash = 0x9e3779b97f4a7c15u;
  for (const uint32_t user : users) {
    hash = (hash ^ user) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  }
  return hash;
}

// Gives the bytes of pieces with one user to `shares`, and merges the others.
SharedPieces Merge(const SharedPieces& all, std::vector<uint64_t>* shares) {
  SharedPieces merged;
  std::unordered_multimap<uint64_t, size_t> seen;
  for (size_t piece = 0; piece < all.count(); ++piece) {
    const auto users = all.UsersOf(piece);
    if (users.empty() || all.bytes[piece] == 0) continue;
    if (users.size() == 1) {
      (*shares)[users[0]] += all.bytes[piece];
      continue;
    }
    const uint64_t hash = HashOf(users);
    const auto [begin, end] = seen.equal_range(hash);
    const auto same = std::find_if(begin, end, [&](const auto& entry) {
      return merged.UsersOf(entry.second) == users;
    });
    if (same != end) {
      merged.bytes[same->second] += all.bytes[piece];
      continue;
    }
    seen.emplace(hash, merged.count());
    merged.bytes.push_back(all.bytes[piece]);
    merged.users.insert(merged.users.end(), users.begin(), users.end());
    merged.first_user.push_back(merged.users.size());
  }
  return merged;
}

class WaterFilling {
 public:
  WaterFilling(const SharedPieces& pieces, std::vector<uint64_t>* shares)
      : pieces_(pieces), shares_(*shares), dealt_(pieces.users.size(), 0) {
    for (size_t piece = 0; piece < pieces_.count(); ++piece) DealEvenly(piece);
  }

  // True if some piece was dealt anew to speak of.
  bool Pass() {
    uint64_t moved = 0;
    uint64_t total = 0;
    for (size_t piece = 0; piece < pieces_.count(); ++piece) {
      moved += Redeal(piece);
      total += pieces_.bytes[piece];
    }
    return moved > total / 4096;
  }

 private:
  void DealEvenly(size_t piece) {
    const auto users = pieces_.UsersOf(piece);
    const uint64_t each = pieces_.bytes[piece] / users.size();
    const uint64_t rest = pieces_.bytes[piece] % users.size();
    for (size_t k = 0; k < users.size(); ++k) {
      const uint64_t part = each + (k < rest ? 1 : 0);
      dealt_[pieces_.first_user[piece] + k] = part;
      shares_[users[k]] += part;
    }
  }

  // Deals one piece so that the lowest of its users rise to one level.  The
  // level is found as for a projection onto a simplex (Michelot 1986): whoever
  // stands above the mean gets nothing, until nobody does.
  uint64_t Redeal(size_t piece) {
    const auto users = pieces_.UsersOf(piece);
    uint64_t* const dealt = &dealt_[pieces_.first_user[piece]];
    without_.clear();
    // Every byte is dealt once, so the sums stay below 2^63.
    uint64_t sum = pieces_.bytes[piece];
    for (size_t k = 0; k < users.size(); ++k) {
      without_.push_back(shares_[users[k]] - dealt[k]);
      sum += without_[k];
    }
    uint64_t count = users.size();
    uint64_t level = sum / count;
    for (bool is_settled = false; !is_settled;) {
      is_settled = true;
      uint64_t kept_sum = pieces_.bytes[piece];
      uint64_t kept_count = 0;
      for (const uint64_t share : without_) {
        if (share > level) continue;
        kept_sum += share;
        ++kept_count;
      }
      is_settled = kept_count == count;
      count = kept_count;
      sum = kept_sum;
      level = sum / count;
    }
    return Assign(users, dealt, level, sum - level * count);
  }

  // Raises everybody below `level` to it, the first `rest` of them by one more.
  uint64_t Assign(absl::Span<const uint32_t> users, uint64_t* dealt,
                  uint64_t level, uint64_t rest) {
    uint64_t moved = 0;
    for (size_t k = 0; k < users.size(); ++k) {
      uint64_t part = 0;
      if (without_[k] <= level) {
        part = level - without_[k];
        if (rest > 0) {
          ++part;
          --rest;
        }
      }
      moved += part > dealt[k] ? part - dealt[k] : 0;
      dealt[k] = part;
      shares_[users[k]] = without_[k] + part;
    }
    return moved;
  }

  const SharedPieces& pieces_;
  std::vector<uint64_t>& shares_;
  std::vector<uint64_t> dealt_;  // as SharedPieces::users
  std::vector<uint64_t> without_;
};

}  // namespace

std::vector<uint64_t> FairShares(const EvictionProblem& problem,
                                 const std::function<void()>& yield) {
  std::vector<uint64_t> shares(problem.candidate_count(), 0);
  const SharedPieces pieces = Merge(UsersByPiece(problem), &shares);
  WaterFilling filling(pieces, &shares);
  for (int pass = 0; pass < kPassCountMax; ++pass) {
    if (yield) yield();
    if (!filling.Pass()) break;
  }
  return shares;
}

uint64_t LowerBoundCount(std::vector<uint64_t> shares, uint64_t target_bytes) {
  std::sort(shares.begin(), shares.end(), std::greater<uint64_t>());
  uint64_t sum = 0;
  uint64_t count = 0;
  while (sum < target_bytes && count < shares.size()) sum += shares[count++];
  return count;
}

}  // namespace reclaim::gc
