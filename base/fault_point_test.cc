#include "base/fault_point.h"

#include "absl/status/status.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

TEST(FaultPointTest, IsOkUnlessArmed) {
  EXPECT_THAT(FaultPoint("here"), IsOk());
  {
    ScopedFault fault("here", absl::AbortedError("crash"));
    EXPECT_THAT(FaultPoint("here"), StatusIs(absl::StatusCode::kAborted));
    EXPECT_THAT(FaultPoint("there"), IsOk());
    EXPECT_EQ(fault.hit_count(), 1);
  }
  EXPECT_THAT(FaultPoint("here"), IsOk());
}

TEST(FaultPointTest, LetsTheFirstCallsPass) {
  ScopedFault fault("here", absl::AbortedError("crash"), 2);
  EXPECT_THAT(FaultPoint("here"), IsOk());
  EXPECT_THAT(FaultPoint("here"), IsOk());
  EXPECT_THAT(FaultPoint("here"), StatusIs(absl::StatusCode::kAborted));
}

}  // namespace
}  // namespace reclaim::base
