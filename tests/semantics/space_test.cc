// SEMANTICS.md 2.6: how far a plan goes (cases 125 to 127, 130 to 133 and 145).

#include "accounting/repository_usage.h"
#include "gc/space_target.h"
#include "gc/tenants.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using base::StatusIs;
using gc::SpaceTarget;
using gc::TargetKind;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

// Two images that nothing uses, and one that is used.  On disk each image takes
// as much as any other: two blobs and a manifest of 4096 bytes and some.
class SpaceTest : public PlanCase {
 protected:
  SpaceTest() {
    g.Add(
        "M1:5(c1:10 l1:85); M2:5(c2:10 l2:85); M3(c3 l3); a:v1=M1; b:v1=M2; "
        "c:v1=M3; running/w=M3");
    space.stored_bytes = 6 * kImage;
  }

  static constexpr uint64_t kImage = 100 + 3 * 4096;

  gc::PruneRequest With(TargetKind kind, uint64_t bytes,
                        uint64_t reserved = 0) {
    gc::PruneRequest request = AllImages();
    request.target.kind = kind;
    request.target.bytes = bytes;
    request.target.reserved_bytes = reserved;
    return request;
  }
  gc::PruneRequest Marks(uint32_t high, uint32_t low) {
    gc::PruneRequest request = AllImages();
    request.target.kind = TargetKind::kMarks;
    request.target.high_percent = high;
    request.target.low_percent = low;
    return request;
  }
  void SetDisk(uint64_t capacity, uint64_t available) {
    space.capacity = store::Capacity{capacity, available, 0, 0};
  }
  gc::TargetOutcome OutcomeOf(const gc::PruneRequest& request) {
    const auto plan = Make(request);
    EXPECT_THAT(plan, IsOk());
    return plan.ok() ? plan->target_outcome : gc::TargetOutcome();
  }
  size_t ImageCount(const gc::PruneRequest& request) {
    const auto plan = Make(request);
    EXPECT_THAT(plan, IsOk());
    return plan.ok() ? plan->totals.image_count : 99;
  }
};

TEST_F(SpaceTest, Case125_AtTheHighMarkItStarts) {
  SetDisk(100'000, 15'000);
  const gc::TargetOutcome outcome = OutcomeOf(Marks(85, 80));
  EXPECT_EQ(outcome.needed_bytes, 5000u);
  EXPECT_EQ(outcome.short_by_bytes, 0u);
  EXPECT_EQ(ImageCount(Marks(85, 80)), 1u);
  SetDisk(100'000, 15'001);
  EXPECT_EQ(OutcomeOf(Marks(85, 80)).needed_bytes, 0u);
  EXPECT_THAT(Doomed(Marks(85, 80)), IsEmpty());
}

TEST_F(SpaceTest, Case126_NoCapacityIsAnErrorAndMoreThanThereIsIsNot) {
  SetDisk(0, 0);
  EXPECT_THAT(Make(Marks(85, 80)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("tells no capacity")));
  SetDisk(1000, 2000);
  EXPECT_THAT(Doomed(Marks(1, 1)), IsEmpty());
}

TEST_F(SpaceTest, Case127_NothingIsRoundedUpToTheMark) {
  SetDisk(1000, 151);  // 84.9 %
  EXPECT_THAT(Doomed(Marks(85, 80)), IsEmpty());
  SetDisk(1000, 150);
  EXPECT_EQ(OutcomeOf(Marks(85, 80)).needed_bytes, 50u);
}

TEST_F(SpaceTest, Case130_WhatCannotBeMetIsShortAndBreaksNoPin) {
  grace = absl::Hours(24);
  g.Add("M4(c4 l4:500); M5(c5 l5:500); d:v1=M4; e:v1=M5; pin/p=M4");
  SetRecorded("M5", Now() - absl::Minutes(1));
  const uint64_t asked = 50 * kImage;
  space.stored_bytes = 100 * kImage;
  const gc::PruneRequest request = With(TargetKind::kFree, asked);
  EXPECT_THAT(Doomed(request), UnorderedElementsAre("a:v1", "b:v1", "M1", "c1",
                                                    "l1", "M2", "c2", "l2"));
  const gc::TargetOutcome outcome = OutcomeOf(request);
  EXPECT_EQ(outcome.needed_bytes, asked);
  EXPECT_EQ(outcome.short_by_bytes, asked - 2 * kImage);
  EXPECT_EQ(outcome.evicted_count, 2u);
  EXPECT_EQ(outcome.lower_bound_count, 2u);
}

TEST_F(SpaceTest, Case131_ATargetThatIsReachedTakesNotEvenOne) {
  EXPECT_THAT(Doomed(With(TargetKind::kKeepUnder, space.stored_bytes)),
              IsEmpty());
  // What lies in quarantine is enough: nothing else goes.
  space.quarantined_bytes = 500;
  const gc::PruneRequest request = With(TargetKind::kFree, 500);
  EXPECT_THAT(Doomed(request), IsEmpty());
  EXPECT_EQ(OutcomeOf(request).purge_bytes, 500u);
}

TEST_F(SpaceTest, Case132_WhatIsReservedWinsAndIsSaid) {
  const gc::PruneRequest request =
      With(TargetKind::kKeepUnder, 4 * kImage, 5 * kImage);
  EXPECT_EQ(ImageCount(request), 1u);
  const gc::TargetOutcome outcome = OutcomeOf(request);
  EXPECT_EQ(outcome.needed_bytes, kImage);
  EXPECT_THAT(outcome.warnings, ElementsAre(HasSubstr("reserved")));
}

TEST_F(SpaceTest, Case133_ItStopsAtEquality) {
  EXPECT_EQ(ImageCount(With(TargetKind::kKeepUnder, 5 * kImage)), 1u);
  EXPECT_EQ(ImageCount(With(TargetKind::kKeepUnder, 5 * kImage - 1)), 2u);
  EXPECT_EQ(ImageCount(With(TargetKind::kFree, kImage)), 1u);
  EXPECT_EQ(ImageCount(With(TargetKind::kFree, kImage + 1)), 2u);
}

// What was used last longest ago goes first, and of the never used what was
// pushed first.
TEST_F(SpaceTest, TheLeastRegrettedGoesFirst) {
  g.content("M1").used = Now() - absl::Hours(1);
  g.PutContent(g.content("M1"));
  EXPECT_THAT(Doomed(With(TargetKind::kFree, 1)),
              UnorderedElementsAre("b:v1", "M2", "c2", "l2"));
  // What is dead is not regretted at all.
  g.Add("dead:7");
  EXPECT_THAT(Doomed(With(TargetKind::kFree, 1)), ElementsAre("dead"));
  EXPECT_EQ(OutcomeOf(With(TargetKind::kFree, 1)).evicted_count, 0u);
}

// A signature falls with its subject, under a target as without one; one whose
// subject is not chosen stays.
TEST_F(SpaceTest, ASignaturesNameFollowsWhatIsChosen) {
  const auto sig = [](const std::string& image) {
    return "a:sha256-" + TextGraph::DigestOf(image).hex() + ".sig";
  };
  g.Add("S1(s1); T1(t1); S2(s2); " + sig("M1") + "=S1; " + sig("S1") + "=T1; " +
        sig("M2") + "=S2");
  g.content("M2").used = Now() - absl::Hours(1);
  g.PutContent(g.content("M2"));
  EXPECT_THAT(Doomed(With(TargetKind::kFree, 1)),
              UnorderedElementsAre("a:v1", "M1", "c1", "l1", sig("M1"), "S1",
                                   "s1", sig("S1"), "T1", "t1"));
  EXPECT_EQ(OutcomeOf(With(TargetKind::kFree, 1)).evicted_count, 1u)
      << "signatures are no choice of their own";
  // A rule that keeps the name keeps what it names.
  gc::ReferrerRule referrers;
  referrers.name = "signatures";
  referrers.fate = gc::ReferrerFate::kKeep;
  referrers.includes_cosign_tags = true;
  gc::RetentionRule rest;
  rest.name = "rest";
  rest.keep_pushed_within = absl::Minutes(1);
  rules.rules = {rest};
  rules.referrers = {referrers};
  rules.allow_remove_all = true;
  gc::PruneRequest by_rules = With(TargetKind::kFree, 1);
  by_rules.verb = gc::PruneVerb::kRetention;
  EXPECT_THAT(Doomed(by_rules), UnorderedElementsAre("a:v1", "M1", "c1", "l1"));
}

// One whose subject had gone before is not asked about again, and nobody
// regrets it; without rules it is what nothing uses, like any image.
TEST_F(SpaceTest, ASignatureWhoseSubjectHadGoneGoesFirst) {
  const std::string sig =
      "a:sha256-" + TextGraph::DigestOf("gone").hex() + ".sig";
  const std::string sig2 =
      "a:sha256-" + TextGraph::DigestOf("S1").hex() + ".sig";
  g.Add("S1(s1); T1(t1); !gone; " + sig + "=S1; " + sig2 + "=T1");
  EXPECT_THAT(Doomed(With(TargetKind::kFree, 50 * kImage)),
              IsSupersetOf({sig, std::string("S1"), sig2, std::string("T1"),
                            std::string("M1"), std::string("M2")}));
  gc::ReferrerRule referrers;
  referrers.name = "signatures";
  referrers.includes_cosign_tags = true;
  gc::RetentionRule rest;
  rest.name = "rest";
  rest.keep_pushed_within = absl::Minutes(1);
  rules.rules = {rest};
  rules.referrers = {referrers};
  gc::PruneRequest by_rules = With(TargetKind::kFree, 1);
  by_rules.verb = gc::PruneVerb::kRetention;
  EXPECT_THAT(Doomed(by_rules),
              UnorderedElementsAre(sig, "S1", "s1", sig2, "T1", "t1"));
  EXPECT_EQ(OutcomeOf(by_rules).evicted_count, 0u);
  rules.referrers[0].fate = gc::ReferrerFate::kKeep;
  EXPECT_THAT(Doomed(by_rules), Not(Contains(sig)));
  index::ContentRow& row = g.content("gone");
  row.recorded = absl::UnixEpoch();
  g.PutContent(row);
  rules.referrers[0].fate = gc::ReferrerFate::kCascade;
  EXPECT_THAT(Doomed(by_rules), Not(Contains(sig))) << "it was never here";
}

// The build cache by itself: children before parents, the longest unused first.
class CacheTargetTest : public RecordedCase {
 protected:
  void Put(const std::string& id, uint64_t bytes, int used_hours_ago,
           const std::string& parent = "", bool in_use = false) {
    index::PutBuildCache put;
    put.store = "s";
    put.id = id;
    put.bytes = store::Bytes{bytes, bytes};
    put.created = clock.Now() - absl::Hours(1000);
    put.used = clock.Now() - absl::Hours(used_hours_ago);
    put.parent = parent;
    put.is_in_use = in_use;
    ASSERT_THAT(Apply({put}), IsOk());
  }
  gc::PruneRequest KeepUnder(uint64_t bytes, uint64_t reserved = 0) {
    gc::PruneRequest request = Verb(gc::PruneVerb::kBuildCache);
    request.target.kind = TargetKind::kKeepUnder;
    request.target.bytes = bytes;
    request.target.reserved_bytes = reserved;
    return request;
  }
};

TEST_F(CacheTargetTest, WhatWasUsedLongestAgoGoesFirst) {
  Put("base", 100, 500);
  Put("step", 100, 400, "base");
  Put("old", 100, 450);
  Put("new", 100, 1);
  Put("busy", 100, 900, "", true);
  EXPECT_THAT(Doomed(KeepUnder(500)), IsEmpty()) << "at equality it stops";
  EXPECT_THAT(Doomed(KeepUnder(499)), ElementsAre("old"))
      << "the base is older, but something stands on it";
  EXPECT_THAT(Doomed(KeepUnder(300)), ElementsAre("old", "step"));
  EXPECT_THAT(Doomed(KeepUnder(200)), ElementsAre("old", "step", "base"));
  const auto plan = Make(KeepUnder(0));
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->items.size(), 4u) << "what is in use stays";
  EXPECT_EQ(plan->target_outcome.needed_bytes, 500u);
  EXPECT_EQ(plan->target_outcome.short_by_bytes, 100u);
}

TEST_F(CacheTargetTest, Case132_WhatIsReservedOfTheCacheWins) {
  Put("a", 100, 3);
  Put("b", 100, 2);
  Put("c", 100, 1);
  EXPECT_THAT(Doomed(KeepUnder(0, 250)), ElementsAre("a"));
  gc::PruneRequest request = KeepUnder(0);
  request.target.kind = TargetKind::kFree;
  request.target.bytes = 1;
  EXPECT_THAT(Make(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("keep_under_bytes")));
}

class QuotaTest : public PlanCase {
 protected:
  // Both projects use the base of 1000 bytes.  Manifests are 5 bytes.
  QuotaTest() {
    g.Add(
        "M1(c1:10 base:1000 l1:100); M2(c2:10 base:1000 l2:200); "
        "a/app:v1=M1; b/app:v1=M2");
  }
  static constexpr uint64_t kA = 5 + 10 + 1000 + 100;
  static constexpr uint64_t kB = 5 + 10 + 1000 + 200;

  void SetQuota(uint64_t a, uint64_t b) {
    settings.tenants = {{"a", {"a/**"}, {}, a}, {"b", {"b/**"}, {}, b}};
    const auto book = gc::TenantBook::Create(settings);
    ASSERT_THAT(book, IsOk());
    tenants = *book;
  }
  gc::PruneRequest Quotas() {
    gc::PruneRequest request = AllImages();
    request.target.kind = TargetKind::kQuotas;
    return request;
  }

  gc::TenantSettings settings;
};

TEST_F(QuotaTest, Case145_ABlobOfTwoProjectsCountsInEachAndIsBilledInParts) {
  SetQuota(kA, kB);
  EXPECT_THAT(Doomed(Quotas()), IsEmpty()) << "exactly at their quotas";
  SetQuota(kA - 1, kB);
  const auto plan = Make(Quotas());
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->target_outcome.needed_bytes, 1u);
  EXPECT_EQ(plan->target_outcome.short_by_bytes, 0u);
  EXPECT_EQ(plan->totals.bytes.content.logical_bytes, kA - 1000)
      << "the other project keeps the base";

  accounting::Judgement judge;
  judge.is_live = [&](index::NodeId id) { return g.graph().IsLive(id); };
  judge.is_kept_otherwise = [](index::NodeId) { return false; };
  const auto groups = tenants.Tenants(g.view(), details, 0);
  ASSERT_THAT(groups, IsOk());
  const accounting::GroupShares shares = accounting::ShareGroups(
      g.view(), 0, {(*groups)[0].tags, (*groups)[1].tags}, judge);
  EXPECT_EQ(shares.groups[0].reachable.bytes.logical_bytes, kA);
  EXPECT_EQ(shares.groups[1].reachable.bytes.logical_bytes, kB);
  EXPECT_EQ(shares.groups[0].apportioned.logical_bytes, kA - 500);
  EXPECT_EQ(shares.groups[1].apportioned.logical_bytes, kB - 500);
}

TEST_F(QuotaTest, AQuotaBelowWhatIsPinnedIsSaidAndTakesNothing) {
  g.Add("M3(c3:1 l3:1); a/app:old=M3; pin/p=M1");
  SetQuota(kA - 1, kB);
  const auto plan = Make(Quotas());
  ASSERT_THAT(plan, IsOk());
  EXPECT_THAT(plan->items, IsEmpty());
  EXPECT_EQ(plan->target_outcome.needed_bytes, 8u);
  EXPECT_EQ(plan->target_outcome.short_by_bytes, 8u);
  EXPECT_THAT(plan->target_outcome.warnings,
              ElementsAre(HasSubstr("the tenant a has a quota of 1114 bytes, "
                                    "but 1115 of its 1122 bytes are pinned")));
}

TEST_F(QuotaTest, OnlyTagsOfTheGroupGo) {
  g.Add("c/app:v1=M1; dead:9");
  SetQuota(kA - 1, kB);
  EXPECT_THAT(Doomed(Quotas()), ElementsAre("a/app:v1"))
      << "another repository keeps the image";
  settings.tenants.clear();
  settings.quotas = {{"all", {}, kA - 1}};
  const auto book = gc::TenantBook::Create(settings);
  ASSERT_THAT(book, IsOk());
  tenants = *book;
  EXPECT_THAT(Doomed(Quotas()),
              UnorderedElementsAre("a/app:v1", "b/app:v1", "c/app:v1", "M1",
                                   "M2", "c1", "c2", "l1", "l2", "base"));
}

}  // namespace
}  // namespace reclaim::tests
