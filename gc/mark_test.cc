#include "gc/mark.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_text.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::UnorderedElementsAre;
using tests::TextGraph;

std::set<std::string> Reached(const TextGraph& g,
                              const std::vector<std::string>& from) {
  std::vector<Root> roots;
  for (const std::string& name : from) {
    roots.push_back({g.Id(name), index::RootReason::kTag});
  }
  const auto live = Mark(g.view(), roots, {});
  EXPECT_THAT(live, IsOk());
  std::set<std::string> names;
  for (index::NodeId id = 0; live.ok() && id < live->node_count(); ++id) {
    if (live->Contains(id)) names.insert(g.Name(id));
  }
  EXPECT_EQ(names.size(), live->Count());
  return names;
}

TEST(MarkTest, WhatNoRepositoryLinksPassesNothingOn) {
  TextGraph g("M1(c1); l1; M2(c2)");
  const auto live = Mark(g.view(),
                         {{g.Id("M1"), index::RootReason::kUnlinked},
                          {g.Id("l1"), index::RootReason::kUnlinked},
                          {index::kNoNode, index::RootReason::kUnlinked},
                          {g.Id("M2"), index::RootReason::kUnlinked},
                          {g.Id("M2"), index::RootReason::kGrace}},
                         {});
  ASSERT_TRUE(live.ok());
  for (const char* kept : {"M1", "l1", "M2", "c2"}) {
    EXPECT_TRUE(live->Contains(g.Id(kept))) << kept;
  }
  EXPECT_FALSE(live->Contains(g.Id("c1")));
}

TEST(MarkTest, FollowsWhatIsKeptAndTheReferrers) {
  const TextGraph g("M1(c1 l1); I1[M1]; S1(s1)^M1; a:v=I1; M2(c2 l1)");
  EXPECT_THAT(Reached(g, {"a:v"}),
              UnorderedElementsAre("a:v", "I1", "M1", "c1", "l1", "S1", "s1"));
  EXPECT_THAT(Reached(g, {"S1"}), UnorderedElementsAre("S1", "s1"));
  EXPECT_THAT(Reached(g, {}), UnorderedElementsAre());
}

TEST(MarkTest, ACycleThroughAReferrerEnds) {
  const TextGraph g("M1(c1); I1[M1]^M1");
  EXPECT_THAT(Reached(g, {"M1"}), UnorderedElementsAre("M1", "c1", "I1"));
}

TEST(MarkTest, EdgesOfAbsentManifestsCount) {
  const TextGraph g("M1(c1); !M1");
  EXPECT_THAT(Reached(g, {"M1"}), UnorderedElementsAre("M1", "c1"));
}

TEST(MarkTest, AFlatLeasePassesNothingOnButThroughSnapshots) {
  const TextGraph g(
      "M1(c1); snapshot/base; snapshot/top=snapshot/base; "
      "flat/f=M1 snapshot/top");
  EXPECT_THAT(
      Reached(g, {"flat/f"}),
      UnorderedElementsAre("flat/f", "M1", "snapshot/top", "snapshot/base"));
  EXPECT_THAT(Reached(g, {"flat/f", "M1"}),
              UnorderedElementsAre("flat/f", "M1", "c1", "snapshot/top",
                                   "snapshot/base"));
}

TEST(MarkTest, TheBytesBehindANameAreReachedWithIt) {
  TextGraph g("l1; l2");
  index::ContentRow extent;
  extent.id = 100;
  extent.kind = index::NodeKind::kExtent;
  extent.bytes = {7, 7};
  g.PutContent(extent);
  index::ContentRow& blob = g.content("l1");
  blob.extent = extent.id;
  g.PutContent(blob);
  const auto live =
      Mark(g.view(), {{g.Id("l1"), index::RootReason::kGrace}}, {});
  ASSERT_THAT(live, IsOk());
  EXPECT_TRUE(live->Contains(100));
  EXPECT_FALSE(live->Contains(g.Id("l2")));
}

TEST(MarkTest, ARootThatIsNoNodeIsIgnored) {
  const TextGraph g("l1");
  const auto live =
      Mark(g.view(), {{index::kNoNode, index::RootReason::kTag}}, {});
  ASSERT_THAT(live, IsOk());
  EXPECT_EQ(live->Count(), 0u);
}

TEST(MarkTest, ACancelledMarkGivesNoSet) {
  TextGraph g("");
  std::string inner = "l1";
  for (int i = 0; i < 9000; ++i) {
    g.Add(absl::StrCat("I", i, "[", inner, "]"));
    inner = absl::StrCat("I", i);
  }
  int polls = 0;
  MarkOptions options;
  options.is_cancelled = [&] { return ++polls == 2; };
  EXPECT_THAT(Mark(g.view(), {{g.Id(inner), index::RootReason::kTag}}, options),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(polls, 2);
}

TEST(MarkTest, WritersAreLetInEveryFewThousandSteps) {
  TextGraph g("");
  std::string inner = "l1";
  for (int i = 0; i < 9000; ++i) {
    g.Add(absl::StrCat("I", i, "[", inner, "]"));
    inner = absl::StrCat("I", i);
  }
  int polls = 0;
  MarkOptions options;
  options.is_cancelled = [&] {
    ++polls;
    return false;
  };
  EXPECT_THAT(Mark(g.view(), {{g.Id(inner), index::RootReason::kTag}}, options),
              IsOk());
  EXPECT_EQ(polls, 2);
}

TEST(MarkTest, WhatAFlatLeaseKeepsHasItsBytes) {
  TextGraph g("l1; flat/f=l1");
  index::ContentRow extent;
  extent.id = 100;
  extent.kind = index::NodeKind::kExtent;
  g.PutContent(extent);
  g.content("l1").extent = extent.id;
  g.PutContent(g.content("l1"));
  const auto live =
      Mark(g.view(), {{g.Id("flat/f"), index::RootReason::kLease}}, {});
  ASSERT_THAT(live, IsOk());
  EXPECT_TRUE(live->Contains(extent.id));
}

// Nodes that appear while the mark lets writers in are the epoch stamp's.  The
// first of them has the id that the set ends with.
class LateNodeTest : public ::testing::Test {
 protected:
  LateNodeTest() {
    g_.Add("l1; flat/f=l1");
    for (int i = 0; i < 5000 || g_.view().node_count() % 64 != 0; ++i) {
      g_.Add(absl::StrCat("I", i, "[", inner_, "]"));
      inner_ = absl::StrCat("I", i);
    }
    late_ = g_.view().node_count();
  }
  absl::StatusOr<LiveSet> MarkWith(const std::function<void()>& write) {
    MarkOptions options;
    options.is_cancelled = [write] {
      write();
      return false;
    };
    // The last is walked first.
    return Mark(g_.view(),
                {{g_.Id("flat/f"), index::RootReason::kLease},
                 {late_, index::RootReason::kTag},
                 {late_, index::RootReason::kUnlinked},
                 {g_.Id(inner_), index::RootReason::kTag}},
                options);
  }

  TextGraph g_{""};
  std::string inner_ = "l2";
  index::NodeId late_ = index::kNoNode;
};

TEST_F(LateNodeTest, ALateTargetOfAFlatLeaseIsNotInTheSet) {
  const auto live = MarkWith([&] { g_.Add("l1; late; flat/f=l1 late"); });
  ASSERT_THAT(live, IsOk());
  ASSERT_EQ(g_.Id("late"), late_);
  EXPECT_FALSE(live->Contains(late_));
  EXPECT_TRUE(live->Contains(g_.Id("l1")));
}

TEST_F(LateNodeTest, ALateExtentIsNotInTheSet) {
  const auto live = MarkWith([&] {
    index::ContentRow extent;
    extent.id = late_;
    extent.kind = index::NodeKind::kExtent;
    g_.PutContent(extent);
    g_.content("l1").extent = extent.id;
    g_.PutContent(g_.content("l1"));
  });
  ASSERT_THAT(live, IsOk());
  EXPECT_EQ(live->node_count(), late_);
  EXPECT_TRUE(live->Contains(g_.Id("l1")));
}

}  // namespace
}  // namespace reclaim::gc
