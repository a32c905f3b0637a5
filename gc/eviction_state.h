// gc/eviction_state.h — private to gc/eviction: a set of candidates that grows
// and shrinks, with what it frees.
//
// Each step costs the pieces of the candidate that it moves.

#ifndef RECLAIM_GC_EVICTION_STATE_H_
#define RECLAIM_GC_EVICTION_STATE_H_

#include <cstdint>
#include <vector>

#include "gc/eviction.h"

namespace reclaim::gc {

class EvictionState {
 public:
  // Nothing is chosen.  `problem` is not owned.
  explicit EvictionState(const EvictionProblem& problem)
      : problem_(&problem),
        users_left_(problem.piece_count(), 0),
        is_chosen_(problem.candidate_count(), 0) {
    for (uint32_t i = 0; i < problem.candidate_count(); ++i) {
      for (const uint32_t piece : problem.pieces(i)) ++users_left_[piece];
    }
  }

  bool IsChosen(uint32_t candidate) const { return is_chosen_[candidate] != 0; }
  uint64_t freed_bytes() const { return freed_bytes_; }
  uint32_t users_left(uint32_t piece) const { return users_left_[piece]; }

  // REQUIRES: it is not chosen.
  void Take(uint32_t candidate) {
    is_chosen_[candidate] = 1;
    for (const uint32_t piece : problem_->pieces(candidate)) {
      if (--users_left_[piece] == 0) freed_bytes_ += problem_->bytes(piece);
    }
  }
  // REQUIRES: it is chosen.
  void Leave(uint32_t candidate) {
    is_chosen_[candidate] = 0;
    for (const uint32_t piece : problem_->pieces(candidate)) {
      if (users_left_[piece]++ == 0) freed_bytes_ -= problem_->bytes(piece);
    }
  }
  // What would not be freed any more if a chosen candidate stayed.
  uint64_t Loss(uint32_t candidate) const {
    uint64_t bytes = 0;
    for (const uint32_t piece : problem_->pieces(candidate)) {
      if (users_left_[piece] == 0) bytes += problem_->bytes(piece);
    }
    return bytes;
  }

 private:
  const EvictionProblem* problem_;
  std::vector<uint32_t> users_left_;  // users that are not chosen
  std::vector<uint8_t> is_chosen_;
  uint64_t freed_bytes_ = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_EVICTION_STATE_H_
