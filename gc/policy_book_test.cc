#include "gc/policy_book.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::HasSubstr;

RuleSet Releases() {
  RuleSet set;
  set.name = "releases";
  RetentionRule rule;
  rule.name = "newest";
  rule.stores = {"reg"};
  rule.repositories = {"team/**"};
  rule.tags = {"v*", "!v0*"};
  rule.keep_newest = 3;
  rule.newest_by = NewestBy::kCreated;
  rule.keep_used_within = absl::Hours(24);
  rule.keep_pushed_within = absl::Hours(25);
  rule.expire_unused_after = absl::Hours(26);
  rule.unused_counts_from_push = true;
  RetentionRule untagged;
  untagged.name = "untagged";
  untagged.expire_untagged_after = absl::Hours(27);
  RetentionRule pinned;
  pinned.name = "pinned";
  pinned.repositories = {"base"};
  pinned.keep = KeepWord::kPinned;
  set.rules = {rule, untagged, pinned};
  ReferrerRule referrer;
  referrer.name = "signatures";
  referrer.fate = ReferrerFate::kKeepFor;
  referrer.period = absl::Hours(28);
  referrer.includes_cosign_tags = true;
  set.referrers = {referrer};
  set.allow_remove_all = true;
  set.actor = "uid:7";
  return set;
}

Schedule Nightly() {
  Schedule schedule;
  schedule.name = "nightly";
  schedule.cron = "30 3 * * *";
  schedule.time_zone = "Europe/Berlin";
  schedule.jitter = absl::Minutes(10);
  schedule.windows = {"22:00-06:00"};
  schedule.needs_approval = true;
  schedule.request.verb = PruneVerb::kRetention;
  schedule.request.store = "reg";
  schedule.request.all_images = true;
  schedule.filters = {"until=24h"};
  schedule.actor = "uid:8";
  return schedule;
}

class PolicyBookTest : public ::testing::Test {
 protected:
  void Open(const FilePolicies& file = {}) {
    auto book = PolicyBook::Open(&engine_, &clock_, file);
    ASSERT_THAT(book, IsOk());
    book_ = *std::move(book);
  }

  index::MemoryEngine engine_;
  base::SimulatedClock clock_;
  std::unique_ptr<PolicyBook> book_;
};

TEST_F(PolicyBookTest, ARuleSetComesBackWholeAfterARestart) {
  Open();
  const auto put = book_->PutRuleSet(Releases(), "");
  ASSERT_THAT(put, IsOk());
  EXPECT_EQ(put->changed, clock_.Now());
  Open();
  const auto got = book_->GetRuleSet("releases");
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(got->etag, put->etag);
  ASSERT_EQ(got->rules.size(), 3u);
  const RetentionRule& rule = got->rules[0];
  const RuleSet want = Releases();
  EXPECT_EQ(rule.stores, want.rules[0].stores);
  EXPECT_EQ(rule.repositories, want.rules[0].repositories);
  EXPECT_EQ(rule.tags, want.rules[0].tags);
  EXPECT_EQ(rule.keep_newest, 3u);
  EXPECT_EQ(rule.newest_by, NewestBy::kCreated);
  EXPECT_EQ(rule.keep_used_within, absl::Hours(24));
  EXPECT_EQ(rule.keep_pushed_within, absl::Hours(25));
  EXPECT_EQ(rule.expire_unused_after, absl::Hours(26));
  EXPECT_TRUE(rule.unused_counts_from_push);
  EXPECT_EQ(got->rules[1].expire_untagged_after, absl::Hours(27));
  EXPECT_EQ(got->rules[2].keep, KeepWord::kPinned);
  EXPECT_EQ(got->referrers[0].fate, ReferrerFate::kKeepFor);
  EXPECT_EQ(got->referrers[0].period, absl::Hours(28));
  EXPECT_TRUE(got->referrers[0].includes_cosign_tags);
  EXPECT_TRUE(got->allow_remove_all);
  EXPECT_EQ(got->actor, "uid:7");
}

TEST_F(PolicyBookTest, AnEtagThatIsOldIsRefused) {
  Open();
  const auto first = book_->PutRuleSet(Releases(), "");
  ASSERT_THAT(first, IsOk());
  RuleSet changed = Releases();
  changed.rules[0].keep_newest = 4;
  ASSERT_THAT(book_->PutRuleSet(changed, first->etag), IsOk());
  EXPECT_THAT(book_->PutRuleSet(changed, first->etag),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(book_->DeleteRuleSet("releases", first->etag),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(book_->DeleteRuleSet("releases", ""), IsOk());
  EXPECT_THAT(book_->DeleteRuleSet("releases", ""),
              StatusIs(absl::StatusCode::kNotFound));
  Open();
  EXPECT_TRUE(book_->RuleSets().empty());
}

TEST_F(PolicyBookTest, TheFileCanNotBeChangedHere) {
  RuleSet file = Releases();
  file.name = "zz";
  Open({{file}, {Nightly()}});
  ASSERT_THAT(book_->PutRuleSet(Releases(), ""), IsOk());
  EXPECT_THAT(book_->PutRuleSet(file, ""),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(book_->DeleteSchedule("nightly", ""),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_EQ(book_->RuleSets().size(), 2u);
  EXPECT_EQ(book_->RuleSets()[0].name, "zz");  // the file's come first
  Open();
  EXPECT_EQ(book_->RuleSets().size(), 1u);
  EXPECT_TRUE(book_->Schedules().empty());
}

TEST_F(PolicyBookTest, ASetThatIsWrongIsNotStored) {
  Open();
  RuleSet set = Releases();
  set.rules[0].tags = {"re:("};
  EXPECT_THAT(book_->PutRuleSet(set, ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(book_->RuleSets().empty());
  EXPECT_THAT(PolicyBook::Open(&engine_, &clock_, {{set}, {}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(
      PolicyBook::Open(&engine_, &clock_, {{}, {Nightly(), Nightly()}}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("given twice")));
}

TEST_F(PolicyBookTest, AScheduleComesBackWhole) {
  Open();
  ASSERT_THAT(book_->PutSchedule(Nightly(), ""), IsOk());
  Open();
  const auto got = book_->GetSchedule("nightly");
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(got->cron, "30 3 * * *");
  EXPECT_EQ(got->time_zone, "Europe/Berlin");
  EXPECT_EQ(got->jitter, absl::Minutes(10));
  EXPECT_EQ(got->windows, Nightly().windows);
  EXPECT_TRUE(got->needs_approval);
  EXPECT_EQ(got->request.verb, PruneVerb::kRetention);
  EXPECT_EQ(got->request.store, "reg");
  EXPECT_TRUE(got->request.all_images);
  EXPECT_EQ(got->filters, Nightly().filters);
  EXPECT_EQ(got->actor, "uid:8");
}

TEST_F(PolicyBookTest, SchedulesThatAreWrongAreRefused) {
  Open();
  const auto refused = [this](auto change, const char* why) {
    Schedule schedule = Nightly();
    change(&schedule);
    EXPECT_THAT(book_->PutSchedule(schedule, ""),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  refused([](Schedule* s) { s->cron = "0 0 31 2 *"; }, "never comes");
  refused([](Schedule* s) { s->cron = "nonsense"; }, "five fields");
  refused([](Schedule* s) { s->time_zone = "Mars/Olympus"; }, "Mars/Olympus");
  refused([](Schedule* s) { s->every = absl::Hours(1); }, "either");
  refused([](Schedule* s) { s->cron = ""; }, "either");
  refused([](Schedule* s) { s->windows = {"late"}; }, "window");
  refused([](Schedule* s) { s->jitter = absl::Hours(25); }, "jitter");
  refused([](Schedule* s) { s->filters = {"color=red"}; }, "color");
  refused(
      [](Schedule* s) {
        s->request.verb = PruneVerb::kImages;
        s->filters = {"until.exited=24h"};
      },
      "\"exited\" does not fit images");
  refused([](Schedule* s) { s->name = "N"; }, "a name is like");
  refused([](Schedule* s) { s->action = ScheduleAction::kPurge; }, "approve");
  EXPECT_TRUE(book_->Schedules().empty());
}

TEST_F(PolicyBookTest, DamagedRecordsAreDataLoss) {
  index::Batch batch;
  batch.Put(index::Family::kPolicy, "rules/x", "\xff\xff");
  ASSERT_THAT(engine_.Commit(batch, index::Durability::kDurable), IsOk());
  EXPECT_THAT(PolicyBook::Open(&engine_, &clock_, {}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("rule set")));
}

Tenant Red() {
  Tenant tenant;
  tenant.name = "red";
  tenant.repositories = {"red/**"};
  tenant.labels = {"team=red"};
  tenant.quota_bytes = 5;
  tenant.actor = "uid:7";
  return tenant;
}

RepositoryQuota Limit(const std::string& name, const std::string& repositories,
                      uint64_t bytes) {
  RepositoryQuota quota;
  quota.name = name;
  quota.repositories = {repositories};
  quota.quota_bytes = bytes;
  return quota;
}

TEST_F(PolicyBookTest, TenantsAndQuotasOutliveARestart) {
  Open();
  const auto put = book_->PutTenant(Red(), "");
  ASSERT_THAT(put, IsOk());
  EXPECT_FALSE(put->etag.empty());
  ASSERT_THAT(book_->PutQuota(Limit("all", "**", 9), ""), IsOk());
  Open();
  const auto tenant = book_->GetTenant("red");
  ASSERT_THAT(tenant, IsOk());
  EXPECT_EQ(tenant->repositories, Red().repositories);
  EXPECT_EQ(tenant->labels, Red().labels);
  EXPECT_EQ(tenant->quota_bytes, 5u);
  EXPECT_EQ(tenant->actor, "uid:7");
  EXPECT_EQ(tenant->changed, put->changed);
  EXPECT_EQ(tenant->etag, put->etag);
  EXPECT_EQ(book_->ListQuotas().size(), 1u);
  EXPECT_EQ(book_->Tenants()->QuotaOf("any/thing"), 9u);
  ASSERT_THAT(book_->DeleteTenant("red", put->etag), IsOk());
  ASSERT_THAT(book_->DeleteQuota("all", ""), IsOk());
  Open();
  EXPECT_THAT(book_->GetTenant("red"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(book_->GetQuota("all"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(book_->Tenants()->QuotaOf("any/thing"), std::nullopt);
}

TEST_F(PolicyBookTest, TheFilesQuotasComeFirstAndStay) {
  FilePolicies file;
  file.tenants.tenants = {Red()};
  file.tenants.quotas = {Limit("z", "a/**", 1), Limit("y", "a/b", 2)};
  Open(file);
  ASSERT_THAT(book_->PutQuota(Limit("a", "**", 3), ""), IsOk());
  EXPECT_EQ(book_->Tenants()->QuotaOf("a/b"), 1u) << "the file's order";
  EXPECT_EQ(book_->Tenants()->QuotaOf("c"), 3u);
  EXPECT_THAT(book_->PutTenant(Red(), ""),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(book_->DeleteTenant("red", ""),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(book_->DeleteQuota("z", ""),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(book_->ListTenants()[0].is_from_file);
  const std::vector<RepositoryQuota> quotas = book_->ListQuotas();
  ASSERT_EQ(quotas.size(), 3u);
  EXPECT_EQ(quotas[0].name, "a");
  EXPECT_FALSE(quotas[0].is_from_file);
}

TEST_F(PolicyBookTest, AWrongTenantIsNotStored) {
  Open();
  const auto held = book_->Tenants();
  Tenant wrong = Red();
  wrong.repositories = {"["};
  EXPECT_THAT(
      book_->PutTenant(wrong, ""),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tenant red")));
  EXPECT_THAT(book_->PutQuota(Limit("none", "**", 0), ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_THAT(book_->PutTenant(Red(), ""), IsOk());
  EXPECT_THAT(book_->PutTenant(Red(), "another"),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_NE(book_->Tenants(), held);
  Open();
  EXPECT_EQ(book_->ListTenants().size(), 1u);
  EXPECT_TRUE(book_->ListQuotas().empty());
}

}  // namespace
}  // namespace reclaim::gc
