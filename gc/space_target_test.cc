#include "gc/space_target.h"

#include <limits>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SpaceTarget Marks(uint32_t high, uint32_t low) {
  SpaceTarget target;
  target.kind = TargetKind::kMarks;
  target.high_percent = high;
  target.low_percent = low;
  return target;
}

SpaceTarget Bytes(TargetKind kind, uint64_t bytes, uint64_t reserved = 0) {
  SpaceTarget target;
  target.kind = kind;
  target.bytes = bytes;
  target.reserved_bytes = reserved;
  return target;
}

SpaceState Disk(uint64_t capacity, uint64_t available) {
  SpaceState state;
  state.capacity = store::Capacity{capacity, available, 0, 0};
  state.stored_bytes = capacity;
  return state;
}

uint64_t Needed(const SpaceTarget& target, const SpaceState& state) {
  const auto resolved = ResolveTarget(target, state);
  EXPECT_THAT(resolved, IsOk());
  return resolved.ok() ? resolved->outcome.needed_bytes : 0;
}

TEST(SpaceTargetTest, WhatCannotBeMeantIsRefused) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Marks(0, 0).Validate(), refused);
  EXPECT_THAT(Marks(101, 80).Validate(), refused);
  EXPECT_THAT(Marks(85, 86).Validate(), refused);
  EXPECT_THAT(Marks(85, 0).Validate(), refused);
  EXPECT_THAT(Marks(85, 85).Validate(), IsOk());
  EXPECT_THAT(Bytes(TargetKind::kFree, 0).Validate(), refused);
  EXPECT_THAT(Bytes(TargetKind::kNone, 0, 1).Validate(), refused);
  EXPECT_THAT(Bytes(TargetKind::kQuotas, 0, 1).Validate(), refused);
  EXPECT_THAT(Bytes(TargetKind::kKeepUnder, 0).Validate(), IsOk());
}

TEST(SpaceTargetTest, MarksAreExactOnTheLargestDisks) {
  const uint64_t all = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(Needed(Marks(100, 100), Disk(all, 0)), 0u);
  EXPECT_EQ(Needed(Marks(100, 50), Disk(all, 0)), all - all / 2);
  EXPECT_EQ(Needed(Marks(100, 50), Disk(all, 1)), 0u);
}

TEST(SpaceTargetTest, WithoutACapacityThereAreNoMarks) {
  EXPECT_THAT(ResolveTarget(Marks(85, 80), SpaceState()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("tells no capacity")));
}

TEST(SpaceTargetTest, TheQuarantineGoesFirst) {
  SpaceState state;
  state.stored_bytes = 1000;
  state.quarantined_bytes = 300;
  auto resolved = ResolveTarget(Bytes(TargetKind::kFree, 200), state);
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(resolved->outcome.purge_bytes, 200u);
  EXPECT_EQ(resolved->free_bytes, 0u);
  resolved = ResolveTarget(Bytes(TargetKind::kFree, 500), state);
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(resolved->outcome.purge_bytes, 300u);
  EXPECT_EQ(resolved->free_bytes, 200u);
}

TEST(SpaceTargetTest, WhatIsReservedIsNotAskedFor) {
  SpaceState state;
  state.stored_bytes = 1000;
  auto resolved = ResolveTarget(Bytes(TargetKind::kFree, 700, 400), state);
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(resolved->outcome.needed_bytes, 700u);
  EXPECT_EQ(resolved->free_bytes, 600u);
  EXPECT_EQ(resolved->outcome.short_by_bytes, 100u);
  resolved = ResolveTarget(Bytes(TargetKind::kKeepUnder, 400, 400), state);
  ASSERT_THAT(resolved, IsOk());
  EXPECT_EQ(resolved->free_bytes, 600u);
  EXPECT_EQ(resolved->outcome.short_by_bytes, 0u);
  EXPECT_THAT(resolved->outcome.warnings, IsEmpty());
}

}  // namespace
}  // namespace reclaim::gc
