// Plans with a target on random graphs: what they foretell against the graph's
// own counters once they are carried out, and each choice against the promises
// of a target.  RECLAIM_SEED repeats a run.

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gc/plan.h"
#include "gtest/gtest.h"
#include "tests/support/random_graph.h"
#include "tests/support/seed.h"
#include "tests/support/text_details.h"

namespace reclaim::tests {
namespace {

using index::NodeId;
using index::NodeKind;

constexpr absl::Duration kGrace = absl::Hours(24);

std::set<NodeId> NodesOf(const gc::WholePlan& plan) {
  std::set<NodeId> nodes;
  for (const gc::PlanItem& item : plan.items) {
    if (item.node != index::kNoNode) nodes.insert(item.node);
  }
  return nodes;
}

// Carries a plan out on the graph itself.
void Remove(const gc::WholePlan& plan, TextGraph* g) {
  std::vector<std::string> content;
  for (const gc::PlanItem& item : plan.items) {
    if (item.node == index::kNoNode) continue;
    if (IsContent(item.kind)) {
      content.push_back(g->Name(item.node));
    } else {
      g->graph().RemoveNamed(item.node);
    }
  }
  for (const std::string& name : content) {
    index::ContentRow& row = g->content(name);
    row.state = index::NodeState::kAbsent;
    row.bytes = {};
    row.extent = index::kNoNode;
    g->PutContent(row);
  }
}

// What is there, live or not, with the uploads.
uint64_t Present(TextGraph& g) {
  const index::StoreTotals& totals = g.graph().totals(0);
  return totals.live.bytes.allocated_bytes +
         totals.candidate.bytes.allocated_bytes;
}

class World {
 public:
  explicit World(uint64_t seed) : random_(seed, kGrace), details_(&graph()) {
    // Some are used, at different times.
    std::mt19937_64 choice(seed);
    for (NodeId id = 0; id < graph().view().node_count(); ++id) {
      if (!graph().view().Exists(id) || choice() % 2 == 0) continue;
      if (!IsManifestLike(graph().view().kind(id))) continue;
      index::ContentRow& row = graph().content(graph().Name(id));
      row.used =
          TextGraph::Now() - absl::Hours(static_cast<int64_t>(choice() % 1000));
      graph().PutContent(row);
    }
  }

  TextGraph& graph() { return random_.graph(); }

  gc::WholePlan Make(uint64_t free_bytes) {
    gc::PlanInputs inputs;
    inputs.view = &graph().view();
    inputs.details = &details_;
    inputs.store = 0;
    inputs.store_knows_containers = true;
    inputs.now = TextGraph::Now();
    inputs.space.stored_bytes = uint64_t{1} << 40;
    gc::PruneRequest request;
    request.verb = gc::PruneVerb::kAllImages;
    request.policy.grace_period = kGrace;
    if (free_bytes > 0) {
      request.target.kind = gc::TargetKind::kFree;
      request.target.bytes = free_bytes;
    }
    const auto plan = gc::MakePlan(inputs, request);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : gc::WholePlan();
  }

 private:
  RandomGraph random_;
  TextDetails details_;
};

struct Outcome {
  int met_count = 0;
  int chosen_count = 0;
};

void ExpectPromises(uint64_t seed, uint64_t share, Outcome* outcome) {
  World world(seed);
  const gc::WholePlan all = world.Make(0);
  const uint64_t most = all.totals.bytes.content.allocated_bytes;
  if (most == 0) return;
  const uint64_t target = 1 + most * share / 100;
  const gc::WholePlan plan = world.Make(target);
  const uint64_t foretold = plan.totals.bytes.content.allocated_bytes;
  // Nothing goes that would not go without a target.
  const std::set<NodeId> offered = NodesOf(all);
  const std::set<NodeId> gone = NodesOf(plan);
  EXPECT_TRUE(
      std::includes(offered.begin(), offered.end(), gone.begin(), gone.end()));
  EXPECT_EQ(plan.target_outcome.needed_bytes, target);
  EXPECT_EQ(plan.target_outcome.short_by_bytes,
            target - std::min(target, foretold));
  if (target <= most) {
    EXPECT_GE(foretold, target);
    ++outcome->met_count;
  } else {
    EXPECT_EQ(foretold, most);
  }
  EXPECT_LE(plan.target_outcome.lower_bound_count,
            plan.target_outcome.evicted_count);
  outcome->chosen_count += gone.size() < offered.size();
  // A tag goes only where what it names goes.
  for (const gc::PlanItem& item : plan.items) {
    if (item.kind != NodeKind::kTag) continue;
    for (const NodeId image : world.graph().view().Kept(item.node)) {
      EXPECT_EQ(gone.count(image), 1u) << world.graph().Name(item.node);
    }
  }
  const uint64_t before = Present(world.graph());
  Remove(plan, &world.graph());
  EXPECT_EQ(before - Present(world.graph()), foretold);
  // What was left, and no more, is what the next prune takes.
  EXPECT_EQ(world.Make(0).totals.bytes.content.allocated_bytes,
            most - foretold);
}

TEST(TargetModelTest, WhatIsForetoldIsFreedAndNoMoreThanNeeded) {
  const uint64_t seed = AskSeed();
  Outcome outcome;
  for (uint64_t round = 0; round < 2000; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    ExpectPromises(seed + round, (round * 7) % 120, &outcome);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(outcome.met_count, 500);
  EXPECT_GT(outcome.chosen_count, 500);
}

}  // namespace
}  // namespace reclaim::tests
