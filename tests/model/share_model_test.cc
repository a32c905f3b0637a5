// The identities of the accounting (DESIGN, 4) on random graphs:
//
//   the shares of all, and what is nobody's, are the live bytes
//   the exclusive bytes of all <= live <= what each reaches, and what is
//   nobody's what goes with A or B >= what goes with A + what goes with B
//
// The live bytes are those of the counters; A and B are sets of tags that have
// none in common.  RECLAIM_SEED repeats a run.

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "accounting/repository_usage.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "store/types.h"
#include "tests/support/graph_text.h"
#include "tests/support/random_graph.h"
#include "tests/support/seed.h"

namespace reclaim::tests {
namespace {

using index::NodeId;
using index::NodeKind;

constexpr uint64_t kRoundCount = 15000;

// That something was asked at all.
struct Met {
  int shared_count = 0;      // what several repositories reach
  int nobodys_count = 0;     // live, and no tag reaches it
  int superadded_count = 0;  // what A and B keep together, and neither alone
};

accounting::Judgement JudgeBy(TextGraph* g, const gc::LiveSet& kept) {
  accounting::Judgement judge;
  judge.is_live = [g](NodeId id) { return g->graph().IsLive(id); };
  judge.is_kept_otherwise = [&kept](NodeId id) { return kept.Contains(id); };
  return judge;
}

void ExpectAtMost(const store::Bytes& a, const store::Bytes& b) {
  EXPECT_LE(a.logical_bytes, b.logical_bytes);
  EXPECT_LE(a.allocated_bytes, b.allocated_bytes);
}

void ExpectSharesAddUp(TextGraph* g, const accounting::Judgement& judge,
                       Met* met) {
  const accounting::StoreShares shares =
      accounting::ShareStore(g->view(), 0, judge);
  store::Bytes apportioned = shares.unattributed;
  store::Bytes reachable = shares.unattributed;
  store::Bytes exclusive;
  for (const accounting::RepositoryUsage& usage : shares.repositories) {
    apportioned += usage.apportioned;
    reachable += usage.reachable.bytes;
    exclusive += usage.exclusive.bytes;
    ExpectAtMost(usage.exclusive.bytes, usage.apportioned);
    ExpectAtMost(usage.apportioned, usage.reachable.bytes);
  }
  const store::Bytes live = g->graph().totals(0).live.bytes;
  EXPECT_EQ(apportioned.logical_bytes, live.logical_bytes);
  EXPECT_EQ(apportioned.allocated_bytes, live.allocated_bytes);
  ExpectAtMost(exclusive, live);
  ExpectAtMost(live, reachable);
  met->shared_count += live.logical_bytes < reachable.logical_bytes;
  met->nobodys_count += shares.unattributed.logical_bytes > 0;
}

// What would go if these tags went.
store::Bytes Reclaimable(const TextGraph& g, const std::vector<NodeId>& tags,
                         const accounting::Judgement& judge) {
  return accounting::ShareGroups(g.view(), 0, {tags}, judge)
      .groups[0]
      .exclusive.bytes;
}

void ExpectTogetherFreesNoLess(const TextGraph& g,
                               const accounting::Judgement& judge,
                               std::mt19937_64* random, Met* met) {
  std::vector<NodeId> a;
  std::vector<NodeId> b;
  std::vector<NodeId> both;
  g.view().ForEachNamed(NodeKind::kTag, 0, [&](NodeId tag) {
    const uint64_t side = (*random)() % 3;
    if (side == 0) return true;
    (side == 1 ? a : b).push_back(tag);
    both.push_back(tag);
    return true;
  });
  store::Bytes apart = Reclaimable(g, a, judge);
  apart += Reclaimable(g, b, judge);
  const store::Bytes together = Reclaimable(g, both, judge);
  ExpectAtMost(apart, together);
  met->superadded_count += apart.logical_bytes < together.logical_bytes;
}

TEST(ShareModelTest, TheIdentitiesHoldOnRandomGraphs) {
  const uint64_t seed = AskSeed();
  std::mt19937_64 random(seed);
  Met met;
  for (uint64_t round = 0; round < kRoundCount; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    RandomGraph world(seed + round, absl::ZeroDuration(),
                      round % 3 == 0 ? index::DoubtUnit::kRepository
                                     : index::DoubtUnit::kPlace);
    TextGraph& g = world.graph();
    gc::RootOptions options;
    options.now = TextGraph::Now();
    options.grace_period = absl::ZeroDuration();
    options.upload_lifetime = absl::Hours(168);
    options.without_tags = true;
    const auto kept =
        gc::Mark(g.view(), gc::CollectRoots(g.view(), 0, options), {});
    ASSERT_TRUE(kept.ok()) << kept.status();
    const accounting::Judgement judge = JudgeBy(&g, *kept);
    ExpectSharesAddUp(&g, judge, &met);
    ExpectTogetherFreesNoLess(g, judge, &random, &met);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(met.shared_count, 100);
  EXPECT_GT(met.nobodys_count, 100);
  EXPECT_GT(met.superadded_count, 100);
}

}  // namespace
}  // namespace reclaim::tests
