// Rules on a real tree: what happens between the plan and the deed.

#include <fcntl.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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
using ::testing::HasSubstr;

class FixedRules final : public RuleSource {
 public:
  std::vector<RuleSet> RuleSets() const override { return sets; }
  std::vector<RuleSet> sets;
};

// Three tags of one repository, v3 the newest; the rule keeps the newest.
class RetentionCollectorTest : public CollectorFixture {
 protected:
  RetentionCollectorTest() {
    for (const char* tag : {"v1", "v2", "v3"}) {
      images_.push_back(tree_.Image("app", tag, {"base", tag}));
    }
    Open(store::StoreKind::kRegistry);
    Touch("v3");
    Scan();
    RuleSet set;
    set.name = "s";
    RetentionRule rule;
    rule.name = "newest";
    rule.keep_newest = 1;
    set.rules = {rule};
    rules_.sets = {set};
    collector_->SetRuleSource(&rules_);
  }

  void Touch(const std::string& tag) {
    const std::string link = absl::StrCat(
        folder_.path(), "/docker/registry/v2/repositories/app/_manifests/tags/",
        tag, "/current/link");
    const int64_t seconds = absl::ToUnixSeconds(clock_.Now() - absl::Hours(10));
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, link.c_str(), times, 0), 0) << link;
  }
  WholePlan ByRules() { return MakePlan(Request(PruneVerb::kRetention)); }
  index::PutTag Tag(const std::string& tag, const oci::Digest& digest) {
    index::PutTag put;
    put.store = "s";
    put.repository = "app";
    put.tag = tag;
    put.digest = digest;
    return put;
  }
  static SkipReason SkipOf(const gc::Run& run, const std::string& subject) {
    for (const SkippedItem& item : run.skipped) {
      if (item.subject == subject) return item.reason;
    }
    return SkipReason::kNone;
  }

  store::RegistryTree tree_{&folder_};
  std::vector<oci::Digest> images_;
  FixedRules rules_;
};

TEST_F(RetentionCollectorTest, RulesTakeTagsAndRestoreGivesThemBack) {
  const std::string before = folder_.Snapshot();
  const WholePlan plan = ByRules();
  EXPECT_EQ(folder_.Snapshot(), before) << "a preview changes nothing (I8)";
  ASSERT_GE(plan.items.size(), 2u);
  EXPECT_EQ(plan.items[0].reason, DoomReason::kRetention);
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_FALSE(HasTag("app", "v1"));
  EXPECT_FALSE(HasTag("app", "v2"));
  EXPECT_TRUE(HasTag("app", "v3"));
  EXPECT_EQ(StateOf(images_[0]), index::NodeState::kQuarantined);
  ExpectExact();
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_TRUE(HasTag("app", "v1"));
  EXPECT_TRUE(HasTag("app", "v2"));
  EXPECT_EQ(StateOf(images_[0]), index::NodeState::kPresent);
  ExpectExact();
}

TEST_F(RetentionCollectorTest, ATagMovedPushedOrPulledSinceThePlanStays) {
  const Plan plan = ByRules();
  // v1 moves to the image of v2; that reference is a use of it as well.
  ASSERT_THAT(Record({Tag("v1", images_[1])}), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_TRUE(HasTag("app", "v1"));
  EXPECT_TRUE(HasTag("app", "v2"));
  EXPECT_EQ(SkipOf(*run, "tag app:v1"), SkipReason::kChanged);
  EXPECT_EQ(SkipOf(*run, "tag app:v2"), SkipReason::kTouched);
  EXPECT_EQ(StateOf(images_[1]), index::NodeState::kPresent);
  ExpectExact();
}

TEST_F(RetentionCollectorTest, ALeaseTakenSinceThePlanKeepsTheTag) {
  const Plan plan = ByRules();
  index::PutLease lease;
  lease.store = "s";
  lease.id = "l";
  index::Target target;
  target.kind = index::NodeKind::kTag;
  target.scope = "app";
  target.name = "v1";
  lease.targets = {target};
  ASSERT_THAT(Record({lease}), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_TRUE(HasTag("app", "v1"));
  EXPECT_FALSE(HasTag("app", "v2"));
  ExpectExact();
}

TEST_F(RetentionCollectorTest, APlanThatNeedsApprovalWaitsForSomebodyElse) {
  PruneRequest request = Request(PruneVerb::kRetention);
  request.actor = "schedule:n";
  request.proposer = "uid:7";
  request.needs_approval = true;
  const Plan plan = MakePlan(request);
  EXPECT_THAT(Apply(plan), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr("waits for approval")));
  for (const char* actor : {"uid:7", "schedule:n"}) {
    EXPECT_THAT(collector_->ApprovePlan(plan.id, actor),
                StatusIs(absl::StatusCode::kPermissionDenied));
  }
  const auto approved = collector_->ApprovePlan(plan.id, "uid:8");
  ASSERT_THAT(approved, IsOk());
  EXPECT_EQ(approved->approver, "uid:8");
  EXPECT_EQ(approved->approved, clock_.Now());
  // The approval is durable.
  Restart();
  collector_->SetRuleSource(&rules_);
  ASSERT_THAT(collector_->Recover(), IsOk());
  EXPECT_THAT(Apply(plan), IsOk());
  EXPECT_FALSE(HasTag("app", "v1"));
  EXPECT_THAT(collector_->ApprovePlan(plan.id, "uid:8"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("was applied")));
  EXPECT_THAT(collector_->ApprovePlan("0", "uid:8"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RetentionCollectorTest, AnExpiredPlanIsNotApproved) {
  PruneRequest request = Request(PruneVerb::kRetention);
  request.needs_approval = true;
  const Plan plan = MakePlan(request);
  clock_.Advance(request.policy.plan_lifetime + absl::Seconds(1));
  EXPECT_THAT(collector_->ApprovePlan(plan.id, "uid:8"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("has expired")));
}

}  // namespace
}  // namespace reclaim::gc
