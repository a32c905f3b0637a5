#include "gc/space_target.h"

#include <algorithm>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/status_macros.h"

namespace reclaim::gc {
namespace {

absl::StatusOr<uint64_t> NeededForMarks(const SpaceTarget& target,
                                        const SpaceState& state) {
  if (!state.capacity || state.capacity->capacity_bytes == 0) {
    return absl::FailedPreconditionError(
        "the file system below the store tells no capacity, so there are no "
        "marks of it; say how many bytes to free, or under how many to keep "
        "the store");
  }
  const uint64_t capacity = state.capacity->capacity_bytes;
  // Some file systems report more that is available than there is.
  const uint64_t used =
      capacity - std::min(capacity, state.capacity->available_bytes);
  const absl::uint128 whole = capacity;
  if (absl::uint128(used) * 100 < whole * target.high_percent) {
    return uint64_t{0};
  }
  const auto low =
      static_cast<uint64_t>(whole * target.low_percent / absl::uint128(100));
  return used - std::min(used, low);
}

absl::StatusOr<uint64_t> NeededBytes(const SpaceTarget& target,
                                     const SpaceState& state) {
  switch (target.kind) {
    case TargetKind::kMarks:
      return NeededForMarks(target, state);
    case TargetKind::kFree:
      return target.bytes;
    case TargetKind::kKeepUnder: {
      const uint64_t kept = std::max(target.bytes, target.reserved_bytes);
      return state.stored_bytes - std::min(state.stored_bytes, kept);
    }
    case TargetKind::kNone:
    case TargetKind::kQuotas:
      break;
  }
  return uint64_t{0};
}

}  // namespace

absl::Status SpaceTarget::Validate() const {
  if (kind == TargetKind::kMarks &&
      (high_percent < 1 || high_percent > 100 || low_percent < 1 ||
       low_percent > high_percent)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "target: the high mark must be 1 to 100 per cent and the low mark 1 to "
        "the high mark, not ",
        high_percent, " and ", low_percent));
  }
  if (kind == TargetKind::kFree && bytes == 0) {
    return absl::InvalidArgumentError(
        "target: free_bytes must be at least 1; without a target all that may "
        "go goes");
  }
  if (kind == TargetKind::kNone && reserved_bytes > 0) {
    return absl::InvalidArgumentError(
        "target: reserved_bytes goes with a goal: marks, free_bytes, "
        "keep_under_bytes or quotas");
  }
  if (kind == TargetKind::kQuotas && reserved_bytes > 0) {
    return absl::InvalidArgumentError(
        "target: quotas are about repositories and tenants; reserved_bytes is "
        "about the store and goes with another goal");
  }
  return absl::OkStatus();
}

absl::StatusOr<ResolvedTarget> ResolveTarget(const SpaceTarget& target,
                                             const SpaceState& state) {
  RECLAIM_RETURN_IF_ERROR(target.Validate());
  ResolvedTarget resolved;
  TargetOutcome& outcome = resolved.outcome;
  RECLAIM_ASSIGN_OR_RETURN(outcome.needed_bytes, NeededBytes(target, state));
  if (target.kind == TargetKind::kKeepUnder &&
      target.reserved_bytes > target.bytes) {
    outcome.warnings.push_back(absl::StrCat(
        "the store keeps the ", base::FormatBytes(target.reserved_bytes),
        " that are reserved, more than the ", base::FormatBytes(target.bytes),
        " under which it is to be kept"));
  }
  const uint64_t most =
      state.stored_bytes - std::min(state.stored_bytes, target.reserved_bytes);
  const uint64_t granted = std::min(outcome.needed_bytes, most);
  outcome.short_by_bytes = outcome.needed_bytes - granted;
  outcome.purge_bytes = std::min(granted, state.quarantined_bytes);
  resolved.free_bytes = granted - outcome.purge_bytes;
  return resolved;
}

}  // namespace reclaim::gc
