// Targets, quotas and tenants, as a client.

#include <string>

#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Policies = v1::PolicyService::Stub;
using Usage = v1::UsageService::Stub;

// Two images without a tag, and one of each team.
class TargetTest : public ServerFixture {
 protected:
  void SetUp() override {
    tree_.Image("red/app", "v1", {"base", "red"});
    tree_.Image("blue/app", "v1", {"base", "blue"});
    tree_.Image("red/app", "", {"base", "old"});
    tree_.Image("red/app", "", {"base", "older"});
    Age();
    gc::Tenant red;
    red.name = "red";
    red.repositories = {"red/**"};
    red.quota_bytes = 1;
    gc::Tenant both;
    both.name = "both";
    both.repositories = {"**"};
    gc::RepositoryQuota quota;
    quota.name = "blue";
    quota.repositories = {"blue/*"};
    quota.quota_bytes = 1'000'000;
    file_policies_.tenants = {{red, both}, {quota}};
    ServerFixture::SetUp();
    AddStore("registry");
  }

  grpc::Status Make(const v1::PlanTarget& target, v1::Plan* plan) {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_ALL_IMAGES);
    request.set_containers_are_complete(true);
    *request.mutable_target() = target;
    return Ask(collection_stub_, &Collection::CreatePlan, request, plan);
  }

  v1::ListUsageResponse List(v1::UsageGrouping by) {
    v1::ListUsageRequest request;
    request.set_by(by);
    v1::ListUsageResponse response;
    const grpc::Status status =
        Ask(usage_stub_, &Usage::ListUsage, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  store::RegistryTree tree_{&folder_};
};

TEST_F(TargetTest, APlanTakesNoMoreThanItNeeds) {
  v1::PlanTarget target;
  target.set_free_bytes(1);
  v1::Plan plan;
  const grpc::Status status = Make(target, &plan);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(plan.target().free_bytes(), 1u);
  EXPECT_EQ(plan.target_outcome().needed_bytes(), 1u);
  EXPECT_EQ(plan.target_outcome().short_by_bytes(), 0u);
  EXPECT_EQ(plan.image_count(), 1u);
  EXPECT_EQ(plan.target_outcome().evicted_count(), 0u) << "it has no name";

  target.set_keep_under_bytes(0);
  ASSERT_TRUE(Make(target, &plan).ok());
  EXPECT_EQ(plan.image_count(), 4u);
  EXPECT_EQ(plan.target_outcome().evicted_count(), 2u);
  EXPECT_EQ(plan.target_outcome().lower_bound_count(), 2u);
  EXPECT_EQ(plan.target_outcome().short_by_bytes(), 0u);

  target.mutable_marks()->set_high_percent(100);
  target.mutable_marks()->set_low_percent(100);
  ASSERT_TRUE(Make(target, &plan).ok());
  EXPECT_EQ(plan.item_count(), 0u);
  EXPECT_EQ(plan.target().marks().high_percent(), 100u);
}

TEST_F(TargetTest, APlanWithoutATargetSaysNothingOfOne) {
  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_IMAGES);
  v1::Plan plan;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan).ok());
  EXPECT_FALSE(plan.has_target());
  EXPECT_FALSE(plan.has_target_outcome());
}

TEST_F(TargetTest, AWrongTargetIsNamed) {
  const auto refused = [&](const v1::PlanTarget& target) {
    v1::Plan plan;
    const grpc::Status status = Make(target, &plan);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), ::testing::HasSubstr("target: "));
  };
  v1::PlanTarget target;
  refused(target);
  target.set_reserved_bytes(5);
  refused(target);
  target.mutable_marks()->set_high_percent(80);
  target.mutable_marks()->set_low_percent(85);
  refused(target);
}

TEST_F(TargetTest, QuotasTakeTagsOfTheirOwn) {
  v1::PlanTarget target;
  target.set_quotas(true);
  v1::Plan plan;
  ASSERT_TRUE(Make(target, &plan).ok());
  EXPECT_EQ(plan.image_count(), 1u) << "red/app:v1; what has no tag stays";
  EXPECT_EQ(plan.target_outcome().evicted_count(), 1u);
  EXPECT_GT(plan.target_outcome().needed_bytes(), 1u);
  EXPECT_EQ(plan.target_outcome().short_by_bytes(), 0u);
}

TEST_F(TargetTest, ShareOfTenantsAddUpToTheLiveBytes) {
  const v1::ListUsageResponse tenants = List(v1::USAGE_GROUPING_TENANT);
  ASSERT_EQ(tenants.groups_size(), 2);
  EXPECT_EQ(tenants.groups(0).name(), "both");
  EXPECT_FALSE(tenants.groups(0).has_quota_bytes());
  EXPECT_EQ(tenants.groups(1).name(), "red");
  EXPECT_EQ(tenants.groups(1).quota_bytes(), 1u);
  EXPECT_EQ(tenants.groups(1).exclusive().count(), 0u) << "both have it all";
  uint64_t sum = tenants.unattributed().logical_bytes();
  uint64_t on_disk = tenants.unattributed().allocated_bytes();
  for (const v1::GroupUsage& group : tenants.groups()) {
    sum += group.apportioned().logical_bytes();
    on_disk += group.apportioned().allocated_bytes();
  }
  v1::GetDiskUsageResponse usage;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::GetDiskUsage, {}, &usage).ok());
  EXPECT_EQ(sum, usage.total().live().bytes().logical_bytes());
  EXPECT_EQ(on_disk, usage.total().live().bytes().allocated_bytes());
  const v1::ListUsageResponse repositories =
      List(v1::USAGE_GROUPING_REPOSITORY);
  for (const v1::GroupUsage& group : repositories.groups()) {
    EXPECT_EQ(group.has_quota_bytes(), group.name() == "blue/app");
  }
}

// "images" with all_images is `image prune --all`: under pressure what nothing
// uses goes, not only what has no name.
TEST_F(TargetTest, AScheduleOfAllImagesTakesThoseWithNames) {
  v1::SetScheduleRequest request;
  v1::Schedule* schedule = request.mutable_schedule();
  schedule->set_name("pressure");
  schedule->mutable_every()->set_seconds(3600);
  schedule->set_verb(v1::PRUNE_VERB_IMAGES);
  schedule->set_all_images(true);
  schedule->set_containers_are_complete(true);
  schedule->mutable_target()->set_keep_under_bytes(0);
  schedule->set_approve(true);
  v1::Schedule stored;
  ASSERT_TRUE(Ask(policy_stub_, &Policies::SetSchedule, request, &stored).ok());
  EXPECT_EQ(stored.verb(), v1::PRUNE_VERB_IMAGES) << "it is kept as written";
  v1::RunScheduleRequest run;
  run.set_name("pressure");
  ASSERT_TRUE(Ask(policy_stub_, &Policies::RunSchedule, run, &stored).ok());
  v1::GetScheduleRequest get;
  get.set_name("pressure");
  ASSERT_TRUE(Ask(policy_stub_, &Policies::GetSchedule, get, &stored).ok());
  ASSERT_EQ(stored.state().last_plan_ids_size(), 1)
      << stored.state().last_message();
  v1::GetPlanRequest ask;
  ask.set_id(stored.state().last_plan_ids(0));
  v1::Plan plan;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::GetPlan, ask, &plan).ok());
  EXPECT_EQ(plan.image_count(), 4u);
  EXPECT_EQ(plan.target_outcome().evicted_count(), 2u);
}

TEST_F(TargetTest, ASchedulePrunesAsFarAsItsTarget) {
  v1::SetScheduleRequest request;
  v1::Schedule* schedule = request.mutable_schedule();
  schedule->set_name("pressure");
  schedule->mutable_every()->set_seconds(3600);
  schedule->set_verb(v1::PRUNE_VERB_IMAGES);
  schedule->mutable_target()->set_free_bytes(1);
  v1::Schedule stored;
  grpc::Status status =
      Ask(policy_stub_, &Policies::SetSchedule, request, &stored);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(stored.target().free_bytes(), 1u);
  v1::RunScheduleRequest run;
  run.set_name("pressure");
  ASSERT_TRUE(Ask(policy_stub_, &Policies::RunSchedule, run, &stored).ok());
  v1::GetScheduleRequest get;
  get.set_name("pressure");
  ASSERT_TRUE(Ask(policy_stub_, &Policies::GetSchedule, get, &stored).ok());
  EXPECT_EQ(stored.state().last_outcome(), "succeeded")
      << stored.state().last_message();
  ASSERT_EQ(stored.state().last_run_ids_size(), 1);
  // An hour later the quarantine is enough: the first goes for good, and
  // nothing else.
  clock_.Advance(absl::Hours(1) + absl::Seconds(1));
  ASSERT_THAT(scheduler_->Tick(), base::IsOk());
  ASSERT_TRUE(Ask(policy_stub_, &Policies::GetSchedule, get, &stored).ok());
  EXPECT_EQ(stored.state().last_outcome(), "succeeded")
      << stored.state().last_message();
  v1::GetDiskUsageResponse usage;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::GetDiskUsage, {}, &usage).ok());
  EXPECT_EQ(usage.stores(0).image_count(), 3u);

  schedule->set_action(v1::SCHEDULE_ACTION_SCAN);
  status = Ask(policy_stub_, &Policies::SetSchedule, request, &stored);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace reclaim::rpc
