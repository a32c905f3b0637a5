// SEMANTICS.md 2.1: tags, dangling, unused (cases 1 to 24).

#include "index/recount.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using base::StatusIs;
using gc::PruneVerb;
using index::ContainerState;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class TagsTest : public PlanCase {};
class RecordedTagsTest : public RecordedCase {};

TEST_F(TagsTest, Case001_OneOfTwoTagsRemovedFreesNothing) {
  g.Add("M1(c1 l1:100); app:v1=M1; app:v2=M1");
  EXPECT_THAT(Doomed(Remove({"app:v1"})), ElementsAre("app:v1"));
  EXPECT_EQ(FreedBytes(Remove({"app:v1"})), 0u);
}

TEST_F(TagsTest, Case002_TheLastTagRemovedTakesTheImage) {
  g.Add("M1(c1 l1); app:v1=M1; M9(c9)");
  EXPECT_THAT(Doomed(Remove({"app:v1"})),
              UnorderedElementsAre("app:v1", "M1", "c1", "l1"));
}

TEST_F(TagsTest, Case002_AMovedTagLeavesADanglingImage) {
  g.Add("M1(c1 l1); M2(c2 l1); app:v1=M1; app:v1=M2");
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1"));
  EXPECT_EQ(ItemOf(*Make(Images()), "M1").reason, gc::DoomReason::kDangling);
}

TEST_F(TagsTest, Case003_TagsInTwoRepositoriesAreAConflict) {
  g.Add("M1(c1); app:v1=M1; web:v2=M1");
  EXPECT_THAT(Make(Remove({TextGraph::DigestOf("M1").ToString()})),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("app:v1"), HasSubstr("web:v2"))));
}

TEST_F(TagsTest, Case004_TheLastTagTakesTheDigestReferenceWithIt) {
  g.Add("M1(c1); app:v1=M1");
  NameByDigest("app", "M1");
  EXPECT_THAT(Doomed(Remove({"app:v1"})),
              UnorderedElementsAre("app:v1", "app@M1", "M1", "c1"));
  g.Add("app:v2=M1");
  EXPECT_THAT(Doomed(Remove({"app:v1"})), ElementsAre("app:v1"));
}

TEST_F(TagsTest, Case005_AnImageNamedByDigestAloneIsKept) {
  g.Add("M1(c1)");
  NameByDigest("app", "M1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_EQ(ReasonOf("c1"), index::RootReason::kOnlyName);
}

TEST_F(TagsTest, Case006_AContainerHoldsItsDigestAndItsNameWhileTheyAgree) {
  g.Add("M1(c1); M2(c2); app:v1=M1; app:v2=M1; container/w=M1");
  details.written["container/w"] =
      "app:v1@" + TextGraph::DigestOf("M1").ToString();
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAre("app:v2", "M2", "c2"));
  g.Add("app:v1=M2");
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAre("app:v1", "M2", "c2"));
}

TEST_F(TagsTest, Case007_OfThreeTagsTheLastInByteOrderSurvives) {
  g.Add("M1(c1); b:v2=M1; a:v9=M1; b:v1=M1; container/w=M1");
  EXPECT_THAT(Doomed(AllImages()), ElementsAre("a:v9", "b:v1"));
  EXPECT_EQ(FreedBytes(AllImages()), 0u);
}

TEST_F(TagsTest, Case008_AContainerFollowsContentNotItsName) {
  g.Add("M1(c1); M2(c2); app:v1=M2; container/w=M1");
  details.written["container/w"] = "app:v1";
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAre("app:v1", "M2", "c2"));
}

TEST_F(TagsTest, Case009_ARunningContainersImageIsNeverPruned) {
  g.Add("M1(c1 l1); app:v1=M1; running/w=M1");
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
  EXPECT_THAT(Doomed(System(true)), IsEmpty());
  // Not by name either, and force changes nothing.
  for (const std::string& name :
       {std::string("app:v1"), TextGraph::DigestOf("M1").ToString()}) {
    gc::PruneRequest request = Remove({name});
    EXPECT_THAT(Make(request),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr("the container w uses"),
                               HasSubstr("stop it and remove it first"))));
    request.force = true;
    EXPECT_THAT(Make(request), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
  // While another name is left, one may go.
  g.Add("app:v2=M1");
  EXPECT_THAT(Doomed(Remove({"app:v1"})), ElementsAre("app:v1"));
  EXPECT_THAT(Make(Remove({"app:v1", "app:v2"})),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(TagsTest, Case009_ARunningContainersPlatformHoldsItsIndex) {
  g.Add("M1(c1); M2(c2); I1[M1 M2]; app:v1=I1; app:v2=M2; running/w=M1");
  EXPECT_THAT(Make(Remove({"app:v1"})),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Doomed(Remove({"app:v2"})), ElementsAre("app:v2"));
}

TEST_F(TagsTest, Case010_AnExitedContainerCountsAsUse) {
  g.Add("M1(c1 l1); app:v1=M1; container/w=M1");
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
  // To take its last name needs the word for it.
  gc::PruneRequest request = Remove({"app:v1"});
  EXPECT_THAT(Make(request), StatusIs(absl::StatusCode::kFailedPrecondition,
                                      HasSubstr("--force")));
  request.force = true;
  EXPECT_THAT(Doomed(request), ElementsAre("app:v1"));
}

TEST_F(RecordedTagsTest, Case011_AContainerThatNeverStartedCountsAsUse) {
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"}), Tag("app", "v1", "M1"),
                     Container("w", ContainerState::kCreated, "app:v1")}),
              IsOk());
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
  EXPECT_EQ(Totals().active_image_count, 1u);
}

TEST_F(RecordedTagsTest, Case012_PausedAndRestartingCountAsRunning) {
  ASSERT_THAT(
      Apply({Blob("c", 1), Image("M1", {"c"}), Tag("app", "v1", "M1"),
             Container("paused", ContainerState::kPaused, "app:v1"),
             Container("restarting", ContainerState::kRestarting, "app:v1"),
             Container("unknown", ContainerState::kUnknown, "app:v1"),
             Container("created", ContainerState::kCreated, "app:v1"),
             Container("exited", ContainerState::kExited, "app:v1")}),
      IsOk());
  EXPECT_THAT(Doomed(Verb(PruneVerb::kContainers)),
              ElementsAre("created", "exited"));
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
}

TEST_F(RecordedTagsTest, Case013_ADeadContainerIsUseAndACandidate) {
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"}), Tag("app", "v1", "M1"),
                     Container("dead", ContainerState::kDead, "app:v1")}),
              IsOk());
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
  EXPECT_THAT(Doomed(Verb(PruneVerb::kContainers)), ElementsAre("dead"));
}

TEST_F(TagsTest, Case014_AContainerAndItsImageGoInOneSystemPrune) {
  g.Add("M1(c1 l1); app:v1=M1; container/w=M1");
  const std::vector<std::string> doomed = Doomed(System(true));
  ASSERT_EQ(doomed.size(), 5u);
  EXPECT_EQ(doomed[0], "container/w");
  EXPECT_EQ(doomed[1], "app:v1");
}

TEST_F(RecordedTagsTest, Case015_AnImageMountedAsAVolumeIsInUse) {
  index::PutContainer container =
      Container("w", ContainerState::kRunning, "app:v1");
  ASSERT_THAT(
      Apply({Blob("c", 1), Blob("d", 1), Image("M1", {"c"}), Image("M2", {"d"}),
             Tag("app", "v1", "M1"), Tag("data", "v1", "M2")}),
      IsOk());
  container.mounted_images = {DigestOf("M2")};
  ASSERT_THAT(Apply({container}), IsOk());
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
}

TEST_F(TagsTest, Case016_AForcedDeleteLeavesTheContentToItsContainer) {
  g.Add("M1(c1 l1); app:v1=M1; container/w=M1");
  gc::PruneRequest forced = Remove({"app:v1"});
  forced.force = true;
  EXPECT_THAT(Doomed(forced), ElementsAre("app:v1"));
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_EQ(g.graph().totals(0).dangling_image_count, 1u);
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  g.graph().RemoveNamed(g.Id("container/w"));
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1", "l1"));
}

TEST_F(TagsTest, Case017_BytesThatOnlyAContainerHoldsAreCounted) {
  g.Add("M1:5(c1:10 l1:100); container/w=M1");
  const index::StoreTotals& totals = g.graph().totals(0);
  EXPECT_EQ(totals.live.bytes.logical_bytes, 115u);
  EXPECT_EQ(totals.imaged_without_tags.bytes.logical_bytes, 115u);
  EXPECT_EQ(totals.candidate.bytes.logical_bytes, 0u);
}

// A parent as the Docker driver records it: the child's manifest lists it.
TEST_F(TagsTest, Case018_AnUntaggedParentOfATaggedChildIsNotDangling) {
  g.Add("M1(c1 l1); I1[M1]; app:child=I1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_EQ(g.graph().totals(0).image_count, 1u) << "the parent is not listed";
  EXPECT_EQ(g.graph().totals(0).dangling_image_count, 0u);
}

TEST_F(TagsTest, Case019_AChainGoesWithItsLastChildInOneRun) {
  g.Add(
      "M1(c1); snapshot/base:1; snapshot/mid:2=snapshot/base; "
      "snapshot/top:3=snapshot/mid M1");
  EXPECT_THAT(Doomed(Images()),
              ElementsAre("snapshot/top", "snapshot/mid", "snapshot/base",
                          ::testing::_, ::testing::_));
}

TEST_F(TagsTest, Case020_ATaggedParentOfAPrunedChildStays) {
  g.Add(
      "M1(c1 l1); app:v1=M1; M2(c2 l1 l2); snapshot/s1=M1; "
      "snapshot/s2=snapshot/s1 M2");
  EXPECT_THAT(Doomed(Images()),
              UnorderedElementsAre("snapshot/s2", "M2", "c2", "l2"));
}

TEST_F(TagsTest, Case021_AParentOfTwoStaysUntilTheSecondGoes) {
  g.Add(
      "M1(c1); M2(c2); app:v2=M2; snapshot/base; "
      "snapshot/s1=snapshot/base M1; snapshot/s2=snapshot/base M2");
  EXPECT_THAT(Doomed(Images()),
              UnorderedElementsAre("snapshot/s1", "M1", "c1"));
  g.graph().RemoveNamed(g.Id("app:v2"));
  EXPECT_THAT(Doomed(Images()), Contains("snapshot/base"));
}

TEST_F(TagsTest, Case022_AListedImageIsNotDangling) {
  g.Add("M1(c1); M2(c2); I1[M1 M2]; app:v1=I1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_EQ(g.graph().totals(0).dangling_image_count, 0u);
}

TEST_F(TagsTest, AnImageThatATagAndAnIndexNameIsCounted) {
  g.Add("M1(c1); M2(c2); I1[M1 M2]; app:v1=I1; app:amd64=M1; container/w=M1");
  EXPECT_EQ(g.graph().totals(0).image_count, 2u) << "I1 and M1";
  EXPECT_EQ(g.graph().totals(0).active_image_count, 2u);
  EXPECT_EQ(g.graph().totals(0).dangling_image_count, 0u);
  g.graph().RemoveNamed(g.Id("app:amd64"));
  EXPECT_EQ(g.graph().totals(0).image_count, 1u) << "M1 is a part of I1 again";
  EXPECT_EQ(g.graph().totals(0).active_image_count, 1u);
  EXPECT_EQ(g.graph().totals(0).dangling_image_count, 0u);
  index::RecountInputs inputs;
  inputs.store = 0;
  inputs.now = Now();
  EXPECT_EQ(index::Recount(g.view(), inputs), g.graph().totals(0));
}

TEST_F(TagsTest, Case023_APinKeepsADanglingImageAndSaysSo) {
  g.Add("M1(c1 l1); pin/p=M1; M2(c2); old:v1=M2; pin/q=old:v1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_THAT(Doomed(System(true)), IsEmpty());
  EXPECT_EQ(ReasonOf("l1"), index::RootReason::kPin);
}

TEST_F(TagsTest, Case024_AnotherToolsContainerKeepsAndIsShown) {
  g.Add("M1(c1); app:v1=M1; running/buildah-working-container=M1");
  EXPECT_THAT(Doomed(AllImages()), Not(Contains("M1")));
  g.graph().RemoveNamed(g.Id("app:v1"));
  EXPECT_THAT(Why("c1"),
              ElementsAre("running/buildah-working-container", "M1", "c1"));
  EXPECT_EQ(ReasonOf("c1"), index::RootReason::kContainer);
}

}  // namespace
}  // namespace reclaim::tests
