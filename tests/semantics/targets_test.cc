// SEMANTICS.md 2.6: policies and targets (cases 125 to 150).

#include "absl/strings/str_cat.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using gc::FilterTarget;
using gc::PruneVerb;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class TargetsTest : public PlanCase {};
class RecordedTargetsTest : public RecordedCase {};

TEST_F(TargetsTest, Case128_ACandidateCountsWhatItFreesAlone) {
  g.Add(
      "M1:0(c1:0 base:1900 own:100); M2:0(c2:0 base:1900); app:v1=M1; "
      "used:v1=M2; running/w=M2");
  EXPECT_EQ(FreedBytes(Remove({"app:v1"})), 100u);
}

TEST_F(TargetsTest, Case129_TheSecondOfTwoBringsWhatTheyShare) {
  g.Add("M1:0(c1:10 both:1000); M2:0(c2:20 both:1000); x:v1=M1; y:v1=M2");
  EXPECT_EQ(FreedBytes(Remove({"x:v1"})), 10u);
  EXPECT_EQ(FreedBytes(Remove({"y:v1"})), 20u);
  EXPECT_EQ(FreedBytes(Remove({"x:v1", "y:v1"})), 1030u);
}

TEST_F(TargetsTest, Case134_AnUnusedImagePulledASecondAgoIsProtected) {
  grace = absl::Hours(24);
  g.Add("M1(c1); M2(c2); young:v1=M1; old:v1=M2");
  SetRecorded("M1", Now() - absl::Seconds(1));
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAre("old:v1", "M2", "c2"));
  // So is a name that was given a second ago.
  SetRecorded("old:v1", Now() - absl::Seconds(1));
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
}

TEST_F(RecordedTargetsTest, Case135_TheProtectionOutlivesARestart) {
  options.grace_period = absl::Hours(24);
  Open();
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"}), Tag("app", "v1", "M1")}),
              IsOk());
  clock.Advance(absl::Hours(23));
  Open();
  EXPECT_THAT(Doomed(AllImages()), IsEmpty());
  clock.Advance(absl::Hours(2));
  EXPECT_THAT(Doomed(AllImages()), UnorderedElementsAre("v1", "M1", "c"));
}

TEST_F(TargetsTest, Case136_TheOldParentOfAYoungChildIsKept) {
  g.Add("cache/parent:10; cache/child:1=cache/parent");
  SetRecorded("cache/child", Now() - absl::Minutes(1));
  EXPECT_THAT(Doomed(WithFilter(Verb(PruneVerb::kBuildCache), {"until=24h"},
                                FilterTarget::kBuildCache)),
              IsEmpty());
  g.Add("M1(c1); I1[M1]");
  SetRecorded("I1", Now() - absl::Minutes(1));
  grace = absl::Hours(24);
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_THAT(Why("M1"), ElementsAre("I1", "M1"));
  EXPECT_EQ(ReasonOf("M1"), index::RootReason::kGrace);
}

TEST_F(TargetsTest, Case144_PushAgeIsThatOfTheTag) {
  g.Add("M1(c1); app:old=M1; app:new=M1");
  SetRecorded("app:new", Now() - absl::Hours(1));
  EXPECT_THAT(Doomed(WithFilter(AllImages(), {"until.pushed=24h"},
                                FilterTarget::kImages)),
              ElementsAre("app:old"));
}

TEST_F(TargetsTest, Case146_ThePreviewIsTheDeed) {
  g.Add(
      "M1(c1 l1); M2(c2 l1); app:v1=M1; web:v1=M2; x:3; +a=M1; +a~l1; "
      "container/w; upload/app/u:7");
  const auto first = Make(System(true));
  const auto second = Make(System(true));
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  ASSERT_EQ(first->items.size(), second->items.size());
  EXPECT_EQ(first->totals.bytes.content, second->totals.bytes.content);
  for (size_t i = 0; i < first->items.size(); ++i) {
    EXPECT_EQ(NameOf(first->items[i]), NameOf(second->items[i]));
    EXPECT_EQ(first->items[i].bytes, second->items[i].bytes);
    EXPECT_EQ(first->items[i].reason, second->items[i].reason);
    EXPECT_EQ(first->items[i].detail, second->items[i].detail);
  }
}

TEST_F(RecordedTargetsTest, Case147_APreviewWritesNothing) {
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"})}), IsOk());
  const uint64_t sequence = graph->Read()->sequence();
  const index::StoreTotals totals = Totals();
  EXPECT_THAT(Doomed(System(true)), UnorderedElementsAre("M1", "c"));
  EXPECT_EQ(graph->Read()->sequence(), sequence);
  EXPECT_EQ(Totals(), totals);
}

TEST_F(TargetsTest, Case149_AnEmptyStoreIsAllZeroAndASuccess) {
  for (const gc::PruneRequest& request :
       {Images(), AllImages(), System(true), Verb(PruneVerb::kVolumes)}) {
    const auto plan = Make(request);
    ASSERT_THAT(plan, IsOk());
    EXPECT_THAT(plan->items, IsEmpty());
    EXPECT_EQ(plan->totals.bytes.content, store::Bytes());
  }
  EXPECT_EQ(g.graph().totals(0), index::StoreTotals());
}

}  // namespace
}  // namespace reclaim::tests
