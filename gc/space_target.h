// gc/space_target.h — how far a plan goes: no further than it needs.
//
// A target is what somebody asks for; ResolveTarget() makes bytes of it, once,
// when a plan begins.  Pure.
//
// What is used is at the high mark if used · 100 >= capacity · mark, in whole
// numbers: 84.9 % is not 85 %, and 85 % is (SEMANTICS.md, cases 125 and 127).
// A goal is reached when as much is free as it asks for, not a byte more (case
// 133).

#ifndef RECLAIM_GC_SPACE_TARGET_H_
#define RECLAIM_GC_SPACE_TARGET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/types.h"

namespace reclaim::gc {

// Stored on disk: never renumber.
enum class TargetKind : uint8_t {
  kNone = 0,       // all that may go
  kMarks = 1,      // at or above the high mark: free to the low mark
  kFree = 2,       // free so many bytes
  kKeepUnder = 3,  // leave no more than so many bytes in the store, or in its
                   // build cache
  kQuotas = 4,     // each repository and tenant under its quota (gc/tenants.h)
};

struct SpaceTarget {
  TargetKind kind = TargetKind::kNone;
  uint32_t high_percent = 0;  // kMarks: 1 to 100
  uint32_t low_percent = 0;   // 1 to high_percent
  uint64_t bytes = 0;         // kFree, kKeepUnder
  // No goal asks for less than so many bytes in the store.
  uint64_t reserved_bytes = 0;

  bool is_set() const { return kind != TargetKind::kNone; }
  // INVALID_ARGUMENT naming the field and its bounds.
  absl::Status Validate() const;
};

// What a goal is held against.
struct SpaceState {
  std::optional<store::Capacity> capacity;
  uint64_t stored_bytes = 0;       // on disk, with the quarantine
  uint64_t quarantined_bytes = 0;  // that a purge would free
};

// What comes of a target.
struct TargetOutcome {
  uint64_t needed_bytes = 0;
  // Out of the quarantine, oldest first, before anything else goes.
  uint64_t purge_bytes = 0;
  uint64_t short_by_bytes = 0;
  // Images that lose their names, and how many any choice that frees as much
  // has to take at the least (gc/eviction.h).
  uint64_t evicted_count = 0;
  uint64_t lower_bound_count = 0;
  std::vector<std::string> warnings;
};

struct ResolvedTarget {
  TargetOutcome outcome;
  uint64_t free_bytes = 0;  // what is left to be chosen
};

// Of kQuotas nothing can be said before the graph is looked at: zero.
// FAILED_PRECONDITION: marks where the capacity is not known, or zero.
absl::StatusOr<ResolvedTarget> ResolveTarget(const SpaceTarget& target,
                                             const SpaceState& state);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_SPACE_TARGET_H_
