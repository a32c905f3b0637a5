// gc::MakePlan() against its naive twin, for images alone (verb_model_test has
// the other verbs, filters and records): every graph of a small family, then
// random ones.  A failure prints the graph or the seed; RECLAIM_SEED repeats a
// run.

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gc/prune_request.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "tests/model/plan_agreement.h"
#include "tests/support/graph_text.h"
#include "tests/support/naive_collector.h"
#include "tests/support/random_graph.h"
#include "tests/support/seed.h"
#include "tests/support/small_graphs.h"
#include "tests/support/text_details.h"

namespace reclaim::tests {
namespace {

constexpr absl::Duration kGrace = absl::Hours(24);
constexpr int kRandomGraphCount = 4000;

// For prune and for prune -a.
void ExpectAgreementOn(const TextGraph& g, absl::Duration grace) {
  const TextDetails details(&g);
  NaiveWorld world;
  world.graph = &g;
  world.details = &details;
  for (const bool is_all : {false, true}) {
    SCOPED_TRACE(is_all ? "prune -a" : "prune");
    gc::PruneRequest request;
    request.verb = is_all ? gc::PruneVerb::kAllImages : gc::PruneVerb::kImages;
    request.policy.grace_period = grace;
    ASSERT_NO_FATAL_FAILURE(ExpectAgreement(world, request));
  }
}

TEST(PlanModelTest, AgreesOnEverySmallGraph) {
  int count = 0;
  for (const std::string& text : SmallGraphs()) {
    for (const bool is_registry : {false, true}) {
      SCOPED_TRACE(absl::StrCat(text, is_registry ? " in a registry" : ""));
      TextGraph g("");
      if (is_registry) g.DoubtByRepository();
      g.Add(text);
      ++count;
      ASSERT_NO_FATAL_FAILURE(ExpectAgreementOn(g, absl::ZeroDuration()));
    }
  }
  EXPECT_EQ(count, 4 * 4 * 4 * 5 * 4 * 3 * 2);
}

// Rounds use the seed and those after it.
TEST(PlanModelTest, AgreesOnRandomGraphs) {
  const uint64_t seed = AskSeed();
  RecordProperty("figure_random_graphs_planned", kRandomGraphCount);
  for (uint64_t round = 0; round < kRandomGraphCount; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    RandomGraph random(seed + round, kGrace,
                       round % 4 < 2 ? index::DoubtUnit::kPlace
                                     : index::DoubtUnit::kRepository);
    ASSERT_NO_FATAL_FAILURE(ExpectAgreementOn(
        random.graph(), round % 2 ? kGrace : absl::ZeroDuration()));
  }
}

}  // namespace
}  // namespace reclaim::tests
