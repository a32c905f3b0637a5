#include "gc/plan.h"

#include <optional>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gc/explain.h"
#include "gc/mark.h"
#include "gc/plan_fixture.h"
#include "gc/prune_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_text.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using tests::TextGraph;

using PlanTest = PlanFixture;

TEST_F(PlanTest, TakesWhatNoTagReachesAndCountsItsBytes) {
  g.Add("M1(c1:10 l1:100); app:v1=M1; M2:7(c2:20 l1 l2:30)");
  const auto plan = Make(Images());
  ASSERT_THAT(plan, IsOk());
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M2", "c2", "l2"));
  EXPECT_EQ(plan->totals.bytes.content.logical_bytes, 57u);
  EXPECT_EQ(plan->totals.image_count, 1u);
  EXPECT_EQ(plan->totals.blob_count, 3u);
}

TEST_F(PlanTest, Case001_OneOfTwoTagsRemovedFreesNothing) {
  g.Add("M1(c1 l1); app:v1=M1; app:v2=M1");
  PruneRequest request = Remove("app:v1");
  EXPECT_THAT(Doomed(request), ElementsAre("app:v1"));
}

TEST_F(PlanTest, Case002_AnExplicitRemoveOfTheLastTagTakesTheImage) {
  g.Add("M1(c1 l1); app:v1=M1; x:9");
  PruneRequest request = Remove("app:v1");
  EXPECT_THAT(Doomed(request),
              UnorderedElementsAre("app:v1", "M1", "c1", "l1"));
}

TEST_F(PlanTest, Case003_ADigestThatTagsNameIsAConflict) {
  g.Add("M1(c1 l1); app:v1=M1; web:v2=M1");
  EXPECT_THAT(Make(Remove(DigestText("M1"))),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("app:v1 web:v2")));
}

TEST_F(PlanTest, Case009_ARunningContainersImageStays) {
  g.Add("M1(c1 l1); app:v1=M1; running/w=M1; M2(c2 l2); old:v1=M2");
  EXPECT_THAT(Doomed(AllImages()),
              UnorderedElementsAre("old:v1", "M2", "c2", "l2"));
}

TEST_F(PlanTest, Case010_AnExitedContainerCountsAsUse) {
  g.Add("M1(c1 l1); app:v1=M1; container/w=M1");
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
}

TEST_F(PlanTest, Case012_APausedContainerIsNotPruned) {
  g.Add("M1(c1); running/w=M1; container/x=M1");
  EXPECT_THAT(Doomed(Verb(PruneVerb::kContainers)), ElementsAre("container/x"));
}

TEST_F(PlanTest, Case014_ContainersGoFirstAndTheirImagesInTheSameRun) {
  g.Add("M1(c1 l1); app:v1=M1; container/w=M1");
  PruneRequest request = Verb(PruneVerb::kSystem);
  request.all_images = true;
  EXPECT_THAT(Doomed(request),
              ElementsAre("container/w", "app:v1", ::testing::_, ::testing::_,
                          ::testing::_));
}

TEST_F(PlanTest, Case016_ContentOfARemovedTagStaysForItsContainer) {
  g.Add("M1(c1 l1); app:v1=M1; container/w=M1");
  PruneRequest request = Remove("app:v1");
  request.force = true;
  EXPECT_THAT(Doomed(request), ElementsAre("app:v1"));
}

TEST_F(PlanTest, Case022_AListedManifestIsNotDangling) {
  g.Add("M1(c1); M2(c2); I1[M1 M2]; app:v1=I1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(PlanTest, Case023_APinKeepsUnderEveryPolicy) {
  g.Add("M1(c1 l1); pin/p=M1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
}

TEST_F(PlanTest, AllIsRefusedWhereContainersAreUnknown) {
  g.Add("M1(c1); app:v1=M1");
  inputs.store_knows_containers = false;
  EXPECT_THAT(Make(AllImages()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("--containers-are-complete")));
  PruneRequest request = AllImages();
  request.containers_are_complete = true;
  EXPECT_THAT(Make(request), IsOk());
}

TEST_F(PlanTest, AReferrerGoesWithItsSubjectAndStaysWithIt) {
  g.Add("M1(c1); S1(s1)^M1; app:v1=M1; M2(c2); S2(s2)^M2");
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M2", "c2", "S2", "s2"));
}

TEST_F(PlanTest, ALinkGoesFromARepositoryThatDoesNotKeepWhatItLinks) {
  g.Add("M1(c1 l1); a:v1=M1; +a=M1; +a~l1; +b=M1; +b~l1");
  EXPECT_THAT(Doomed(Images()), ElementsAre("b@M1", "b@l1"));
}

TEST_F(PlanTest, LinksToPlatformsAndReferrersStayWithTheirTag) {
  g.Add("M1(c1 l1); I1[M1]; S1(s1)^M1; a:v1=I1; +a=I1; +a=M1; +a=S1; +a~s1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(PlanTest, AYoungLinkKeepsWhatItLinksInItsRepository) {
  grace = absl::Hours(2000);
  g.Add("M1(c1 l1); +b=M1; M2(c2)");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(PlanTest, AnOpaqueManifestKeepsItsPlaceAndSaysSo) {
  g.Add("M1(c1 l1); M2(c2); ?M1");
  const auto plan = Make(Images());
  ASSERT_THAT(plan, IsOk());
  EXPECT_THAT(plan->items, IsEmpty());
  ASSERT_EQ(plan->kept_scopes.size(), 1u);
  EXPECT_THAT(plan->kept_scopes[0].why, HasSubstr("not understood"));
}

TEST_F(PlanTest, AnUnreadableRepositoryKeepsItsPlace) {
  g.Add("M1(c1); +a=M1");
  inputs.unreadable_scopes = {{"a", "permission denied"}};
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  inputs.unreadable_scopes = {{"", "the root cannot be read"}};
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(PlanTest, AFilterSparesWithAllThatTheImageReaches) {
  g.Add("M1(c1 l1); M2(c2 l1)");
  details.labels["c1"] = {{"keep", "1"}};
  PruneRequest request = Images();
  request.filter.labels.push_back({"keep", std::nullopt, true});
  EXPECT_THAT(Doomed(request), UnorderedElementsAre("M2", "c2"));
}

TEST_F(PlanTest, VolumesAreAnonymousUnlessAllAreAsked) {
  g.Add("volume/named; volume/used; container/w=volume/used");
  EXPECT_THAT(Doomed(Verb(PruneVerb::kVolumes)), IsEmpty());
  PruneRequest request = Verb(PruneVerb::kVolumes);
  request.all_volumes = true;
  EXPECT_THAT(Doomed(request), ElementsAre("volume/named"));
}

TEST_F(PlanTest, BuildCacheGoesLeafFirst) {
  g.Add("cache/a:10; cache/b:5=cache/a");
  const auto plan = Make(Verb(PruneVerb::kBuildCache));
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->totals.item_count, 2u);
  EXPECT_EQ(plan->totals.bytes.content.logical_bytes, 15u);
}

TEST_F(PlanTest, EqualInputsGiveEqualPlans) {
  g.Add("M1(c1 l1); M2(c2 l2); x:3; +a=M1");
  EXPECT_EQ(Doomed(Images()), Doomed(Images()));
}

TEST_F(PlanTest, ExplainsWhatKeepsANodeAndWhatDoesNot) {
  g.Add("M1(c1 l1); I1[M1]; app:v1=I1; M2(c2 l2)");
  const auto roots =
      CollectRoots(g.view(), 0, {TextGraph::Now(), grace, absl::Hours(1)});
  const auto kept = Explain(g.view(), roots, g.Id("l1"), 5);
  ASSERT_THAT(kept, IsOk());
  EXPECT_TRUE(kept->is_kept);
  ASSERT_EQ(kept->paths.size(), 1u);
  std::vector<std::string> path;
  for (const index::NodeId id : kept->paths[0].nodes) {
    path.push_back(g.Name(id));
  }
  EXPECT_THAT(path, ElementsAre("app:v1", "I1", "M1", "l1"));
  const auto dead = Explain(g.view(), roots, g.Id("l2"), 5);
  ASSERT_THAT(dead, IsOk());
  EXPECT_FALSE(dead->is_kept);
  EXPECT_THAT(g.Names(dead->dead_keepers), UnorderedElementsAre("M2"));
}

}  // namespace
}  // namespace reclaim::gc
