// SEMANTICS.md 2.4 and 2.6: retention rules (cases 92, 93, 134 to 147).

#include "gc/retention.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using base::StatusIs;
using gc::PruneVerb;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

gc::RetentionRule Rule(const std::string& name) {
  gc::RetentionRule rule;
  rule.name = name;
  return rule;
}
gc::RetentionRule Newest(uint32_t count) {
  gc::RetentionRule rule = Rule("newest");
  rule.keep_newest = count;
  return rule;
}
gc::PruneRequest ByRules() { return Verb(PruneVerb::kRetention); }

std::string SubjectName(const std::string& image, const std::string& suffix) {
  return absl::StrCat("app:sha256-", TextGraph::DigestOf(image).hex(), suffix);
}

class RetentionTest : public PlanCase {
 protected:
  void PushedBefore(const std::string& tag, int hours) {
    SetRecorded(tag, Now() - absl::Hours(hours));
  }
  void UnreferencedFor(const std::string& image, int hours) {
    g.graph().RestoreUnreferenced(g.Id(image), Now() - absl::Hours(hours));
  }
  void UsedBefore(const std::string& image, int hours) {
    index::ContentRow& row = g.content(image);
    row.used = Now() - absl::Hours(hours);
    g.PutContent(row);
  }
};

TEST_F(RetentionTest, Case092_ACosignTagTakesNoPlaceAmongTheNewest) {
  const std::string sig1 = SubjectName("M1", ".sig");
  const std::string sig3 = SubjectName("M3", ".sig");
  g.Add("M1(c1); M2(c2); M3(c3); S1(s1); S3(s3); app:v1=M1; app:v2=M2; " +
        std::string("app:v3=M3; ") + sig1 + "=S1; " + sig3 + "=S3");
  PushedBefore("app:v1", 30);
  PushedBefore("app:v2", 20);
  PushedBefore("app:v3", 10);
  PushedBefore(sig1, 5);
  PushedBefore(sig3, 4);
  rules.rules = {Newest(2)};
  // The policy is off: the signature stays, and took no place.
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("app:v1", "M1", "c1"));
  gc::ReferrerRule cosign;
  cosign.name = "cosign";
  cosign.includes_cosign_tags = true;
  rules.referrers = {cosign};
  EXPECT_THAT(Doomed(ByRules()),
              UnorderedElementsAre("app:v1", "M1", "c1", sig1, "S1", "s1"));
  const auto plan = Make(ByRules());
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(ItemOf(*plan, sig1).reason, gc::DoomReason::kSubjectGone);
  EXPECT_THAT(ItemOf(*plan, sig1).detail, HasSubstr("rule rules/cosign"));
}

// Nothing runs a signature, so no container could be what keeps it.
TEST_F(RetentionTest, Case092_WithoutRulesASignatureStaysWithItsSubject) {
  const std::string used = SubjectName("M1", ".sig");
  const std::string chained = SubjectName("S1", ".att");
  const std::string unused = SubjectName("M2", ".sbom");
  const std::string gone = SubjectName("M5", ".sig");
  const std::string elsewhere = SubjectName("elsewhere", ".sig");
  const std::string own = SubjectName("M4", ".sig");
  g.Add("M1(c1); M2(c2); S1(s1); T1(t1); S2(s2); S3(s3); M4(c4); " +
        std::string("app:v1=M1; app:v2=M2; running/w=M1; volume/v; ") + used +
        "=S1; " + chained + "=T1; " + unused + "=S2; " + gone + "=S3; !M5; " +
        elsewhere + "=S4; S4(s4); " + own + "=M4");
  const std::vector<std::string> images = {"app:v2", "M2", "c2", unused,
                                           "S2",     "s2", gone, "S3",
                                           "s3",     own,  "M4", "c4"};
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAreArray(images));
  gc::PruneRequest system = System(true);
  system.with_volumes = system.all_volumes = true;
  std::vector<std::string> all = images;
  all.push_back("volume/v");
  EXPECT_THAT(Doomed(system), UnorderedElementsAreArray(all));
  g.Add("running/w=M2");
  EXPECT_THAT(Doomed(AllImages()),
              AllOf(IsSupersetOf({used, chained, std::string("S1"),
                                  std::string("T1"), std::string("M1")}),
                    Not(Contains(unused)), Not(Contains("S2"))));
}

TEST_F(RetentionTest, Case092_ASignatureStaysWithWhatAFilterSpares) {
  const std::string signature = SubjectName("M1", ".sig");
  g.Add("M1(c1); S1(s1); " + signature + "=S1");
  details.labels["s1"] = {{"drop", "yes"}};
  const gc::PruneRequest request =
      WithFilter(AllImages(), {"label=drop"}, gc::FilterTarget::kImages);
  EXPECT_THAT(Doomed(request), IsEmpty());
  details.labels["c1"] = {{"drop", "yes"}};
  EXPECT_THAT(Doomed(request),
              UnorderedElementsAre("M1", "c1", signature, "S1", "s1"));
}

TEST_F(RetentionTest, Case092_ASignatureOfASignatureFollowsToTheEnd) {
  const std::string sig = SubjectName("M1", ".sig");
  const std::string sig2 = SubjectName("S1", ".sig");
  g.Add("M1(c1); S1(s1); T1(t1); " + sig + "=S1; " + sig2 + "=T1");
  gc::ReferrerRule cosign;
  cosign.name = "cosign";
  cosign.includes_cosign_tags = true;
  rules.referrers = {cosign};
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("M1", "c1", sig, "S1",
                                                      "s1", sig2, "T1", "t1"));
  g.Add("app:v1=M1");
  EXPECT_THAT(Doomed(ByRules()), IsEmpty());
}

TEST_F(RetentionTest, Case093_AFallbackTagFallsWithItsSubject) {
  const std::string fallback = SubjectName("M1", "");
  g.Add("M1(c1); M2(c2); S1(s1)^M1; I1[S1]; app:v1=M1; app:v2=M2; " + fallback +
        "=I1");
  PushedBefore("app:v1", 30);
  PushedBefore("app:v2", 20);
  rules.rules = {Newest(1)};
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("app:v1", fallback, "M1",
                                                      "c1", "I1", "S1", "s1"));
  // While its subject lives, it lives; and a young one has its grace.
  rules.rules = {Newest(2)};
  EXPECT_THAT(Doomed(ByRules()), IsEmpty());
  rules.rules = {Newest(1)};
  grace = absl::Hours(24);
  PushedBefore(fallback, 1);
  EXPECT_THAT(Doomed(ByRules()), Not(Contains(fallback)));
  // No rule about the store: nothing is dropped.
  grace = absl::ZeroDuration();
  rules.rules.clear();
  EXPECT_THAT(Doomed(ByRules()), IsEmpty());
}

TEST_F(RetentionTest, Case093_AnImageWithAReferrersNameIsAnImage) {
  const std::string own = SubjectName("M1", "");      // named after itself
  const std::string other = SubjectName("gone", "");  // no index
  const std::string mixed = SubjectName("M3", "");    // an index of images
  g.Add("M1(c1); M2(c2); M3(c3); M4(c4); I1[M4]; " + own + "=M1; " + other +
        "=M2; " + mixed + "=I1");
  gc::ReferrerRule cosign;
  cosign.name = "cosign";
  cosign.includes_cosign_tags = true;
  rules.referrers = {cosign};
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("M3", "c3"));
  // Rules are about them as about any image.
  PushedBefore(own, 30);
  PushedBefore(other, 20);
  PushedBefore(mixed, 10);
  rules.rules = {Newest(1)};
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre(own, "M1", "c1", other,
                                                      "M2", "c2", "M3", "c3"));
}

TEST_F(RetentionTest, Case086_AReferrersNameStaysIfItsSubjectWasNeverHere) {
  const std::string sig = SubjectName("elsewhere", ".sig");
  const std::string fallback = SubjectName("elsewhere", "");
  g.Add("M1(c1); S1(s1); S2(s2)^elsewhere; I1[S2]; app:v1=M1; " + sig +
        "=S1; " + fallback + "=I1; !elsewhere");
  // What was taken away has kept its time; this has never had one.
  index::ContentRow& row = g.content("elsewhere");
  const absl::Time was_here = row.recorded;
  row.recorded = absl::UnixEpoch();
  g.PutContent(row);
  gc::ReferrerRule cosign;
  cosign.name = "cosign";
  cosign.includes_cosign_tags = true;
  rules.referrers = {cosign};
  EXPECT_THAT(Doomed(ByRules()), IsEmpty());
  row.recorded = was_here;
  g.PutContent(row);
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre(sig, "S1", "s1", fallback,
                                                      "I1", "S2", "s2"));
}

TEST_F(RetentionTest, Case138_AKeepWinsOverTheFateOfTheSubject) {
  const std::string sig = SubjectName("M1", ".sig");
  g.Add("M1(c1); S1(s1); " + sig + "=S1");
  gc::ReferrerRule cosign;
  cosign.name = "cosign";
  cosign.includes_cosign_tags = true;
  rules.referrers = {cosign};
  EXPECT_THAT(Doomed(ByRules()),
              UnorderedElementsAre("M1", "c1", sig, "S1", "s1"));
  gc::RetentionRule keep = Rule("keep");
  keep.keep = gc::KeepWord::kKeep;
  rules.rules = {keep};
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("M1", "c1"));
}

TEST_F(RetentionTest, Case087_ReferrersAreKeptForATimeIfARuleSaysSo) {
  g.Add("M1(c1); S1(s1)^M1");
  gc::ReferrerRule keep;
  keep.name = "keep";
  keep.fate = gc::ReferrerFate::kKeep;
  rules.referrers = {keep};
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1"));
  keep.fate = gc::ReferrerFate::kKeepFor;
  keep.period = absl::Hours(24);
  rules.referrers = {keep};
  UnreferencedFor("S1", 23);
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1"));
  UnreferencedFor("S1", 25);
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1", "S1", "s1"));
}

// Their names as well: without them nobody would find them.
TEST_F(RetentionTest,
       Case087_NamesOfReferrersThatARuleKeepsStayUnderEveryVerb) {
  const std::string fallback = SubjectName("M1", "");
  const std::string gone = SubjectName("M3", "");
  const std::string sig = SubjectName("M2", ".sig");
  g.Add("M1(c1); S1(s1)^M1; I1[S1]; app:v1=M1; M2(c2); T2(t2); app:v2=M2; " +
        std::string("S3(s3)^M3; I3[S3]; !M3; ") + fallback + "=I1; " + gone +
        "=I3; " + sig + "=T2");
  const std::vector<std::string> images = {"app:v1", "M1", "c1",
                                           "app:v2", "M2", "c2"};
  gc::ReferrerRule keep;
  keep.name = "keep";
  keep.fate = gc::ReferrerFate::kKeep;
  keep.includes_cosign_tags = true;
  rules.referrers = {keep};
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAreArray(images));
  EXPECT_THAT(Doomed(ByRules()), IsEmpty());
  keep.fate = gc::ReferrerFate::kKeepFor;
  keep.period = absl::Hours(24);
  rules.referrers = {keep};
  UnreferencedFor("M3", 23);
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAreArray(images));
  // The name goes; what it led to has its time from then on.
  UnreferencedFor("M3", 25);
  std::vector<std::string> all = images;
  all.insert(all.end(), {gone, "I3"});
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAreArray(all));
}

// No rule is about the name; one is about what it names.
TEST_F(RetentionTest, Case087_AReferrerThatARuleKeepsOutlivesItsName) {
  const std::string sig = SubjectName("M1", ".sig");
  g.Add("M1(c1); S1(s1)^M1; app:v1=M1; " + sig + "=S1");
  EXPECT_THAT(Doomed(AllImages()),
              UnorderedElementsAre("app:v1", "M1", "c1", sig, "S1", "s1"));
  gc::ReferrerRule keep;
  keep.name = "keep";
  keep.fate = gc::ReferrerFate::kKeep;
  rules.referrers = {keep};
  EXPECT_THAT(Doomed(AllImages()),
              UnorderedElementsAre("app:v1", "M1", "c1", sig));
}

TEST_F(RetentionTest, Case134_TheMinimumAgeProtectsFromRules) {
  g.Add("M1(c1); M2(c2); app:v1=M1; app:v2=M2");
  rules.rules = {Newest(1)};
  rules.allow_remove_all = true;
  grace = absl::Hours(24);
  PushedBefore("app:v1", 23);
  PushedBefore("app:v2", 2);
  EXPECT_THAT(Doomed(ByRules()), IsEmpty());
  PushedBefore("app:v1", 25);
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("app:v1", "M1", "c1"));
  // Content that somebody asked for a second ago is young as well.
  SetRecorded("M1", Now() - absl::Seconds(1));
  EXPECT_THAT(Doomed(ByRules()), IsEmpty());
}

TEST_F(RetentionTest, Case137_TiesAreBrokenByDigest) {
  g.Add("M1(c1); M2(c2); M3(c3); app:a=M1; app:b=M2; app:c=M3");
  rules.rules = {Newest(1)};
  const std::string least =
      std::min({TextGraph::DigestOf("M1"), TextGraph::DigestOf("M2"),
                TextGraph::DigestOf("M3")}) == TextGraph::DigestOf("M1")
          ? "app:a"
      : TextGraph::DigestOf("M2") < TextGraph::DigestOf("M3") ? "app:b"
                                                              : "app:c";
  const auto doomed = Doomed(ByRules());
  EXPECT_THAT(doomed, Not(Contains(least)));
  EXPECT_EQ(doomed.size(), 6u);
}

TEST_F(RetentionTest, Case138_ATagThatNoRuleNamesIsKept) {
  g.Add("M1(c1); M2(c2); M3(c3); app:v1=M1; app:v2=M2; app:latest=M3");
  gc::RetentionRule rule = Newest(1);
  rule.tags = {"v*"};
  rules.rules = {rule};
  PushedBefore("app:latest", 2000);
  PushedBefore("app:v2", 10);
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("app:v1", "M1", "c1"));
}

TEST_F(RetentionTest, Case139_ATagWithoutStatisticsIsKept) {
  g.Add("M1(c1); M2(c2); app:v1=M1; app:v2=M2");
  gc::RetentionRule rule = Rule("unused");
  rule.expire_unused_after = absl::Hours(720);
  rules.rules = {rule};
  rules.allow_remove_all = true;
  UsedBefore("M2", 800);
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("app:v2", "M2", "c2"));
  // With the word for it, the push counts.
  rules.rules[0].unused_counts_from_push = true;
  EXPECT_THAT(Doomed(ByRules()),
              UnorderedElementsAre("app:v1", "M1", "c1", "app:v2", "M2", "c2"));
}

TEST_F(RetentionTest, Case140_AnImmutableTagIsKept) {
  g.Add("M1(c1); M2(c2); M3(c3); app:v1=M1; app:v2=M2; app:v3=M3");
  gc::RetentionRule immutable = Rule("released");
  immutable.tags = {"v1"};
  immutable.keep = gc::KeepWord::kImmutable;
  rules.rules = {immutable, Newest(1)};
  PushedBefore("app:v3", 5);
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("app:v2", "M2", "c2"));
  const auto decisions = Survey();
  EXPECT_EQ(decisions[0].verdict.why, "immutable");
  EXPECT_EQ(decisions[0].verdict.rule, "rules/released");
  // Other verbs that drop tags by themselves leave it as well.
  EXPECT_THAT(Doomed(System(true)), Not(Contains("app:v1")));
}

TEST_F(RetentionTest, Case141_AKeepWinsOverAnyExpire) {
  g.Add("M1(c1); M2(c2); app:v1=M1; app:v2=M2");
  gc::RetentionRule keep = Rule("keep");
  keep.tags = {"v1"};
  keep.keep = gc::KeepWord::kKeep;
  gc::RetentionRule expire = Newest(1);
  PushedBefore("app:v2", 3);
  rules.rules = {expire};
  EXPECT_THAT(Doomed(ByRules()), Contains("app:v1"));
  rules.rules = {keep, expire};
  EXPECT_THAT(Doomed(ByRules()), IsEmpty());
}

TEST_F(RetentionTest, Case142_ACatchAllThatIsNotLastIsAnError) {
  gc::RetentionRule keep = Rule("keep");
  keep.tags = {"v1"};
  keep.keep = gc::KeepWord::kKeep;
  gc::RuleSet set;
  set.name = "s";
  set.rules = {Newest(1), keep};
  EXPECT_THAT(gc::CheckRuleSet(set),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("newest"), HasSubstr("must be the last"),
                             HasSubstr("keep"))));
  set.rules = {keep, Newest(1)};
  EXPECT_THAT(gc::CheckRuleSet(set), IsOk());
}

TEST_F(RetentionTest, Case143_AnImageLivesWhileOneOfItsTagsLives) {
  g.Add("M1(c1); M2(c2); app:v1=M1; app:stable=M1; app:v2=M2");
  PushedBefore("app:v2", 3);
  gc::RetentionRule rule = Newest(1);
  rule.tags = {"v*"};
  rules.rules = {rule};
  EXPECT_THAT(Doomed(ByRules()), ElementsAre("app:v1"));
}

TEST_F(RetentionTest, Case144_ARetagOfOldContentIsAPushOfToday) {
  g.Add("M1(c1); M2(c2); app:old=M1; app:new=M2; app:again=M1");
  gc::RetentionRule rule = Rule("recent");
  rule.keep_pushed_within = absl::Hours(24);
  rules.rules = {rule};
  PushedBefore("app:new", 30);
  PushedBefore("app:again", 1);
  EXPECT_THAT(Doomed(ByRules()),
              UnorderedElementsAre("app:old", "app:new", "M2", "c2"));
}

TEST_F(RetentionTest, Case146_ThePreviewByRulesIsTheDeed) {
  g.Add("M1(c1 l1); M2(c2 l1); M3(c3); app:v1=M1; app:v2=M2; app:v3=M3; x:3");
  PushedBefore("app:v3", 3);
  rules.rules = {Newest(1)};
  const auto first = Make(ByRules());
  const auto second = Make(ByRules());
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  ASSERT_EQ(first->items.size(), 8u);
  ASSERT_EQ(second->items.size(), 8u);
  for (size_t i = 0; i < first->items.size(); ++i) {
    EXPECT_EQ(NameOf(first->items[i]), NameOf(second->items[i]));
    EXPECT_EQ(first->items[i].reason, second->items[i].reason);
    EXPECT_EQ(first->items[i].detail, second->items[i].detail);
  }
  EXPECT_EQ(ItemOf(*first, "app:v1").reason, gc::DoomReason::kRetention);
  EXPECT_EQ(ItemOf(*first, "app:v1").detail,
            "rule rules/newest: not among the newest 1 by push");
  // What the test of the rules says is what the plan does.
  for (const gc::TagDecision& decision : Survey()) {
    EXPECT_EQ(decision.verdict.goes, decision.name != "v3") << decision.name;
  }
}

TEST_F(RetentionTest, Case147_ATestOfRulesWritesNothing) {
  g.Add("M1(c1); M2(c2); app:v1=M1; app:v2=M2");
  rules.rules = {Newest(1)};
  const index::StoreTotals totals = g.graph().totals(0);
  EXPECT_EQ(Survey().size(), 2u);
  EXPECT_EQ(g.graph().totals(0), totals);
  EXPECT_EQ(g.view().fields(g.Id("M1")).used, absl::InfinitePast());
}

TEST_F(RetentionTest, Case096_UntaggedImagesHaveTheTimeOfARule) {
  g.Add("M1(c1); M2(c2); M3(c3); app:v1=M3; +app=M1; +app=M2; +app=M3");
  gc::RetentionRule rule = Rule("untagged");
  rule.expire_untagged_after = absl::Hours(168);
  rules.rules = {rule};
  UnreferencedFor("M1", 167);
  UnreferencedFor("M2", 169);
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("app@M2", "M2", "c2"));
}

TEST_F(RetentionTest, Case023_WhatIsPinnedOrUsedStaysWhateverTheRules) {
  g.Add(
      "M1(c1); M2(c2); M3(c3); M4(c4); app:v1=M1; app:v2=M2; app:v3=M3; "
      "app:v4=M4; pin/p=M1; running/w=M2");
  PushedBefore("app:v4", 3);
  rules.rules = {Newest(1)};
  EXPECT_THAT(Doomed(ByRules()), UnorderedElementsAre("app:v3", "M3", "c3"));
  const auto decisions = Survey();
  EXPECT_EQ(decisions[0].verdict.why, "pinned");
  EXPECT_EQ(decisions[1].verdict.why, "a container uses it");
}

TEST_F(RetentionTest, Case027_AFilterNarrowsWhatRulesTake) {
  g.Add("M1(c1); M2(c2); M3(c3); app:v1=M1; app:v2=M2; app:v3=M3");
  PushedBefore("app:v3", 3);
  rules.rules = {Newest(1)};
  details.labels["c1"] = {{"keep", "no"}};
  EXPECT_THAT(Doomed(WithFilter(ByRules(), {"label=keep=no"},
                                gc::FilterTarget::kSystem)),
              UnorderedElementsAre("app:v1", "M1", "c1"));
}

// TRUST E.2, row 6: who may push can make "the newest N" drop what others need.
// Rules by age and by name do not fall to that, and a keep wins.
TEST_F(RetentionTest, PushesOfAnAttackerTakeNoGoodTagWithThem) {
  g.Add("M1(c1); M2(c2); app:v1=M1; app:release-1=M2");
  PushedBefore("app:v1", 10 * 24);
  PushedBefore("app:release-1", 300 * 24);
  for (int i = 0; i < 20; ++i) {
    g.Add(absl::StrCat("A", i, "(a", i, "); app:x", i, "=A", i));
    PushedBefore(absl::StrCat("app:x", i), 1);
  }
  rules.rules = {Newest(3)};
  EXPECT_THAT(Doomed(ByRules()), IsSupersetOf({"app:v1", "app:release-1"}))
      << "the attack works against a rule that counts";
  gc::RetentionRule newest = Newest(3);
  newest.keep_pushed_within = absl::Hours(30 * 24);
  gc::RetentionRule releases = Rule("releases");
  releases.tags = {"release-*"};
  releases.keep = gc::KeepWord::kImmutable;
  rules.rules = {releases, newest};
  EXPECT_THAT(Doomed(ByRules()),
              AllOf(Not(Contains("app:v1")), Not(Contains("app:release-1"))));
}

}  // namespace
}  // namespace reclaim::tests
