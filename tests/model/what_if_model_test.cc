// What would go if these went, on 1,000 random graphs: against their removal,
// counted by the graph's own counters, and against reachability worked out the
// slow way.  RECLAIM_SEED repeats a run.

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "accounting/what_if.h"
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

gc::PlanInputs InputsFor(const TextGraph& g, const TextDetails& details) {
  gc::PlanInputs inputs;
  inputs.view = &g.view();
  inputs.details = &details;
  inputs.store = 0;
  inputs.now = TextGraph::Now();
  return inputs;
}

// Some of the graph's repositories, tags and images.
std::vector<std::string> ChooseReferences(const TextGraph& g,
                                          std::mt19937_64* random) {
  std::vector<std::string> all;
  g.view().ForEachNamed(NodeKind::kRepository, 0, [&](NodeId id) {
    all.push_back(g.view().named_key(id).name);
    return true;
  });
  g.view().ForEachNamed(NodeKind::kTag, 0, [&](NodeId id) {
    const index::NamedKey key = g.view().named_key(id);
    all.push_back(absl::StrCat(key.scope, ":", key.name));
    return true;
  });
  for (NodeId id = 0; id < g.view().node_count(); ++id) {
    if (g.view().Exists(id) && IsManifestLike(g.view().kind(id))) {
      all.push_back(g.view().digest(id).ToString());
    }
  }
  std::vector<std::string> chosen;
  for (const std::string& text : all) {
    if ((*random)() % 4 == 0) chosen.push_back(text);
  }
  return chosen;
}

// Carries a plan out on the graph itself.
void Remove(const gc::WholePlan& plan, TextGraph* g) {
  std::vector<NodeId> tags;
  std::vector<std::string> content;
  for (const gc::PlanItem& item : plan.items) {
    if (item.node == index::kNoNode) continue;
    if (item.kind == NodeKind::kTag) tags.push_back(item.node);
    if (IsContent(item.kind)) content.push_back(g->Name(item.node));
  }
  for (const NodeId id : tags) g->graph().RemoveNamed(id);
  for (const std::string& name : content) {
    index::ContentRow& row = g->content(name);
    row.state = index::NodeState::kAbsent;
    row.bytes = {};
    row.extent = index::kNoNode;
    g->PutContent(row);
  }
}

// What is there, out of the counters: a file of which a name is in quarantine
// already leaves it with its other names.
store::Bytes Present(TextGraph& g) {
  const index::StoreTotals& totals = g.graph().totals(0);
  return totals.live.bytes + totals.candidate.bytes;
}

struct Outcome {
  int freed_count = 0;
  int kept_count = 0;
};

void ExpectSame(TextGraph* g, const std::vector<std::string>& references,
                Outcome* outcome) {
  const TextDetails details(g);
  const gc::PlanInputs inputs = InputsFor(*g, details);
  gc::GcPolicy policy;
  policy.grace_period = kGrace;
  const auto report = accounting::WhatIf(inputs, policy, references);
  gc::PruneRequest request;
  request.verb = gc::PruneVerb::kImages;
  request.only_references = references;
  request.policy = policy;
  request.force = true;
  auto plan = gc::MakePlan(inputs, request);
  if (report.ok() && absl::IsFailedPrecondition(plan.status())) {
    // A container runs with one of them: a removal is refused, and a question
    // answered with what that container keeps.
    EXPECT_GT(report->kept.count, 0u) << plan.status();
    request.is_question = true;
    plan = gc::MakePlan(inputs, request);
  }
  // What a removal refuses (a digest of several repositories) both refuse.
  ASSERT_EQ(report.status(), plan.status());
  if (!report.ok()) return;
  store::Bytes kept_by_roots;
  for (const accounting::RootShare& share : report->keepers) {
    kept_by_roots += share.bytes;
  }
  // The rest is kept by dead content that nobody named.
  EXPECT_LE(kept_by_roots.logical_bytes, report->kept.bytes.logical_bytes);
  const store::Bytes before = Present(*g);
  Remove(*plan, g);
  const store::Bytes after = Present(*g);
  EXPECT_EQ(before.logical_bytes - after.logical_bytes,
            report->freed.bytes.logical_bytes);
  EXPECT_EQ(before.allocated_bytes - after.allocated_bytes,
            report->freed.bytes.allocated_bytes);
  outcome->freed_count += report->freed.count > 0;
  outcome->kept_count += report->kept.count > 0;
}

TEST(WhatIfModelTest, TheRemovalFreesWhatWasForetold) {
  const uint64_t seed = AskSeed();
  Outcome outcome;
  int judged_count = 0;
  for (uint64_t round = 0; judged_count < 1000; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    RandomGraph random(seed + round, kGrace);
    std::mt19937_64 choice(seed + round);
    const std::vector<std::string> references =
        ChooseReferences(random.graph(), &choice);
    if (references.empty()) continue;
    ++judged_count;
    SCOPED_TRACE(absl::StrJoin(references, " "));
    ExpectSame(&random.graph(), references, &outcome);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(outcome.freed_count, 200);
  EXPECT_GT(outcome.kept_count, 200);
}

}  // namespace
}  // namespace reclaim::tests
