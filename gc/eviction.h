// gc/eviction.h — which images to drop so that at least so many bytes go.
//
// What a set of images frees is the bytes of the pieces whose users are all in
// the set: the second of two images that share a layer brings the layer with
// it.  So the figure of one image depends on what else goes, a sum of per-image
// figures is wrong, and the usual greedy choice is no good (the gain grows with
// the set).  The smallest set is NP-hard to find (it is the minimum p-union of
// a hypergraph); what stands here is a good one, together with a proof of how
// far it can be from the smallest (PERFORMANCE.md 3.5):
//
// - Tiers are taken in the order of regret.  A tier that does not reach the
//   target goes whole; within the tier that does, the set is chosen to be
//   small.
// - There, the shares of gc/fair_shares.h order the images (the level sets are
//   the min-cuts of the Lagrangian, for every price at once), a greedy choice
//   by bytes over the users that are left closes the gap to the next level, and
//   what proves needless is left out again ("peel").
// - The bound holds for any set of any tiers: it says what the order of regret
//   costs as well.
//
// Pure; equal inputs give equal answers, and ties go to the lower number.

#ifndef RECLAIM_GC_EVICTION_H_
#define RECLAIM_GC_EVICTION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/types/span.h"

namespace reclaim::gc {

// Candidates of this tier cost nothing (nothing reaches them any more): they
// go first and are not counted.
inline constexpr uint32_t kNoRegretTier = 0;

// What may go, and the pieces that go with it.  Pieces that something else
// keeps are not in it.
class EvictionProblem {
 public:
  // Numbers are dense and ascend from 0.
  uint32_t AddPiece(uint64_t bytes);
  // `pieces` without duplicates; a lower tier goes first.
  uint32_t AddCandidate(uint32_t tier, absl::Span<const uint32_t> pieces);

  uint32_t piece_count() const {
    return static_cast<uint32_t>(piece_bytes_.size());
  }
  uint32_t candidate_count() const {
    return static_cast<uint32_t>(tiers_.size());
  }
  uint64_t bytes(uint32_t piece) const { return piece_bytes_[piece]; }
  uint32_t tier(uint32_t candidate) const { return tiers_[candidate]; }
  absl::Span<const uint32_t> pieces(uint32_t candidate) const {
    return absl::MakeConstSpan(pieces_).subspan(
        first_piece_[candidate],
        first_piece_[candidate + 1] - first_piece_[candidate]);
  }

 private:
  std::vector<uint64_t> piece_bytes_;
  std::vector<uint32_t> tiers_;
  std::vector<size_t> first_piece_ = {0};
  std::vector<uint32_t> pieces_;
};

struct Eviction {
  std::vector<uint32_t> chosen;  // candidates, ascending
  uint64_t freed_bytes = 0;      // by all of them together
  // The target less what all candidates together would free; 0 if it is met.
  uint64_t short_by_bytes = 0;
  // Chosen candidates that cost something, and how many of them any choice
  // that frees as much as was asked for (or as can be freed) must have.
  uint64_t evicted_count = 0;
  uint64_t lower_bound_count = 0;
};

// Frees at least `target_bytes`, or as much as the candidates can.  A target of
// 0 chooses nothing.  No candidate is chosen that the target does not need.
// Time O(edges · passes); 100,000 candidates with 500,000 edges in about half a
// second; `yield`, if any, is called every few milliseconds of it.
Eviction ChooseEvictions(const EvictionProblem& problem, uint64_t target_bytes,
                         const std::function<void()>& yield = nullptr);

// What `chosen` free together: the bytes of the pieces that have users, all of
// them chosen.  O(edges).
uint64_t FreedBytes(const EvictionProblem& problem,
                    absl::Span<const uint32_t> chosen);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_EVICTION_H_
