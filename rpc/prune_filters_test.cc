// What each filter of a prune selects, of every kind that there is, and how a
// plan says what it has understood (SEMANTICS.md, rules 2 and 3), as a client.

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "rpc/server_fixture.h"
#include "rpc/testing/engine_records.h"

namespace reclaim::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using Collection = v1::CollectionService::Stub;
using Names = std::set<std::string>;
using Terms = std::vector<std::string>;

class PruneFiltersTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    AddExternalStore();
    const v1::RecordResponse recorded = Record(records_.request());
    ASSERT_EQ(recorded.problems_size(), 0) << recorded.problems(0);
  }

  static v1::CreatePlanRequest RequestOf(v1::PruneVerb verb,
                                         const Terms& filters,
                                         const Terms& configured = {}) {
    v1::CreatePlanRequest request;
    request.set_verb(verb);
    for (const std::string& filter : filters) request.add_filters(filter);
    for (const std::string& filter : configured) {
      request.add_configured_filters(filter);
    }
    return request;
  }
  static v1::CreatePlanRequest RequestOf(const PruneCase& of) {
    v1::CreatePlanRequest request = RequestOf(of.verb, of.filters);
    if (of.all && of.verb == v1::PRUNE_VERB_IMAGES) {
      request.set_verb(v1::PRUNE_VERB_ALL_IMAGES);
    }
    request.set_all_images(of.all);
    request.set_all_volumes(of.all);
    request.set_all_cache(of.all);
    request.set_with_volumes(of.volumes);
    return request;
  }
  v1::Plan MakePlan(const v1::CreatePlanRequest& request) {
    v1::Plan plan;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return plan;
  }
  grpc::Status Refusal(const v1::CreatePlanRequest& request) {
    v1::Plan plan;
    return Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
  }
  // Records by their names, images by theirs; the parts of images are left out.
  Names Selected(const v1::Plan& plan) {
    v1::ListPlanItemsRequest request;
    request.set_id(plan.id());
    request.set_page_size(1000);
    v1::ListPlanItemsResponse items;
    EXPECT_TRUE(
        Ask(collection_stub_, &Collection::ListPlanItems, request, &items)
            .ok());
    EXPECT_EQ(static_cast<uint64_t>(items.items_size()), plan.item_count());
    Names names;
    for (const v1::PlanItem& item : items.items()) {
      const v1::Node& node = item.node();
      if (node.kind() == v1::NODE_KIND_TAG) continue;
      const std::string name =
          node.digest().empty() ? node.name() : records_.ImageOf(node.digest());
      if (!name.empty()) names.insert(name);
    }
    return names;
  }
  std::string Ago(absl::Duration age) const {
    return absl::FormatTime(absl::RFC3339_full, clock_.Now() - age,
                            absl::UTCTimeZone());
  }
  static Terms Resolved(const v1::Plan& plan) {
    return {plan.resolved_filters().begin(), plan.resolved_filters().end()};
  }

  EngineRecords records_{clock_.Now()};
};

TEST_F(PruneFiltersTest, EachSelectsWhatItSays) {
  for (const PruneCase& one : PruneCases()) {
    SCOPED_TRACE(absl::StrCat(
        v1::PruneVerb_Name(one.verb), " ", absl::StrJoin(one.filters, " "),
        one.all ? " --all" : "", one.volumes ? " --volumes" : ""));
    EXPECT_EQ(Selected(MakePlan(RequestOf(one))), one.gone);
  }
}

TEST_F(PruneFiltersTest, WhatAKindCannotCarryIsRefused) {
  const std::vector<std::pair<v1::PruneVerb, std::string>> cases = {
      {v1::PRUNE_VERB_CONTAINERS, "until.used=1h"},
      {v1::PRUNE_VERB_CONTAINERS, "dangling=true"},
      {v1::PRUNE_VERB_CONTAINERS, "reference=app"},
      {v1::PRUNE_VERB_NETWORKS, "until.exited=1h"},
      {v1::PRUNE_VERB_NETWORKS, "all=true"},
      {v1::PRUNE_VERB_VOLUMES, "until=1h"},
      {v1::PRUNE_VERB_VOLUMES, "dangling=true"},
      {v1::PRUNE_VERB_BUILD_CACHE, "label=team"},
      {v1::PRUNE_VERB_BUILD_CACHE, "until.created=1h"},
      {v1::PRUNE_VERB_IMAGES, "until.exited=1h"},
      {v1::PRUNE_VERB_IMAGES, "all=true"},
      {v1::PRUNE_VERB_ALL_IMAGES, "dangling=true"},
      {v1::PRUNE_VERB_SYSTEM, "dangling=true"},
      {v1::PRUNE_VERB_SYSTEM, "reference=app"},
      // Of lists alone.
      {v1::PRUNE_VERB_IMAGES, "before=app:tagged"},
      {v1::PRUNE_VERB_IMAGES, "since=app:tagged"}};
  for (const auto& [verb, filter] : cases) {
    EXPECT_EQ(Refusal(RequestOf(verb, {filter})).error_code(),
              grpc::StatusCode::INVALID_ARGUMENT)
        << v1::PruneVerb_Name(verb) << " " << filter;
  }
  v1::CreatePlanRequest volumes =
      RequestOf(v1::PRUNE_VERB_SYSTEM, {"until=1h"});
  volumes.set_with_volumes(true);
  const grpc::Status status = Refusal(volumes);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("until"));
}

TEST_F(PruneFiltersTest, APlanSaysWhatItHasUnderstood) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"until=24h", absl::StrCat("until=", Ago(absl::Hours(24)))},
      {"until=0m", absl::StrCat("until=", Ago(absl::ZeroDuration()))},
      {"until.recorded=1h30m", absl::StrCat("until=", Ago(absl::Minutes(90)))},
      {"used-before=90m", absl::StrCat("until.used=", Ago(absl::Minutes(90)))},
      {"until.pushed=2025-12-31", "until.pushed=2025-12-31T00:00:00+00:00"},
      {"until=2025-12-31T12:00", "until=2025-12-31T12:00:00+00:00"},
      {"until=2025-12-31T12:00:00+02:00", "until=2025-12-31T10:00:00+00:00"},
      {"until.created=1700000000.5",
       "until.created=2023-11-14T22:13:20.5+00:00"},
      {"until=0", "until=1970-01-01T00:00:00+00:00"},
      {"label=team", "label=team"},
      {"label=a=b=c", "label=a=b=c"},
      {"label!=team=red", "label!=team=red"},
      {"label=team!=red", "label!=team=red"},
      {"reference=app:v*", "reference=app:v*"},
      {"dangling=1", "dangling=true"}};
  for (const auto& [typed, resolved] : cases) {
    SCOPED_TRACE(typed);
    const v1::Plan plan = MakePlan(RequestOf(v1::PRUNE_VERB_IMAGES, {typed}));
    EXPECT_THAT(Resolved(plan), ElementsAre(resolved));
    // It is a filter, and says the same again.
    EXPECT_THAT(
        Resolved(MakePlan(RequestOf(v1::PRUNE_VERB_IMAGES, {resolved}))),
        ElementsAre(resolved));
  }
  EXPECT_THAT(Resolved(MakePlan(RequestOf(v1::PRUNE_VERB_VOLUMES, {"all=1"}))),
              ElementsAre("all=true"));
  EXPECT_THAT(Resolved(MakePlan(RequestOf(v1::PRUNE_VERB_IMAGES, {}))),
              ElementsAre());
}

// The instant is that of the plan, however late somebody asks.
TEST_F(PruneFiltersTest, AStoredPlanSaysTheSame) {
  const v1::Plan plan =
      MakePlan(RequestOf(v1::PRUNE_VERB_SYSTEM, {"label!=keep", "until=24h"}));
  const Terms resolved = Resolved(plan);
  ASSERT_THAT(
      resolved,
      ElementsAre("label!=keep", absl::StrCat("until=", Ago(absl::Hours(24)))));
  clock_.Advance(absl::Hours(5));
  RestartServer();
  v1::GetPlanRequest get;
  get.set_id(plan.id());
  v1::Plan stored;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::GetPlan, get, &stored).ok());
  EXPECT_THAT(Resolved(stored), ElementsAreArray(resolved));
  v1::ListPlansResponse plans;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::ListPlans, {}, &plans).ok());
  ASSERT_EQ(plans.plans_size(), 1);
  EXPECT_THAT(Resolved(plans.plans(0)), ElementsAreArray(resolved));
}

// Case 35: what is typed wins over what is configured.
TEST_F(PruneFiltersTest, ConfiguredTermsYieldToTypedOnes) {
  struct Case {
    Terms typed;
    Terms configured;
    Terms resolved;
  };
  const std::string day = absl::StrCat("until=", Ago(absl::Hours(24)));
  const std::string hour = absl::StrCat("until=", Ago(absl::Hours(1)));
  const std::string used = absl::StrCat("until.used=", Ago(absl::Hours(2)));
  const std::vector<Case> cases = {
      {{}, {"label!=keep", "until=24h"}, {"label!=keep", day}},
      {{"label=keep"}, {"label!=keep", "until=24h"}, {"label=keep", day}},
      {{"label=other"}, {"label!=keep"}, {"label!=keep", "label=other"}},
      {{"until=1h"}, {"until=24h"}, {hour}},
      {{"until.recorded=1h"}, {"until=24h"}, {hour}},
      {{"until.used=2h"}, {"used-before=1h", "until=24h"}, {day, used}},
      {{"dangling=true"}, {"dangling=false"}, {"dangling=true"}},
      {{"reference=a"}, {"reference=b"}, {"reference=b", "reference=a"}}};
  for (const Case& one : cases) {
    SCOPED_TRACE(absl::StrJoin(one.typed, " ") + " over " +
                 absl::StrJoin(one.configured, " "));
    EXPECT_THAT(Resolved(MakePlan(RequestOf(v1::PRUNE_VERB_IMAGES, one.typed,
                                            one.configured))),
                ElementsAreArray(one.resolved));
  }
  // They select as typed ones do.
  EXPECT_EQ(
      Selected(MakePlan(RequestOf(v1::PRUNE_VERB_IMAGES, {}, {"until=24h"}))),
      Names({"i-old"}));
  EXPECT_EQ(Selected(MakePlan(RequestOf(v1::PRUNE_VERB_IMAGES, {"until=30m"},
                                        {"until=24h"}))),
            Names({"i-old", "i-young"}));
  for (const char* wrong : {"colour=red", "until=", "until.exited=1h"}) {
    EXPECT_EQ(
        Refusal(RequestOf(v1::PRUNE_VERB_IMAGES, {}, {wrong})).error_code(),
        grpc::StatusCode::INVALID_ARGUMENT)
        << wrong;
  }
}

}  // namespace
}  // namespace reclaim::rpc
