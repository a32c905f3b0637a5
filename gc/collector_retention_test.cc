// Records of what was done are forgotten after their time, and not before.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::UnorderedElementsAre;

class CollectorRetentionTest : public CollectorFixture {
 protected:
  CollectorRetentionTest() {
    tree_.Image("app", "v1", {"base"});
    tree_.Image("app", "", {"base", "old"});
    retention_.run_memory = absl::Hours(100);
    retention_.run_count_max = 1000;
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  size_t RunCount() const {
    const auto runs = collector_->ListRuns("", 1'000'000);
    EXPECT_THAT(runs, IsOk());
    return runs->size();
  }

  store::RegistryTree tree_{&folder_};
};

TEST_F(CollectorRetentionTest, OldRunsGoUnlessTheyHoldSomethingInQuarantine) {
  const gc::Run applied = Prune();
  ASSERT_GT(QuarantineCount(), 0u);
  EXPECT_EQ(RunCount(), 2u);
  clock_.Advance(retention_.run_memory + absl::Hours(1));
  Scan();
  // The first scan went; the apply stays with what it holds.
  EXPECT_EQ(RunCount(), 2u);
  EXPECT_THAT(collector_->GetRun(applied.id), IsOk());
  ASSERT_THAT(RestoreRun(applied.id), IsOk());
  clock_.Advance(retention_.run_memory + absl::Hours(1));
  Scan();
  EXPECT_THAT(collector_->GetRun(applied.id),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(RunCount(), 1u);
}

TEST_F(CollectorRetentionTest, TheOldestBeyondTheCountGo) {
  retention_.run_count_max = 5;
  Restart();
  for (int i = 0; i < 10; ++i) {
    clock_.Advance(absl::Minutes(20));
    Scan();
    EXPECT_LE(RunCount(), 6u);  // the one that began after the look included
  }
  EXPECT_EQ(RunCount(), 6u);
}

// Whoever may read can have plans made, as fast as he likes.
TEST_F(CollectorRetentionTest, TheOldestPlansBeyondTheCountGo) {
  retention_.plan_count_max = 4;
  Restart();
  const std::string applied = Prune().plan_id;
  PruneRequest request = Request();
  request.schedule = "nightly";
  const std::string scheduled = MakePlan(request).id;
  std::vector<std::string> made;
  for (int i = 0; i < 10; ++i) made.push_back(MakePlan(Request()).id);
  const auto plans = collector_->ListPlans();
  ASSERT_THAT(plans, IsOk());
  std::vector<std::string> left;
  for (const Plan& plan : *plans) left.push_back(plan.id);
  EXPECT_THAT(left, UnorderedElementsAre(applied, scheduled, made[7], made[8],
                                         made[9]));
  // Nothing of the others is left.
  for (const std::string& id : made) {
    const bool stays = std::count(left.begin(), left.end(), id) > 0;
    EXPECT_EQ(collector_->GetPlan(id, 0, 10).ok(), stays) << id;
  }
}

TEST_F(CollectorRetentionTest, OfTooManyPlansOfSchedulesTheOldestGoAsWell) {
  retention_.plan_count_max = 2;
  Restart();
  PruneRequest request = Request();
  request.schedule = "nightly";
  const std::string first = MakePlan(request).id;
  MakePlan(request);
  MakePlan(request);
  EXPECT_THAT(collector_->GetPlan(first, 0, 0),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CollectorRetentionTest, PlansGoSomeTimeAfterTheyExpired) {
  const Plan plan = MakePlan(Request());
  clock_.Advance(plan.expires - clock_.Now() + retention_.plan_memory -
                 absl::Minutes(1));
  MakePlan(Request());
  EXPECT_THAT(collector_->GetPlan(plan.id, 0, 0), IsOk());
  clock_.Advance(absl::Minutes(20));
  MakePlan(Request());
  EXPECT_THAT(collector_->GetPlan(plan.id, 0, 0),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace reclaim::gc
