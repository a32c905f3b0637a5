// tests/benchmark/share_bound.h — how few candidates can free so much, proven
// without the planner's code.
//
// Deal the bytes of each piece out among its users in any way, and let the
// share of a candidate be what it was dealt.  A set frees a piece only if it
// holds all of its users, so it frees no more than the sum of its shares, and k
// candidates free no more than the k largest shares together.  That holds for
// every way to deal; the more evenly, the more it says, so each piece is dealt
// anew to those of its users that have least, until little moves.
// gc/fair_shares.h does the same for the plan; here is another program for it,
// in other words, so that a fault of the one does not prove itself.
//
// Pure.  Whole bytes.

#ifndef RECLAIM_TESTS_BENCHMARK_SHARE_BOUND_H_
#define RECLAIM_TESTS_BENCHMARK_SHARE_BOUND_H_

#include <cstdint>
#include <vector>

#include "gc/eviction.h"

namespace reclaim::benchmark {

class ShareBound {
 public:
  // Deals; some tenths of a second for 100,000 candidates, at most a few.
  // REQUIRES: every candidate costs something, and the bytes of all pieces
  // together are less than 2^63.
  explicit ShareBound(const gc::EvictionProblem& problem);

  // No set of fewer candidates frees `bytes`; all of them if none does.
  uint64_t FewestFor(uint64_t bytes) const;

 private:
  struct Piece {
    uint64_t bytes = 0;
    std::vector<uint32_t> users;
    std::vector<uint64_t> dealt;  // to each of them; the sum is `bytes`
  };

  // Returns the bytes that changed hands.
  uint64_t DealAnew(Piece* piece);

  std::vector<uint64_t> shares_;  // by candidate
  // Of one piece's users: who has least without it first, and what each has.
  std::vector<uint32_t> order_;
  std::vector<uint64_t> without_;
  std::vector<uint64_t> most_;  // what 1, 2, ... candidates have at the most
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_SHARE_BOUND_H_
