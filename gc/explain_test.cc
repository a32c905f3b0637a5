#include "gc/explain.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_text.h"

namespace reclaim::gc {
namespace {

using index::RootReason;
using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;
using tests::TextGraph;

std::vector<Root> RootsOf(const TextGraph& g) {
  return CollectRoots(
      g.view(), 0, {TextGraph::Now(), absl::ZeroDuration(), absl::Hours(168)});
}

std::vector<std::string> Path(const TextGraph& g, const KeepPath& path) {
  std::vector<std::string> names;
  for (const index::NodeId id : path.nodes) names.push_back(g.Name(id));
  return names;
}

TEST(ExplainTest, ThePathLeadsFromTheRootToTheNode) {
  const TextGraph g("M1(c1 l1); I1[M1]; app:v1=I1");
  const auto why = Explain(g.view(), RootsOf(g), g.Id("l1"), 5);
  ASSERT_THAT(why, IsOk());
  EXPECT_TRUE(why->is_kept);
  ASSERT_EQ(why->paths.size(), 1u);
  EXPECT_EQ(why->paths[0].reason, RootReason::kTag);
  EXPECT_THAT(Path(g, why->paths[0]), ElementsAre("app:v1", "I1", "M1", "l1"));
}

TEST(ExplainTest, ShortPathsComeFirstAndAreBounded) {
  const TextGraph g("M1(c1 l1); I1[M1]; a:v1=I1; b:v1=M1; lease/l=l1");
  const auto why = Explain(g.view(), RootsOf(g), g.Id("l1"), 2);
  ASSERT_THAT(why, IsOk());
  EXPECT_EQ(why->root_count, 3u);
  ASSERT_EQ(why->paths.size(), 2u);
  EXPECT_EQ(why->paths[0].reason, RootReason::kLease);
  EXPECT_THAT(Path(g, why->paths[1]), ElementsAre("b:v1", "M1", "l1"));
}

TEST(ExplainTest, ADeadNodeNamesItsDeadKeepers) {
  const TextGraph g("M1(c1 l1); M2(c2 l1)");
  const auto why = Explain(g.view(), RootsOf(g), g.Id("l1"), 5);
  ASSERT_THAT(why, IsOk());
  EXPECT_FALSE(why->is_kept);
  EXPECT_EQ(why->root_count, 0u);
  EXPECT_THAT(g.Names(why->dead_keepers), UnorderedElementsAre("M1", "M2"));
}

TEST(ExplainTest, AFlatLeaseExplainsItsTargetAlone) {
  const TextGraph g("M1(c1); flat/f=M1");
  EXPECT_TRUE(Explain(g.view(), RootsOf(g), g.Id("M1"), 1)->is_kept);
  EXPECT_FALSE(Explain(g.view(), RootsOf(g), g.Id("c1"), 1)->is_kept);
}

TEST(ExplainTest, ACycleEndsAndARootExplainsItself) {
  const TextGraph g("M1(c1); I1[M1]^M1; app:v1=M1");
  EXPECT_TRUE(Explain(g.view(), RootsOf(g), g.Id("I1"), 5)->is_kept);
  const auto why = Explain(g.view(), RootsOf(g), g.Id("app:v1"), 5);
  ASSERT_THAT(why, IsOk());
  EXPECT_THAT(Path(g, why->paths[0]), ElementsAre("app:v1"));
}

TEST(ExplainTest, ManyRootsAreCountedToAThousand) {
  TextGraph g("M1(c1)");
  for (int i = 0; i < 1100; ++i) g.Add(absl::StrCat("app:v", i, "=M1"));
  const auto why = Explain(g.view(), RootsOf(g), g.Id("c1"), 3);
  ASSERT_THAT(why, IsOk());
  EXPECT_EQ(why->root_count, 1000u);
  EXPECT_EQ(why->paths.size(), 3u);
}

TEST(ExplainTest, ASearchThatIsTooLongSaysSo) {
  TextGraph g("M1(c1)");
  for (int i = 0; i < 50; ++i) g.Add(absl::StrCat("app:v", i, "=M1"));
  EXPECT_THAT(Explain(g.view(), RootsOf(g), g.Id("c1"), 3, 10),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace reclaim::gc
