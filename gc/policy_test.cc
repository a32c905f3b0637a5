#include "gc/policy.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

void ExpectRefused(const GcPolicy& policy, const char* field) {
  EXPECT_THAT(policy.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(field)));
}

TEST(GcPolicyTest, TheDefaultsAndNoGraceAreValid) {
  EXPECT_THAT(GcPolicy().Validate(), IsOk());
  EXPECT_THAT(NoGrace().Validate(), IsOk());
  EXPECT_EQ(NoGrace().grace_period, absl::ZeroDuration());
}

TEST(GcPolicyTest, EachFieldHasItsBounds) {
  GcPolicy policy;
  policy.grace_period = absl::Seconds(-1);
  ExpectRefused(policy, "grace_period");
  policy = GcPolicy();
  policy.quarantine_period = absl::InfiniteDuration();
  ExpectRefused(policy, "quarantine_period");
  policy = GcPolicy();
  policy.plan_lifetime = absl::Seconds(59);
  ExpectRefused(policy, "plan_lifetime");
  policy = GcPolicy();
  policy.upload_lifetime = absl::Hours(24 * 366 * 11);
  ExpectRefused(policy, "upload_lifetime");
  for (const uint32_t count : {0u, 10001u}) {
    policy = GcPolicy();
    policy.batch_item_count = count;
    ExpectRefused(policy, "batch_item_count");
  }
  for (const int percent : {0, 101, -5}) {
    policy = GcPolicy();
    policy.large_plan_percent = percent;
    ExpectRefused(policy, "large_plan_percent");
  }
}

TEST(GcPolicyTest, BoundsThemselvesAreAllowed) {
  GcPolicy policy;
  policy.grace_period = absl::ZeroDuration();
  policy.plan_lifetime = absl::Minutes(1);
  policy.batch_item_count = 10000;
  policy.large_plan_percent = 100;
  EXPECT_THAT(policy.Validate(), IsOk());
}

}  // namespace
}  // namespace reclaim::gc
