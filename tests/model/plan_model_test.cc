// gc::MakePlan() against its naive twin, for images alone (verb_model_test has
// the other verbs, filters and records): every graph of a small family, then
// random ones.  A failure prints the graph or the seed; RECLAIM_SEED repeats a
// run.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "gc/prune_request.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "tests/model/plan_agreement.h"
#include "tests/support/graph_text.h"
#include "tests/support/naive_collector.h"
#include "tests/support/random_graph.h"
#include "tests/support/seed.h"
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
  const std::vector<std::string> indexes = {"", "I1[]", "I1[M1]", "I1[M1 M2]"};
  const std::vector<std::string> referrers = {"", "S1(s1)^M1", "S1(s1)^I1",
                                              "I1[M1]^M1"};
  const std::vector<std::string> names = {"", "a:v1=M1", "a:v1=I1",
                                          "a:v1=M1; b:v1=M2; b:v2=M2"};
  const std::vector<std::string> uses = {"", "container/w=M1", "container/w=M2",
                                         "pin/p=I1", "flat/f=M1"};
  const std::vector<std::string> states = {"", "!M1", "!l1", "?M2"};
  const std::vector<std::string> links = {"", "+a=M1; +a~l1; +b=M1; +b~l1",
                                          "+b=I1; +b=M1; +b~l1; +b~c1; +c=M2"};
  int count = 0;
  for (const std::string& i : indexes) {
    for (const std::string& r : referrers) {
      for (const std::string& n : names) {
        for (const std::string& u : uses) {
          for (const std::string& s : states) {
            for (const std::string& l : links) {
              const std::string text =
                  absl::StrJoin({std::string("M1(c1 l1:10); M2(c2 l1:10 l2)"),
                                 i, r, n, u, s, l},
                                "; ");
              for (const bool is_registry : {false, true}) {
                TextGraph g("");
                if (is_registry) g.DoubtByRepository();
                g.Add(text);
                ++count;
                ExpectAgreementOn(g, absl::ZeroDuration());
                ASSERT_FALSE(::testing::Test::HasFailure())
                    << text << (is_registry ? " in a registry" : "");
              }
            }
          }
        }
      }
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
    ExpectAgreementOn(random.graph(),
                      round % 2 ? kGrace : absl::ZeroDuration());
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace reclaim::tests
