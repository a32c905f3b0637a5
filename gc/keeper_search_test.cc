#include "gc/keeper_search.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/resident_graph.h"
#include "store/types.h"
#include "tests/support/graph_text.h"
#include "tests/support/random_graph.h"

namespace reclaim::gc {
namespace {

using ::testing::HasSubstr;
using tests::TextGraph;

constexpr absl::Duration kGrace = absl::Hours(24);

class KeeperSearchTest : public ::testing::Test {
 protected:
  KeeperSearchTest() {
    terms_.now = TextGraph::Now();
    terms_.upload_lifetime = absl::Hours(168);
    terms_.epoch = 7;
    terms_.planned = TextGraph::Now();
  }

  KeeperSearch Search() { return KeeperSearch(&g_.view(), terms_); }
  SkipReason Ask(const std::string& name) {
    const Keeper keeper = Search().FindRoot(g_.Id(name));
    why_ = keeper.detail;
    return keeper.reason;
  }
  SkipReason AskIn(const std::string& name, const std::string& repository) {
    const Keeper keeper = Search().FindInRepository(
        g_.Id(name), g_.Id("repository/" + repository));
    why_ = keeper.detail;
    return keeper.reason;
  }
  index::ContentRow& Content(const std::string& name) {
    return g_.content(name);
  }
  void Expire(const std::string& name, absl::Time at) {
    index::NamedRow& row = g_.named(name);
    row.expires = at;
    g_.PutNamed(row);
  }
  void Link(const std::string& repository, const std::string& content,
            store::MembershipKind kind, absl::Time linked) {
    index::MembershipRow row;
    row.repository = g_.Id("repository/" + repository);
    row.content = g_.Id(content);
    row.kind = kind;
    row.linked = linked;
    g_.graph().PutMembership(row);
  }

  TextGraph g_{""};
  KeeperTerms terms_;
  std::string why_;
};

TEST_F(KeeperSearchTest, EachRootSaysWhatItIs) {
  g_.Add(
      "M1(c1); app:v1=M1; M2(c2); pin/p=M2; M3(c3); lease/l=M3; M4(c4); "
      "container/w=M4; c5; volume/v=c5; c6; network/n=c6; c7; cache/b=c7; "
      "c8; upload/app/u=c8; M9(c9); snapshot/s=M9; snapshot/t=c9");
  terms_.upload_lifetime = absl::Hours(2000);
  EXPECT_EQ(Ask("c1"), SkipReason::kBecameLive);
  EXPECT_EQ(why_, "tagged app:v1");
  EXPECT_EQ(Ask("c2"), SkipReason::kBecameLive);
  EXPECT_EQ(why_, "pin p");
  EXPECT_EQ(Ask("c3"), SkipReason::kLeased);
  EXPECT_EQ(why_, "lease l");
  EXPECT_EQ(Ask("c4"), SkipReason::kInUse);
  EXPECT_EQ(why_, "container w");
  EXPECT_EQ(Ask("c5"), SkipReason::kInUse);
  EXPECT_EQ(why_, "volume v");
  EXPECT_EQ(Ask("c6"), SkipReason::kInUse);
  EXPECT_EQ(why_, "network n");
  EXPECT_EQ(Ask("c7"), SkipReason::kInUse);
  EXPECT_THAT(why_, HasSubstr(" b"));
  EXPECT_EQ(Ask("c8"), SkipReason::kInUse);
  EXPECT_EQ(why_, "upload u");
  EXPECT_EQ(Ask("c9"), SkipReason::kNone) << "a snapshot is no root";
}

TEST_F(KeeperSearchTest, LeasesAndUploadsEndStrictly) {
  g_.Add("M1(c1); lease/l=M1; c2; upload/app/u=c2");
  Expire("lease/l", TextGraph::Now());
  EXPECT_EQ(Ask("c1"), SkipReason::kLeased);
  Expire("lease/l", TextGraph::Now() - absl::Nanoseconds(1));
  EXPECT_EQ(Ask("c1"), SkipReason::kNone);

  index::NamedRow& upload = g_.named("upload/app/u");
  const auto put = [&](absl::Duration age, absl::Time expires) {
    upload.recorded = TextGraph::Now() - age;
    upload.expires = expires;
    g_.PutNamed(upload);
    return Ask("c2");
  };
  const absl::Duration lifetime = terms_.upload_lifetime;
  const absl::Time never = absl::InfiniteFuture();
  EXPECT_EQ(put(lifetime, never), SkipReason::kNone);
  EXPECT_EQ(put(lifetime - absl::Seconds(1), never), SkipReason::kInUse);
  EXPECT_EQ(put(absl::Hours(1), TextGraph::Now()), SkipReason::kInUse);
  EXPECT_EQ(put(absl::Hours(1), TextGraph::Now() - absl::Seconds(1)),
            SkipReason::kNone);
}

TEST_F(KeeperSearchTest, AFlatLeaseKeepsWhatItNames) {
  g_.Add("M1(c1); flat/f=M1");
  EXPECT_EQ(Ask("M1"), SkipReason::kLeased);
  EXPECT_EQ(Ask("c1"), SkipReason::kNone);
  Expire("flat/f", TextGraph::Now() - absl::Seconds(1));
  EXPECT_EQ(Ask("M1"), SkipReason::kNone);
}

TEST_F(KeeperSearchTest, AnotherFlatLeaseIsAskedAfterOneThatHasEnded) {
  g_.Add("M1(c1); flat/a=M1; flat/b=M1; flat/c=M1");
  Expire("flat/a", TextGraph::Now() - absl::Seconds(1));
  Expire("flat/c", TextGraph::Now() - absl::Seconds(1));
  EXPECT_EQ(Ask("M1"), SkipReason::kLeased);
  EXPECT_EQ(why_, "lease b");
}

TEST_F(KeeperSearchTest, AFlatLeasePassesOnAlongSnapshots) {
  g_.Add(
      "c1; snapshot/base=c1; snapshot/top=snapshot/base; flat/f=snapshot/top");
  EXPECT_EQ(Ask("c1"), SkipReason::kLeased);
  EXPECT_EQ(why_, "lease f");
}

// A lease that is not flat and only this node's is no flat one.
TEST_F(KeeperSearchTest, WhatIsNoLeaseIsNoFlatOne) {
  g_.Add("M1(c1); I1[M1]; flat/f=I1; I2[M1]");
  Content("I2").flags |= index::kFlat;
  g_.PutContent(Content("I2"));
  g_.Add("app:v1=I2");
  EXPECT_EQ(Ask("c1"), SkipReason::kBecameLive);
}

TEST_F(KeeperSearchTest, DoubtKeeps) {
  g_.Add("M1(c1); loose");
  Content("M1").flags |= index::kOpaque;
  g_.PutContent(Content("M1"));
  EXPECT_EQ(Ask("M1"), SkipReason::kScopeKept);
  EXPECT_EQ(why_, "a manifest that is not understood");
  EXPECT_EQ(Ask("loose"), SkipReason::kScopeKept);
  EXPECT_THAT(why_, HasSubstr("beside it"));
}

TEST_F(KeeperSearchTest, InARegistryDoubtIsOfItsRepository) {
  g_.DoubtByRepository();
  g_.Add("M1(c1); ?M1; +app=M1; +app~l1; +lib~l2");
  EXPECT_EQ(Ask("l1"), SkipReason::kScopeKept);
  EXPECT_EQ(Ask("l2"), SkipReason::kNone);
}

TEST_F(KeeperSearchTest, AnOnlyNameKeepsUntilItGoesAsWell) {
  g_.Add("M1(c1)");
  Content("M1").flags |= index::kOnlyName;
  g_.PutContent(Content("M1"));
  EXPECT_EQ(Ask("c1"), SkipReason::kBecameLive);
  EXPECT_EQ(why_, "the only name in its layout");
  KeeperSearch search = Search();
  search.AddUnnamed(g_.Id("M1"));
  EXPECT_EQ(search.FindRoot(g_.Id("c1")).reason, SkipReason::kNone);
  KeeperSearch again = Search();
  again.AddUnnamed(g_.Id("M1"));
  again.RemoveUnnamed(g_.Id("M1"));
  EXPECT_EQ(again.FindRoot(g_.Id("c1")).reason, SkipReason::kBecameLive);
}

TEST_F(KeeperSearchTest, WhatWasTouchedSinceThePlanStays) {
  g_.Add("M1(c1)");
  const auto put = [&](index::Epoch stamp, absl::Time recorded,
                       index::NodeState state) {
    index::ContentRow& row = Content("M1");
    row.stamp = stamp;
    row.recorded = recorded;
    row.state = state;
    g_.PutContent(row);
    return Ask("c1");
  };
  const absl::Time old = TextGraph::Recorded();
  const absl::Time now = TextGraph::Now();
  using index::NodeState;
  EXPECT_EQ(put(6, now, NodeState::kPresent), SkipReason::kNone)
      << "at the very moment of the plan";
  EXPECT_EQ(put(7, old, NodeState::kPresent), SkipReason::kTouched);
  EXPECT_THAT(why_, HasSubstr(TextGraph::DigestOf("M1").ToString()));
  EXPECT_EQ(put(6, now + absl::Seconds(1), NodeState::kPresent),
            SkipReason::kTouched);
  // Bytes that are not here are asked for in vain.
  EXPECT_EQ(put(7, old, NodeState::kAbsent), SkipReason::kNone);
  EXPECT_EQ(put(7, old, NodeState::kQuarantined), SkipReason::kNone);
}

TEST_F(KeeperSearchTest, WhatIsYoungStays) {
  terms_.grace_period = kGrace;
  g_.Add("M1(c1)");
  const auto put = [&](absl::Duration age, index::NodeState state) {
    index::ContentRow& row = Content("M1");
    row.recorded = TextGraph::Now() - age;
    row.state = state;
    g_.PutContent(row);
    return Ask("c1");
  };
  using index::NodeState;
  EXPECT_EQ(put(kGrace, NodeState::kPresent), SkipReason::kNone);
  EXPECT_EQ(put(kGrace - absl::Seconds(1), NodeState::kPresent),
            SkipReason::kBecameLive);
  EXPECT_THAT(why_, HasSubstr("younger than the grace period"));
  EXPECT_EQ(put(absl::Hours(1), NodeState::kQuarantined), SkipReason::kNone);
}

// The bytes of a file with several names are as old as their names.
TEST_F(KeeperSearchTest, AnExtentHasNoAgeOfItsOwn) {
  terms_.grace_period = kGrace;
  g_.Add("l1");
  index::ContentRow extent;
  extent.id = 100;
  extent.kind = index::NodeKind::kExtent;
  extent.state = index::NodeState::kPresent;
  extent.recorded = TextGraph::Now() + absl::Hours(1);
  extent.stamp = terms_.epoch;
  g_.PutContent(extent);
  Content("l1").extent = extent.id;
  g_.PutContent(Content("l1"));
  EXPECT_EQ(Search().FindRoot(extent.id).reason, SkipReason::kNone);
}

TEST_F(KeeperSearchTest, WhatLeavesKeepsNothing) {
  g_.Add("M1(c1); I1[M1]; app:v1=I1; flat/f=c1");
  KeeperSearch search = Search();
  search.AddLeaving(g_.Id("app:v1"));
  EXPECT_TRUE(search.IsLeaving(g_.Id("app:v1")));
  EXPECT_FALSE(search.IsLeaving(g_.Id("I1")));
  EXPECT_EQ(search.FindRoot(g_.Id("I1")).reason, SkipReason::kNone);
  EXPECT_EQ(search.FindRoot(g_.Id("c1")).reason, SkipReason::kLeased);
  search.AddLeaving(g_.Id("flat/f"));
  EXPECT_EQ(search.FindRoot(g_.Id("c1")).reason, SkipReason::kNone);
}

TEST_F(KeeperSearchTest, WhatStaysBesideWhatLeavesKeeps) {
  g_.Add("M1(c1); app:v1=M1; app:v2=M1; flat/f=c1; flat/g=c1");
  for (const char* leaving : {"app:v1", "app:v2"}) {
    KeeperSearch search = Search();
    search.AddLeaving(g_.Id(leaving));
    EXPECT_EQ(search.FindRoot(g_.Id("M1")).reason, SkipReason::kBecameLive);
  }
  for (const char* leaving : {"flat/f", "flat/g"}) {
    KeeperSearch search = Search();
    search.AddLeaving(g_.Id(leaving));
    EXPECT_EQ(search.FindRoot(g_.Id("c1")).reason, SkipReason::kLeased);
  }
}

// What has been found dead is not walked again, and is no keeper; what was seen
// on the way to a root has not been found dead.
TEST_F(KeeperSearchTest, OnlyWhatNothingReachesIsDead) {
  g_.Add("M1(c1 l1); I1[M1]; M2(c2 l1); app:v1=M2; I2[M1 M2]; M3(c3 l1)");
  KeeperSearch search = Search();
  EXPECT_EQ(search.FindRoot(g_.Id("l1")).reason, SkipReason::kBecameLive);
  EXPECT_EQ(search.FindRoot(g_.Id("M2")).reason, SkipReason::kBecameLive);
  EXPECT_EQ(search.FindRoot(g_.Id("c1")).reason, SkipReason::kNone);
  EXPECT_EQ(search.FindRoot(g_.Id("c1")).reason, SkipReason::kNone);
  EXPECT_EQ(search.FindRoot(g_.Id("l1")).reason, SkipReason::kBecameLive);
  EXPECT_EQ(search.FindRoot(g_.Id("M3")).reason, SkipReason::kNone);
}

TEST_F(KeeperSearchTest, ACycleOfReferrersEnds) {
  g_.Add("M1(c1); I1[M1]^M1");
  EXPECT_EQ(Ask("c1"), SkipReason::kNone);
  EXPECT_EQ(Ask("I1"), SkipReason::kNone);
}

TEST_F(KeeperSearchTest, ALinkStaysForItsOwnRepositoryAlone) {
  g_.Add(
      "M1(c1 l1); app:v1=M1; +app~l1; +lib~l1; M2(c2 l2); pin/p=M2; +lib~l2");
  EXPECT_EQ(AskIn("l1", "app"), SkipReason::kBecameLive);
  EXPECT_EQ(why_, "tagged app:v1");
  EXPECT_EQ(AskIn("l1", "lib"), SkipReason::kNone);
  EXPECT_EQ(AskIn("l2", "lib"), SkipReason::kBecameLive);
  EXPECT_EQ(why_, "pin p");
}

TEST_F(KeeperSearchTest, AYoungLinkKeepsInItsRepository) {
  terms_.grace_period = kGrace;
  g_.Add("M1(c1 l1); +app=M1; +app~l1; +lib~l1");
  const absl::Time old = TextGraph::Now() - kGrace;
  for (const auto kind :
       {store::MembershipKind::kRevision, store::MembershipKind::kLayer}) {
    Link("app", "M1", kind, old);
    EXPECT_EQ(AskIn("l1", "app"), SkipReason::kNone);
    Link("app", "M1", kind, old + absl::Seconds(1));
    EXPECT_EQ(AskIn("l1", "app"), SkipReason::kBecameLive);
    EXPECT_THAT(why_, HasSubstr("a link younger"));
    EXPECT_EQ(AskIn("l1", "lib"), SkipReason::kNone);
    EXPECT_EQ(Ask("l1"), SkipReason::kNone) << "of content it is no root";
    Link("app", "M1", kind, old);
  }
}

TEST_F(KeeperSearchTest, AFlatLeaseKeepsALink) {
  g_.Add("M1(c1); +app~c1; flat/f=c1");
  EXPECT_EQ(AskIn("c1", "app"), SkipReason::kLeased);
}

// What no keeper of any kind reaches is of no repository either.
TEST_F(KeeperSearchTest, WhatIsDeadIsNotAskedAgainInARepository) {
  terms_.grace_period = kGrace;
  g_.Add("M1(c1); +app~c1");
  KeeperSearch search = Search();
  ASSERT_EQ(search.FindRoot(g_.Id("c1")).reason, SkipReason::kNone);
  EXPECT_EQ(
      search.FindInRepository(g_.Id("c1"), g_.Id("repository/app")).reason,
      SkipReason::kNone);
}

// The same question from above and from below: what the mark reaches has a
// root, and what it does not has none.
TEST_F(KeeperSearchTest, AgreesWithTheMarkOnRandomGraphs) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    tests::RandomGraph random(
        seed, kGrace,
        seed % 2 ? index::DoubtUnit::kPlace : index::DoubtUnit::kRepository);
    const index::GraphView& view = random.graph().view();
    RootOptions options{TextGraph::Now(), seed % 3 ? kGrace : absl::Duration(),
                        absl::Hours(168)};
    std::vector<Root> roots;
    for (const Root& root : CollectRoots(view, 0, options)) {
      // By repositories, the guard sees to that (JudgeLinks).
      if (root.reason != index::RootReason::kUnlinked) roots.push_back(root);
    }
    const absl::StatusOr<LiveSet> live = Mark(view, roots, {});
    ASSERT_TRUE(live.ok()) << live.status();
    KeeperTerms terms{options.now, options.grace_period,
                      options.upload_lifetime};
    terms.epoch = std::numeric_limits<index::Epoch>::max();
    KeeperSearch search(&view, terms);
    for (index::NodeId id = 0; id < view.node_count(); ++id) {
      if (!view.Exists(id) || !IsContent(view.kind(id)) ||
          view.kind(id) == index::NodeKind::kExtent) {
        continue;
      }
      const bool has_root = search.FindRoot(id).reason != SkipReason::kNone;
      ASSERT_EQ(has_root, live->Contains(id))
          << random.graph().Name(id) << ", seed " << seed;
    }
  }
}

}  // namespace
}  // namespace reclaim::gc
