// The resident graph, and what is counted over it, against figures that are
// worked out the slow and obvious way: which nodes each kind of root reaches,
// who keeps what, the totals, what images share and have alone, and what each
// repository reaches, has alone and pays.  On every small graph, with each name
// taken away and put back, then on random graphs with files of several names.
//
// RECLAIM_SEED repeats a run.

#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "accounting/image_usage.h"
#include "accounting/repository_usage.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/recount.h"
#include "index/resident_graph.h"
#include "index/totals.h"
#include "store/types.h"
#include "tests/support/graph_text.h"
#include "tests/support/naive_figures.h"
#include "tests/support/random_graph.h"
#include "tests/support/seed.h"
#include "tests/support/small_graphs.h"

namespace reclaim::tests {
namespace {

using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using RootSet = NaiveFigures::RootSet;

constexpr uint64_t kRandomGraphCount = 2500;

// That something was asked at all.
struct Met {
  int graph_count = 0;
  int shared_count = 0;     // images that share some bytes
  int exclusive_count = 0;  // repositories that have some alone
  int held_count = 0;       // files with a name elsewhere
};

// The counters are their own recount, and each node is reached by whom it is.
void ExpectReach(const TextGraph& g, absl::Duration grace) {
  const index::ResidentGraph& graph = g.graph();
  const NaiveFigures naive(graph, TextGraph::Now(), grace);
  const auto live = naive.Reached(RootSet::kAll);
  const auto without_tags = naive.Reached(RootSet::kWithoutTags);
  const auto used = naive.Reached(RootSet::kContainers);
  for (const NodeId id : naive.all()) {
    ASSERT_EQ(graph.IsLive(id), live.count(id) > 0) << g.Name(id);
    ASSERT_EQ(graph.IsLiveWithoutTags(id), without_tags.count(id) > 0)
        << g.Name(id);
    ASSERT_EQ(graph.IsUsedByContainer(id), used.count(id) > 0) << g.Name(id);
  }
  index::RecountInputs inputs;
  inputs.store = 0;
  inputs.now = TextGraph::Now();
  inputs.grace_period = grace;
  const index::StoreTotals recounted = index::Recount(graph, inputs);
  ASSERT_EQ(graph.totals(0), recounted)
      << "counted\n"
      << ToString(graph.totals(0)) << "recounted\n"
      << ToString(recounted);
}

// The keepers of a node are those that keep it, are its subject, or are a name
// of its file.
void ExpectKeepers(const TextGraph& g) {
  const index::GraphView& view = g.view();
  std::vector<std::set<NodeId>> keepers(view.node_count());
  for (NodeId id = 0; id < view.node_count(); ++id) {
    if (!view.Exists(id)) continue;
    for (const NodeId kept : view.Kept(id)) keepers[kept].insert(id);
    for (const NodeId kept : view.Referrers(id)) keepers[kept].insert(id);
    const NodeId extent = view.ExtentOf(id);
    if (extent != kNoNode) keepers[extent].insert(id);
  }
  for (NodeId id = 0; id < view.node_count(); ++id) {
    if (!view.Exists(id)) continue;
    std::set<NodeId> told;
    view.ForEachKeeper(id, [&](NodeId keeper) {
      told.insert(keeper);
      return true;
    });
    ASSERT_EQ(told, keepers[id]) << g.Name(id);
  }
}

void ExpectImages(const TextGraph& g, const NaiveFigures& naive, Met* met) {
  const std::vector<accounting::ImageUsage> images =
      accounting::ListImageUsage(g.view(), 0, false);
  const std::vector<NaiveImage> expected = naive.Images();
  ASSERT_EQ(images.size(), expected.size());
  for (size_t i = 0; i < images.size(); ++i) {
    SCOPED_TRACE(g.Name(expected[i].node));
    ASSERT_EQ(images[i].node, expected[i].node);
    EXPECT_EQ(images[i].size, expected[i].size);
    EXPECT_EQ(images[i].shared, expected[i].shared);
    EXPECT_EQ(images[i].unique, expected[i].unique);
    EXPECT_EQ(images[i].container_count, expected[i].container_count);
    EXPECT_EQ(images[i].absent_count, expected[i].absent_count);
    EXPECT_EQ(images[i].is_dangling, expected[i].is_dangling);
    met->shared_count += expected[i].shared.logical_bytes > 0 ? 1 : 0;
  }
}

void ExpectShares(const TextGraph& g, const NaiveFigures& naive,
                  absl::Duration grace, Met* met) {
  gc::RootOptions options;
  options.now = TextGraph::Now();
  options.grace_period = grace;
  options.upload_lifetime = absl::Hours(168);
  options.without_tags = true;
  const auto kept =
      gc::Mark(g.view(), gc::CollectRoots(g.view(), 0, options), {});
  ASSERT_TRUE(kept.ok()) << kept.status();
  accounting::Judgement judge;
  judge.is_live = [&](NodeId id) { return g.graph().IsLive(id); };
  judge.is_kept_otherwise = [&](NodeId id) { return kept->Contains(id); };
  const accounting::StoreShares shares =
      accounting::ShareStore(g.view(), 0, judge);
  const NaiveShares expected = naive.Shares();
  EXPECT_EQ(shares.unattributed, expected.unattributed) << "nobody's";
  ASSERT_EQ(shares.repositories.size(), expected.repositories.size());
  for (size_t i = 0; i < shares.repositories.size(); ++i) {
    const accounting::RepositoryUsage& usage = shares.repositories[i];
    const NaiveRepository& repository = expected.repositories[i];
    SCOPED_TRACE(g.Name(repository.repository));
    ASSERT_EQ(usage.repository, repository.repository);
    EXPECT_EQ(usage.reachable.bytes, repository.reachable);
    EXPECT_EQ(usage.exclusive.bytes, repository.exclusive);
    EXPECT_EQ(usage.apportioned, repository.apportioned);
    met->exclusive_count += repository.exclusive.logical_bytes > 0 ? 1 : 0;
  }
}

void ExpectAllFigures(const TextGraph& g, absl::Duration grace, Met* met) {
  ASSERT_NO_FATAL_FAILURE(ExpectReach(g, grace));
  ASSERT_NO_FATAL_FAILURE(ExpectKeepers(g));
  const NaiveFigures naive(g.view(), TextGraph::Now(), grace);
  ASSERT_NO_FATAL_FAILURE(ExpectImages(g, naive, met));
  ASSERT_NO_FATAL_FAILURE(ExpectShares(g, naive, grace, met));
  ++met->graph_count;
}

// Names that come and go; a repository is its links as well.
std::vector<std::string> NamesOf(const TextGraph& g) {
  std::vector<std::string> names;
  for (NodeId id = 0; id < g.view().node_count(); ++id) {
    if (!g.view().Exists(id)) continue;
    const NodeKind kind = g.view().kind(id);
    if (!IsContent(kind) && kind != NodeKind::kRepository) {
      names.push_back(g.Name(id));
    }
  }
  return names;
}

TEST(GraphModelTest, EveryFigureOfEverySmallGraphIsItsDefinition) {
  Met met;
  for (const std::string& text : SmallGraphs()) {
    for (const bool is_registry : {false, true}) {
      SCOPED_TRACE(absl::StrCat(text, is_registry ? " in a registry" : ""));
      TextGraph g("");
      if (is_registry) g.DoubtByRepository();
      g.Add(text);
      ASSERT_NO_FATAL_FAILURE(ExpectAllFigures(g, absl::ZeroDuration(), &met));
      for (const std::string& name : NamesOf(g)) {
        SCOPED_TRACE(absl::StrCat("without ", name));
        g.graph().RemoveNamed(g.Id(name));
        ASSERT_NO_FATAL_FAILURE(ExpectReach(g, absl::ZeroDuration()));
        g.PutNamed(g.named(name));
        ASSERT_NO_FATAL_FAILURE(ExpectReach(g, absl::ZeroDuration()));
      }
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
  }
  EXPECT_EQ(met.graph_count, 4 * 4 * 4 * 5 * 4 * 3 * 2);
  EXPECT_GT(met.shared_count, 1000);
  EXPECT_GT(met.exclusive_count, 300);
}

// Files of more names than the store holds, of as many, or of fewer: what was
// told may be older than a name.  Returns how many have one elsewhere.
int LinkElsewhere(TextGraph* g, std::mt19937_64* random) {
  int held_count = 0;
  for (NodeId id = 0; id < g->view().node_count(); ++id) {
    if (!g->view().Exists(id) || g->view().kind(id) != NodeKind::kExtent) {
      continue;
    }
    index::ContentRow extent;
    extent.id = id;
    extent.kind = NodeKind::kExtent;
    extent.bytes = g->view().fields(id).bytes;
    extent.link_count = (*random)() % 6;
    g->graph().PutContent(extent);
    held_count += g->view().IsLinkedElsewhere(id) ? 1 : 0;
  }
  return held_count;
}

// A flat lease on a blob of such a file.
void HoldABlob(TextGraph* g, std::mt19937_64* random) {
  if ((*random)() % 3 != 0) return;
  g->Add(absl::StrCat("flat/blob=l", (*random)() % 8));
}

TEST(GraphModelTest, EveryFigureOfRandomGraphsIsItsDefinition) {
  const uint64_t seed = AskSeed();
  Met met;
  for (uint64_t round = 0; round < kRandomGraphCount; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    RandomGraph world(seed + round, absl::ZeroDuration(),
                      round % 3 == 0 ? index::DoubtUnit::kRepository
                                     : index::DoubtUnit::kPlace);
    TextGraph& g = world.graph();
    std::mt19937_64 random(~(seed + round));
    met.held_count += LinkElsewhere(&g, &random);
    HoldABlob(&g, &random);
    ASSERT_NO_FATAL_FAILURE(ExpectAllFigures(g, absl::ZeroDuration(), &met));
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  EXPECT_GT(met.shared_count, 500);
  EXPECT_GT(met.exclusive_count, 500);
  EXPECT_GT(met.held_count, 100);
  RecordProperty("figure_random_graphs_counted", met.graph_count);
}

}  // namespace
}  // namespace reclaim::tests
