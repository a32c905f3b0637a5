// Rules, schedules and approvals, as a client sees them.

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Graph = v1::GraphService::Stub;
using Policies = v1::PolicyService::Stub;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PolicyTest : public ServerFixture {
 protected:
  void SetUp() override {
    for (const char* tag : {"v1", "v2", "v3"}) {
      tree_.Image("app", tag, {"base", tag});
    }
    tree_.Image("web", "v1", {"base", "web"});
    Age();
    ServerFixture::SetUp();
    AddStore("registry");
  }

  // v1 is the oldest, v3 the newest.
  void Age() {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_.path())) {
      int hours = 1000;
      const std::string path = entry.path().string();
      if (path.find("_manifests/tags/v2") != std::string::npos) hours = 900;
      if (path.find("_manifests/tags/v3") != std::string::npos) hours = 800;
      const int64_t seconds =
          absl::ToUnixSeconds(clock_.Now() - absl::Hours(hours));
      const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
      ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    }
  }

  static v1::RuleSet Newest(uint32_t count) {
    v1::RuleSet set;
    set.set_name("releases");
    v1::RetentionRule* rule = set.add_rules();
    rule->set_name("newest");
    rule->add_tags("v*");
    rule->set_keep_newest(count);
    return set;
  }

  grpc::Status Set(const v1::RuleSet& set, v1::RuleSet* out,
                   const std::string& etag = "") {
    v1::SetRuleSetRequest request;
    *request.mutable_rule_set() = set;
    request.set_etag(etag);
    return Ask(policy_stub_, &Policies::SetRuleSet, request, out);
  }

  // Tag by tag: "app:v1 goes by releases/newest".
  std::vector<std::string> Test(const v1::TestPolicyRequest& request) {
    grpc::ClientContext context;
    const auto reader = policy_stub_->TestPolicy(&context, request);
    std::vector<std::string> lines;
    v1::TestPolicyResponse message;
    while (reader->Read(&message)) {
      for (const v1::TagDecision& decision : message.decisions()) {
        lines.push_back(absl::StrCat(decision.repository(), ":", decision.tag(),
                                     decision.goes() ? " goes" : " stays",
                                     " by ", decision.rule()));
      }
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return lines;
  }

  v1::Schedule Put(const v1::Schedule& schedule) {
    v1::SetScheduleRequest request;
    *request.mutable_schedule() = schedule;
    v1::Schedule out;
    const grpc::Status status =
        Ask(policy_stub_, &Policies::SetSchedule, request, &out);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return out;
  }
  v1::Schedule Get(const std::string& name) {
    v1::GetScheduleRequest request;
    request.set_name(name);
    v1::Schedule out;
    const grpc::Status status =
        Ask(policy_stub_, &Policies::GetSchedule, request, &out);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return out;
  }
  static v1::Schedule Nightly() {
    v1::Schedule schedule;
    schedule.set_name("nightly");
    schedule.set_cron("30 3 * * *");
    return schedule;
  }
  void NextMorning() {
    clock_.Advance(absl::Hours(24));
    ASSERT_THAT(scheduler_->Tick(), base::IsOk());
  }
  bool HasTag(const std::string& name) {
    return folder_.Exists(
        "docker/registry/v2/repositories/app/_manifests/tags/" + name +
        "/current/link");
  }

  store::RegistryTree tree_{&folder_};
};

TEST_F(PolicyTest, RulesAreSetTestedAndTaken) {
  v1::RuleSet set;
  ASSERT_TRUE(Set(Newest(1), &set).ok());
  EXPECT_EQ(set.actor(), absl::StrCat("uid:", getuid()));
  EXPECT_FALSE(set.etag().empty());
  EXPECT_THAT(Test({}), ElementsAre("app:v1 goes by releases/newest",
                                    "app:v2 goes by releases/newest",
                                    "app:v3 stays by releases/newest",
                                    "web:v1 stays by releases/newest"));
  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_RETENTION);
  v1::Plan plan;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan).ok());
  v1::ListPlanItemsRequest list;
  list.set_id(plan.id());
  v1::ListPlanItemsResponse items;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::ListPlanItems, list, &items).ok());
  ASSERT_GE(items.items_size(), 2);
  EXPECT_EQ(items.items(0).action(), "tag");
  EXPECT_EQ(items.items(0).reason(), "retention");
  EXPECT_EQ(items.items(0).detail(),
            "rule releases/newest: not among the newest 1 by push");
  // A pull after the plan keeps its tag.
  v1::RecordRequest record;
  v1::Touch* touch = record.add_operations()->mutable_touch();
  touch->set_repository("app");
  touch->set_tag("v2");
  v1::RecordResponse recorded;
  const grpc::Status touched =
      Ask(graph_stub_, &Graph::Record, record, &recorded);
  ASSERT_TRUE(touched.ok()) << touched.error_message();
  v1::ApplyPlanRequest apply;
  apply.set_plan_id(plan.id());
  apply.set_allow_large(true);
  v1::Run run;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::ApplyPlan, apply, &run).ok());
  run = Await(run);
  EXPECT_FALSE(HasTag("v1"));
  EXPECT_TRUE(HasTag("v2"));
  EXPECT_TRUE(HasTag("v3"));
  ASSERT_GE(run.skipped_size(), 1);
  EXPECT_EQ(run.skipped(0).reason(), "touched");
}

TEST_F(PolicyTest, ATestStoresNothing) {
  v1::TestPolicyRequest request;
  *request.mutable_rule_set() = Newest(2);
  request.set_only_going(true);
  EXPECT_THAT(Test(request), ElementsAre("app:v1 goes by releases/newest"));
  v1::ListRuleSetsResponse sets;
  ASSERT_TRUE(Ask(policy_stub_, &Policies::ListRuleSets, {}, &sets).ok());
  EXPECT_EQ(sets.rule_sets_size(), 0);
  v1::ListPlansResponse plans;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::ListPlans, {}, &plans).ok());
  EXPECT_EQ(plans.plans_size(), 0);
}

TEST_F(PolicyTest, AnEmptySetDeletesNothing) {
  v1::RuleSet empty;
  empty.set_name("empty");
  v1::RuleSet out;
  ASSERT_TRUE(Set(empty, &out).ok());
  EXPECT_THAT(Test({}), IsEmpty());
  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_RETENTION);
  v1::Plan plan;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan).ok());
  EXPECT_EQ(plan.item_count(), 0u);
}

TEST_F(PolicyTest, ASetThatWouldEmptyRepositoriesNeedsTheWord) {
  v1::RuleSet set;
  set.set_name("recent");
  v1::RetentionRule* rule = set.add_rules();
  rule->set_name("pushed");
  rule->mutable_keep_pushed_within()->set_seconds(850 * 3600);
  v1::RuleSet out;
  const grpc::Status refused = Set(set, &out);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(),
              HasSubstr("every tag of 1 repositories"));
  EXPECT_THAT(refused.error_message(), HasSubstr("web"));
  set.set_allow_remove_all(true);
  EXPECT_TRUE(Set(set, &out).ok());
}

TEST_F(PolicyTest, WhatIsWrongIsSaid) {
  v1::RuleSet out;
  v1::RuleSet set = Newest(1);
  set.mutable_rules(0)->set_tags(0, "re:(");
  EXPECT_EQ(Set(set, &out).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_TRUE(Set(Newest(1), &out).ok());
  const std::string etag = out.etag();
  ASSERT_TRUE(Set(Newest(2), &out, etag).ok());
  EXPECT_EQ(Set(Newest(3), &out, etag).error_code(), grpc::StatusCode::ABORTED);
  v1::SetScheduleRequest request;
  *request.mutable_schedule() = Nightly();
  request.mutable_schedule()->set_time_zone("Mars/Olympus");
  v1::Schedule schedule;
  const grpc::Status zone =
      Ask(policy_stub_, &Policies::SetSchedule, request, &schedule);
  EXPECT_EQ(zone.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(zone.error_message(), HasSubstr("Mars/Olympus"));
  request.mutable_schedule()->clear_time_zone();
  request.mutable_schedule()->set_store("nowhere");
  EXPECT_EQ(Ask(policy_stub_, &Policies::SetSchedule, request, &schedule)
                .error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(PolicyTest, AScheduleRunsByItselfAndOutlivesARestart) {
  v1::RuleSet set;
  ASSERT_TRUE(Set(Newest(2), &set).ok());
  const v1::Schedule made = Put(Nightly());
  EXPECT_EQ(made.verb(), v1::PRUNE_VERB_RETENTION);
  EXPECT_EQ(made.time_zone(), "UTC");
  EXPECT_EQ(made.state().next_time().seconds() % 86400, 3 * 3600 + 30 * 60);
  NextMorning();
  EXPECT_FALSE(HasTag("v1"));
  EXPECT_TRUE(HasTag("v2"));
  v1::Schedule after = Get("nightly");
  EXPECT_EQ(after.state().last_outcome(), "succeeded")
      << after.state().last_message();
  EXPECT_EQ(after.state().run_count(), 1u);
  ASSERT_EQ(after.state().last_run_ids_size(), 1);
  v1::GetRunRequest get;
  get.set_id(after.state().last_run_ids(0));
  v1::Run run;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::GetRun, get, &run).ok());
  EXPECT_EQ(run.actor(), "schedule:nightly");
  StopServer();
  StartServer();
  after = Get("nightly");
  EXPECT_EQ(after.state().run_count(), 1u);
  EXPECT_EQ(after.state().last_outcome(), "succeeded");
  NextMorning();
  EXPECT_EQ(Get("nightly").state().last_outcome(), "nothing-to-do");
}

TEST_F(PolicyTest, ALargePlanStopsAndWaitsForSomebody) {
  StopServer();
  policy_.large_plan_percent = 1;
  StartServer();
  v1::RuleSet set;
  ASSERT_TRUE(Set(Newest(1), &set).ok());
  Put(Nightly());
  NextMorning();
  const v1::ScheduleState state = Get("nightly").state();
  EXPECT_EQ(state.last_outcome(), "too-large");
  EXPECT_THAT(state.last_message(), HasSubstr("--allow-large"));
  EXPECT_TRUE(HasTag("v1"));
  ASSERT_EQ(state.last_plan_ids_size(), 1);
  v1::ApplyPlanRequest apply;
  apply.set_plan_id(state.last_plan_ids(0));
  apply.set_allow_large(true);
  v1::Run run;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::ApplyPlan, apply, &run).ok());
  EXPECT_EQ(Await(run).phase(), v1::RUN_PHASE_SUCCEEDED);
  EXPECT_FALSE(HasTag("v1"));
}

TEST_F(PolicyTest, OneMakesThePlanAnotherApprovesIt) {
  v1::RuleSet set;
  ASSERT_TRUE(Set(Newest(2), &set).ok());
  v1::Schedule schedule = Nightly();
  schedule.set_approve(true);
  Put(schedule);
  NextMorning();
  v1::ScheduleState state = Get("nightly").state();
  EXPECT_EQ(state.last_outcome(), "waits-for-approval");
  ASSERT_EQ(state.last_plan_ids_size(), 1);
  v1::ApplyPlanRequest apply;
  apply.set_plan_id(state.last_plan_ids(0));
  v1::Run run;
  grpc::Status status =
      Ask(collection_stub_, &Collection::ApplyPlan, apply, &run);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("plans approve"));
  // Who wrote the schedule may not.
  v1::ApprovePlanRequest approve;
  approve.set_plan_id(apply.plan_id());
  v1::Plan plan;
  status = Ask(policy_stub_, &Policies::ApprovePlan, approve, &plan);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(HasTag("v1"));
  // That of the file is nobody's.
  StopServer();
  gc::Schedule file;
  file.name = "nightly";
  file.cron = "30 3 * * *";
  file.needs_approval = true;
  file.request.verb = gc::PruneVerb::kRetention;
  file_policies_.schedules = {file};
  StartServer();
  NextMorning();
  state = Get("nightly").state();
  ASSERT_EQ(state.last_plan_ids_size(), 1) << state.last_message();
  approve.set_plan_id(state.last_plan_ids(0));
  status = Ask(policy_stub_, &Policies::ApprovePlan, approve, &plan);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(plan.approver(), absl::StrCat("uid:", getuid()));
  EXPECT_EQ(plan.schedule(), "nightly");
  apply.set_plan_id(plan.id());
  ASSERT_TRUE(Ask(collection_stub_, &Collection::ApplyPlan, apply, &run).ok());
  EXPECT_EQ(Await(run).phase(), v1::RUN_PHASE_SUCCEEDED);
  EXPECT_FALSE(HasTag("v1"));
}

TEST_F(PolicyTest, ASchedulePurgesWhatIsDue) {
  v1::Schedule purge;
  purge.set_name("purge");
  purge.mutable_every()->set_seconds(600);
  purge.set_action(v1::SCHEDULE_ACTION_PURGE);
  Put(purge);
  clock_.Advance(absl::Minutes(10));
  ASSERT_THAT(scheduler_->Tick(), base::IsOk());
  EXPECT_EQ(Get("purge").state().last_outcome(), "nothing-to-do");
  v1::RuleSet set;
  ASSERT_TRUE(Set(Newest(2), &set).ok());
  Put(Nightly());
  v1::RunScheduleRequest now;
  now.set_name("nightly");
  v1::Schedule out;
  ASSERT_TRUE(Ask(policy_stub_, &Policies::RunSchedule, now, &out).ok());
  ASSERT_FALSE(HasTag("v1"));
  clock_.Advance(policy_.quarantine_period + absl::Minutes(10));
  ASSERT_THAT(scheduler_->Tick(), base::IsOk());
  EXPECT_EQ(Get("purge").state().last_outcome(), "succeeded")
      << Get("purge").state().last_message();
  v1::ListQuarantineResponse held;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::ListQuarantine, {}, &held).ok());
  EXPECT_EQ(held.entries_size(), 0);
}

TEST_F(PolicyTest, SchedulesArePausedListedAndDeleted) {
  Put(Nightly());
  v1::PauseScheduleRequest pause;
  pause.set_name("nightly");
  v1::Schedule out;
  ASSERT_TRUE(Ask(policy_stub_, &Policies::PauseSchedule, pause, &out).ok());
  EXPECT_TRUE(out.state().is_paused());
  EXPECT_FALSE(out.state().has_next_time());
  NextMorning();
  EXPECT_EQ(Get("nightly").state().run_count(), 0u);
  v1::ListSchedulesResponse list;
  ASSERT_TRUE(Ask(policy_stub_, &Policies::ListSchedules, {}, &list).ok());
  EXPECT_EQ(list.schedules_size(), 1);
  v1::DeleteScheduleRequest remove;
  remove.set_name("nightly");
  v1::DeleteScheduleResponse none;
  ASSERT_TRUE(Ask(policy_stub_, &Policies::DeleteSchedule, remove, &none).ok());
  EXPECT_EQ(
      Ask(policy_stub_, &Policies::DeleteSchedule, remove, &none).error_code(),
      grpc::StatusCode::NOT_FOUND);
}

// Last use is durable: a restart forgets nothing.
TEST_F(PolicyTest, APullBeforeARestartKeepsItsTag) {
  v1::RuleSet set;
  set.set_name("unused");
  v1::RetentionRule* rule = set.add_rules();
  rule->set_name("unused");
  rule->mutable_expire_unused_after()->set_seconds(720 * 3600);
  rule->set_unused_counts_from_push(true);
  set.set_allow_remove_all(true);
  v1::RuleSet out;
  ASSERT_TRUE(Set(set, &out).ok());
  v1::RecordRequest record;
  v1::Touch* touch = record.add_operations()->mutable_touch();
  touch->set_repository("app");
  touch->set_tag("v1");
  v1::RecordResponse recorded;
  ASSERT_TRUE(Ask(graph_stub_, &Graph::Record, record, &recorded).ok());
  const auto stays = [this] {
    std::vector<std::string> lines = Test({});
    return lines.empty() ? "" : lines[0];
  };
  EXPECT_THAT(stays(), HasSubstr("app:v1 stays"));
  StopServer();
  StartServer();
  clock_.Advance(absl::Hours(719));
  EXPECT_THAT(stays(), HasSubstr("app:v1 stays"));
  clock_.Advance(absl::Hours(2));
  EXPECT_THAT(stays(), HasSubstr("app:v1 goes"));
}

TEST_F(PolicyTest, TenantsAndQuotasOverTheApi) {
  v1::SetTenantRequest set;
  set.mutable_tenant()->set_name("red");
  set.mutable_tenant()->add_repositories("app");
  set.mutable_tenant()->set_quota_bytes(1);
  set.set_request_id("once");
  v1::Tenant tenant;
  ASSERT_TRUE(Ask(policy_stub_, &Policies::SetTenant, set, &tenant).ok());
  EXPECT_EQ(tenant.actor(), absl::StrCat("uid:", getuid()));
  EXPECT_FALSE(tenant.is_from_file());
  const std::string etag = tenant.etag();
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Ask(policy_stub_, &Policies::SetTenant, set, &tenant).ok());
  EXPECT_EQ(tenant.etag(), etag) << "the same request changes nothing twice";

  v1::SetRepositoryQuotaRequest limit;
  limit.mutable_quota()->set_name("web");
  limit.mutable_quota()->add_repositories("web");
  limit.mutable_quota()->set_quota_bytes(1);
  v1::RepositoryQuota quota;
  ASSERT_TRUE(
      Ask(policy_stub_, &Policies::SetRepositoryQuota, limit, &quota).ok());

  v1::ListTenantsResponse tenants;
  v1::ListTenantsRequest list;
  list.set_page_size(1);
  ASSERT_TRUE(Ask(policy_stub_, &Policies::ListTenants, list, &tenants).ok());
  ASSERT_EQ(tenants.tenants_size(), 1);
  EXPECT_EQ(tenants.next_page_token(), "");
  v1::ListRepositoryQuotasResponse quotas;
  ASSERT_TRUE(
      Ask(policy_stub_, &Policies::ListRepositoryQuotas, {}, &quotas).ok());
  ASSERT_EQ(quotas.quotas_size(), 1);
  EXPECT_EQ(quotas.quotas(0).quota_bytes(), 1u);

  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_RETENTION);
  request.mutable_target()->set_quotas(true);
  v1::Plan plan;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan).ok());
  EXPECT_GT(plan.target_outcome().needed_bytes(), 0u);

  v1::DeleteTenantRequest remove;
  remove.set_name("red");
  remove.set_etag("another");
  v1::DeleteTenantResponse none;
  EXPECT_EQ(
      Ask(policy_stub_, &Policies::DeleteTenant, remove, &none).error_code(),
      grpc::StatusCode::ABORTED);
  remove.set_etag(etag);
  EXPECT_TRUE(Ask(policy_stub_, &Policies::DeleteTenant, remove, &none).ok());
  EXPECT_EQ(
      Ask(policy_stub_, &Policies::DeleteTenant, remove, &none).error_code(),
      grpc::StatusCode::NOT_FOUND);
  set.mutable_tenant()->set_quota_bytes(0);
  set.clear_request_id();
  EXPECT_EQ(Ask(policy_stub_, &Policies::SetTenant, set, &tenant).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  limit.mutable_quota()->set_quota_bytes(0);
  EXPECT_EQ(Ask(policy_stub_, &Policies::SetRepositoryQuota, limit, &quota)
                .error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace reclaim::rpc
