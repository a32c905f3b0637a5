#include "base/fault_point.h"

#include <cerrno>

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

TEST(ScopedErrnoTest, FailsOneCallOrAllAfterIt) {
  EXPECT_EQ(InjectedErrno("a"), 0);
  {
    ScopedErrno once(EIO, 1, /*is_lasting=*/false);
    EXPECT_EQ(InjectedErrno("a"), 0);
    EXPECT_EQ(InjectedErrno("b"), EIO);
    EXPECT_EQ(InjectedErrno("a"), 0);
    EXPECT_EQ(once.reached().at("a"), 2);
    EXPECT_EQ(once.failed().size(), 1u);
  }
  ScopedErrno lasting(ENOSPC, 1, /*is_lasting=*/true);
  EXPECT_EQ(InjectedErrno("a"), 0);
  EXPECT_EQ(InjectedErrno("a"), ENOSPC);
  EXPECT_EQ(InjectedErrno("b"), ENOSPC);
}

}  // namespace
}  // namespace reclaim::base
