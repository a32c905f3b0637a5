#include "index/narrow_counts.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "index/node.h"

namespace reclaim::index {
namespace {

// Over the step from a byte to what lies beside.
TEST(NarrowCountsTest, OneMoreIsAsIfItHadBeenAdded) {
  constexpr NodeId kFar = 10'000;
  NarrowCounts counts;
  NarrowCounts twin;
  counts.Grow(kFar + 1);
  twin.Grow(kFar + 1);
  for (uint32_t i = 0; i < 600; ++i) {
    for (const NodeId id : {NodeId{3}, kFar}) {
      EXPECT_EQ(counts.IsZero(id), i == 0);
      EXPECT_EQ(counts.Increment(id), i == 0);
      twin.Add(id, +1);
      ASSERT_EQ(counts[id], i + 1);
      ASSERT_EQ(counts[id], twin[id]);
    }
  }
  EXPECT_TRUE(counts.IsZero(4));
  for (uint32_t i = 600; i > 0; --i) {
    counts.Add(3, -1);
    ASSERT_EQ(counts[3], i - 1);
  }
  EXPECT_TRUE(counts.Increment(3));
}

}  // namespace
}  // namespace reclaim::index
