// SEMANTICS.md 2.4: manifests, indexes, referrers (cases 75 to 96).

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using index::NodeState;
using store::MembershipKind;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class ManifestsTest : public PlanCase {};
class RecordedManifestsTest : public RecordedCase {};

TEST_F(ManifestsTest, Case075_ASparseIndexIsKept) {
  g.Add("M1(c1 l1); I1[M1 M2 M3 M4]; !M2; !M3; !M4; app:v1=I1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_EQ(g.graph().totals(0).absent.count, 3u);
}

TEST_F(RecordedManifestsTest, Case076_AChildThatArrivesLaterIsReachable) {
  const index::PutManifest child = Image("M1", {"c"});
  ASSERT_THAT(Apply({Document("I1", IndexText({DigestOf("M1")})),
                     Tag("app", "v1", "I1")}),
              IsOk());
  EXPECT_EQ(Totals().absent.count, 1u);
  ASSERT_THAT(Apply({child, Blob("c", 1)}), IsOk());
  EXPECT_TRUE(IsLive("M1"));
  EXPECT_TRUE(IsLive("c"));
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(ManifestsTest, Case077_AnIndexWithoutChildrenIsKeptWhileTagged) {
  g.Add("I1[]; app:v1=I1; I2[]");
  EXPECT_THAT(Doomed(Images()), ElementsAre("I2"));
}

TEST_F(ManifestsTest, Case078_ATaggedIndexWhoseChildrenAreGoneIsKept) {
  g.Add("I1[M1 M2]; !M1; !M2; app:v1=I1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_EQ(g.graph().totals(0).absent.count, 2u);
}

TEST_F(ManifestsTest, Case079_NestingIsFollowedToAnyDepth) {
  g.Add("M1(c1 l1)");
  std::string inner = "M1";
  for (int i = 0; i < 20000; ++i) {
    const std::string outer = absl::StrCat("I", i);
    g.Add(absl::StrCat(outer, "[", inner, "]"));
    inner = outer;
  }
  g.Add(absl::StrCat("app:v1=", inner));
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_EQ(Doomed(Images()).size(), 20003u);
}

TEST_F(ManifestsTest, Case080_AnUntaggedChildOfATaggedIndexIsKept) {
  g.Add("M1(c1 l1); I1[M1]; a:v1=I1; +a=I1; +a=M1; +a~c1; +a~l1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(ManifestsTest, Case081_ATaggedChildOfAnUntaggedIndexIsKept) {
  g.Add("M1(c1 l1); I1[M1]; a:v1=M1; +a=I1; +a=M1; +a~l1");
  EXPECT_THAT(Doomed(Images()), ElementsAre("a@I1", "I1"));
}

TEST_F(ManifestsTest, Case082_AChildOfTwoIndexesIsKeptForTheOther) {
  g.Add("M1(c1); M2(c2); I1[M1 M2]; I2[M1]; a:v1=I1; a:v2=I2");
  EXPECT_THAT(Doomed(Remove({"a:v1"})),
              UnorderedElementsAre("a:v1", "I1", "M2", "c2"));
}

// A's index lists what only B holds: B keeps it, with its layers.
TEST_F(ManifestsTest,
       Case083_AManifestThatAnotherRepositoryListsKeepsItsLayers) {
  g.Add("M1(c1 l1); I1[M1]; a:v1=I1; +a=I1; +b=M1; +b~c1; +b~l1; +b~stray");
  EXPECT_THAT(Doomed(Images()), ElementsAre("b~stray", "stray"));
  // Once A holds it itself, B need not.
  g.Add("+a=M1; +a~c1; +a~l1");
  EXPECT_EQ(Doomed(Images()).size(), 5u);
  EXPECT_THAT(Doomed(Images()), Not(Contains("M1")));
}

TEST_F(ManifestsTest, Case084_AnUnreadableManifestStopsItsPlaceAlone) {
  g.Add("M1(c1); ?M2; app:v1=M2; loose:9");
  g.graph().PutPlace(1, 0, "other");
  index::ContentRow row;
  row.id = 500;
  row.key = {1, TextGraph::DigestOf("elsewhere")};
  row.state = NodeState::kPresent;
  row.bytes = {7, 7};
  row.recorded = TextGraph::Recorded();
  g.graph().PutContent(row);
  const auto plan = Make(Images());
  ASSERT_THAT(plan, IsOk());
  ASSERT_EQ(plan->items.size(), 1u);
  EXPECT_EQ(plan->items[0].node, 500u);
  EXPECT_EQ(plan->items[0].removal->place, "other");
  ASSERT_EQ(plan->kept_scopes.size(), 1u);
  EXPECT_THAT(plan->kept_scopes[0].why,
              HasSubstr(TextGraph::DigestOf("M2").ToString()));
}

// What a registry's repositories do not link they do not serve.
TEST_F(ManifestsTest, Case084_InARegistryItStopsTheRepositoriesThatNameIt) {
  g.DoubtByRepository();
  g.Add(
      "M1(c1 l1); +a=M1; +a~c1; +a~l1; a:v1=M9; +a=M9; ?M9; M2(c2 l1 l2); "
      "+b=M2; +b~c2; +b~l1; +b~l2; loose");
  EXPECT_THAT(Doomed(Images()),
              UnorderedElementsAre("b@M2", "b~c2", "b~l2", "M2", "c2", "l2"));
  EXPECT_EQ(ReasonOf("M1"), index::RootReason::kInDoubt);
  EXPECT_EQ(ReasonOf("loose"), index::RootReason::kUnlinked);
  const auto plan = Make(Images());
  ASSERT_THAT(plan, IsOk());
  ASSERT_EQ(plan->kept_scopes.size(), 1u);
  EXPECT_EQ(plan->kept_scopes[0].scope, "a");
  EXPECT_EQ(ItemOf(*plan, "l2").linked_by, std::vector<std::string>{"b"});
}

// A manifest that a client deleted from its repository keeps itself, in doubt,
// and not the layers that another repository still links.
TEST_F(ManifestsTest, Case084_WhatNoRepositoryLinksIsKeptAlone) {
  g.DoubtByRepository();
  g.Add("+a=M9; ?M9; M2(c2 l2); +b~c2; +b~l2");
  EXPECT_THAT(Doomed(Images()),
              UnorderedElementsAre("b~c2", "b~l2", "c2", "l2"));
  EXPECT_EQ(ReasonOf("M2"), index::RootReason::kUnlinked);
  EXPECT_EQ(ReasonOf("c2"), index::RootReason::kNone);
}

TEST_F(ManifestsTest, Case084_ARepositoryThatCannotBeReadKeepsItsPlace) {
  g.Add("M1(c1); a:v1=M1; +b=M1; M2(c2)");
  unreadable = {{"b", "permission denied"}};
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
  EXPECT_EQ(Make(Images())->kept_scopes[0].why, "permission denied");
  // A scope that nobody knows could be anywhere.
  unreadable = {{"never-heard-of", "torn link"}};
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(RecordedManifestsTest, Case085_AnUnknownManifestTypeIsOpaqueAndKept) {
  index::PutManifest unknown = Document("X", R"({"strange":true})");
  unknown.media_type = "application/vnd.example.unknown+json";
  ASSERT_THAT(Apply({unknown, Tag("app", "v1", "X"), Blob("loose", 9)}),
              IsOk());
  EXPECT_TRUE(IsLive("X"));
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_EQ(Make(Images())->kept_scopes.size(), 1u);
}

TEST_F(ManifestsTest, Case086_AReferrerMayComeBeforeItsSubject) {
  g.Add("S1(s1)^M1; !M1");
  SetRecorded("S1", Now() - absl::Hours(1));
  SetRecorded("s1", Now() - absl::Hours(1));
  grace = absl::Hours(24);
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  grace = absl::Minutes(1);
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("S1", "s1"));
  index::ContentRow& subject = g.content("M1");
  subject.state = NodeState::kPresent;
  g.PutContent(subject);
  g.Add("app:v1=M1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(ManifestsTest, Case087_AnUntaggedReferrerGoesWithItsSubject) {
  g.Add("M1(c1); S1(s1)^M1");
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1", "S1", "s1"));
  EXPECT_EQ(ItemOf(*Make(Images()), "S1").reason, gc::DoomReason::kSubjectGone);
}

TEST_F(ManifestsTest, Case088_ATaggedReferrerOutlivesItsSubject) {
  g.Add("M1(c1); S1(s1)^M1; app:sig=S1");
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1"));
}

TEST_F(ManifestsTest, Case089_AnUntaggedReferrerOfATaggedSubjectIsKept) {
  g.Add("M1(c1); S1(s1)^M1; a:v1=M1; +a=M1; +a=S1; +a~s1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_THAT(Why("s1"), ElementsAre("a:v1", "M1", "S1", "s1"));
}

TEST_F(ManifestsTest, Case090_AReferrerDoesNotKeepItsSubject) {
  g.Add("M1(c1); S1(s1)^M1; a:sig=S1; +a=M1; +a=S1");
  EXPECT_THAT(Doomed(Images()),
              ElementsAre("a@M1", ::testing::_, ::testing::_));
  EXPECT_THAT(Doomed(Images()), Not(Contains("S1")));
}

TEST_F(ManifestsTest, Case091_AChainOfReferrersFollowsToTheEnd) {
  g.Add("M1(c1); B1(b1)^M1; S1(s1)^B1; a:v1=M1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_THAT(Doomed(Remove({"a:v1"})),
              UnorderedElementsAre("a:v1", "M1", "c1", "B1", "b1", "S1", "s1"));
}

TEST_F(ManifestsTest, Case094_DeletingByDigestTakesTheTagsWithIt) {
  g.Add("M1(c1); a:v1=M1; a:v2=M1; a:v3=M1; +a=M1; +a~c1");
  const std::string digest = TextGraph::DigestOf("M1").ToString();
  EXPECT_THAT(
      Doomed(Remove({"a@" + digest})),
      UnorderedElementsAre("a:v1", "a:v2", "a:v3", "a@M1", "a~c1", "M1", "c1"));
  EXPECT_EQ(Doomed(Remove({digest})).size(), 7u);
  // In one repository of two, the other keeps the bytes.
  g.Add("b:v1=M1; +b=M1; +b~c1");
  EXPECT_THAT(Doomed(Remove({"a@" + digest})),
              UnorderedElementsAre("a:v1", "a:v2", "a:v3", "a@M1", "a~c1"));
}

TEST_F(RecordedManifestsTest, Case095_DeletingATagLeavesTheManifest) {
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"}), Tag("app", "v1", "M1")}),
              IsOk());
  ASSERT_THAT(Apply({index::RemoveTag{"s", "app", "v1"}}), IsOk());
  EXPECT_FALSE(IsLive("M1"));
  EXPECT_EQ(Totals().candidate.count, 2u);
  EXPECT_EQ(Totals().dangling_image_count, 1u);
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c"));
}

TEST_F(ManifestsTest, Case096_ARepositoryGoesAtOnceAndOthersKeepTheirBytes) {
  g.Add(
      "M1(c1 base); M2(c2 base); M3(c3); a:v1=M1; a:v2=M2; b:v1=M2; +a=M1; "
      "+a=M2; +a=M3; +a~base; +b=M2; +b~base");
  EXPECT_THAT(Doomed(Remove({"a"})),
              UnorderedElementsAre("a:v1", "a:v2", "a@M1", "a@M2", "a@M3",
                                   "a~base", "M1", "c1", "M3", "c3"));
}

TEST_F(RecordedManifestsTest, Case096_ARepositoryIsForgottenWithItsRoots) {
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"}), Tag("a", "v1", "M1"),
                     Tag("a", "v2", "M1"), Tag("b", "v1", "M1")}),
              IsOk());
  ASSERT_THAT(Apply({index::RemoveRepository{"s", "a"}}), IsOk());
  EXPECT_TRUE(IsLive("M1"));
  ASSERT_THAT(Apply({index::RemoveRepository{"s", "b"}}), IsOk());
  EXPECT_FALSE(IsLive("M1"));
}

}  // namespace
}  // namespace reclaim::tests
