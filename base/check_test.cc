#include "base/check.h"

#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

TEST(CheckTest, PassesWhatHolds) { RECLAIM_CHECK(1 + 1 == 2, "arithmetic"); }

TEST(CheckDeathTest, AbortsWithPlaceConditionAndMessage) {
  const int bytes = 3;
  EXPECT_DEATH(RECLAIM_CHECK(bytes == 4, "four bytes"),
               "check_test.cc:[0-9]+: check failed: bytes == 4: four bytes");
}

TEST(CheckDeathTest, EvaluatesItsConditionOnce) {
  int count = 0;
  RECLAIM_CHECK(++count == 1, "once");
  EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace reclaim::base
