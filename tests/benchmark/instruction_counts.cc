// The pure algorithms, each between marks of callgrind: what they take in
// instructions, which no other program on the machine can disturb.
//
//   valgrind --tool=callgrind --instr-atstart=no instruction_counts OBJECTS
//
// Writes a part of the profile for each (its trigger is the name below), and
// prints what each was for.  instructions_test.py holds them against
// instruction_bounds.toml.  The exit code is 1 if the mark is not that of the
// sweeps.

#include <valgrind/callgrind.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "accounting/image_usage.h"
#include "accounting/retained.h"
#include "gc/eviction.h"
#include "gc/mark.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gc/roots.h"
#include "index/node.h"
#include "index/resident_graph.h"
#include "tests/benchmark/eviction_orders.h"
#include "tests/benchmark/image_population.h"
#include "tests/benchmark/naive_graph.h"
#include "tests/benchmark/no_details.h"
#include "tests/benchmark/population_rows.h"

namespace reclaim::benchmark {
namespace {

constexpr uint64_t kSeed = 1;
constexpr uint32_t kEventCount = 1'000;
// Of so many objects one is an image that may go: 2,000 of 100,000.
constexpr uint64_t kObjectsPerImage = 50;

// Counts from here to End().
void Begin() {
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_ZERO_STATS;
}
// One part of the profile, and what it was for.
void End(const char* name, uint64_t count) {
  CALLGRIND_DUMP_STATS_AT(name);
  CALLGRIND_STOP_INSTRUMENTATION;
  std::printf("%s %" PRIu64 "\n", name, count);
}

// Says what does not hold.
bool Is(bool holds, const char* what) {
  if (!holds) std::fprintf(stderr, "not so: %s\n", what);
  return holds;
}

bool CountPlan(const index::ResidentGraph& graph) {
  const NoDetails details;
  gc::PlanInputs inputs;
  inputs.view = &graph;
  inputs.details = &details;
  inputs.store = kStore;
  inputs.now = PopulationNow();
  gc::PruneRequest request;
  request.store = "s";
  request.verb = gc::PruneVerb::kImages;
  request.policy.grace_period = kGracePeriod;
  Begin();
  const auto plan = gc::MakePlan(inputs, request);
  End("plan", graph.node_count());
  return Is(plan.ok() && plan->totals.item_count > 0, "something is planned");
}

// A tag goes and comes back.
void CountEvents(const std::vector<index::NodeId>& tags,
                 index::ResidentGraph* graph) {
  std::mt19937_64 random(kSeed);
  std::vector<index::NamedRow> rows;
  for (uint32_t i = 0; i < kEventCount / 2; ++i) {
    index::NamedRow row;
    row.id = tags[random() % tags.size()];
    row.key = graph->named_key(row.id);
    row.place = kPlace;
    row.recorded = graph->fields(row.id).recorded;
    row.targets.assign(graph->Kept(row.id).begin(), graph->Kept(row.id).end());
    rows.push_back(std::move(row));
  }
  Begin();
  for (const index::NamedRow& row : rows) {
    graph->RemoveNamed(row.id);
    graph->PutNamed(row);
  }
  End("event", kEventCount);
}

// Which images go, so that a quarter of the bytes of all is free.
bool CountEviction(uint64_t objects) {
  const auto images =
      static_cast<uint32_t>(std::max<uint64_t>(1, objects / kObjectsPerImage));
  const gc::EvictionProblem problem =
      tests::ProblemOf(tests::MakePopulation(images, kSeed));
  const uint64_t target = gc::FreedBytes(problem, tests::UpTo(images)) / 4;
  Begin();
  const gc::Eviction eviction = gc::ChooseEvictions(problem, target);
  End("evict", images);
  return Is(
      eviction.freed_bytes >= target &&
          eviction.freed_bytes == gc::FreedBytes(problem, eviction.chosen) &&
          eviction.lower_bound_count <= eviction.evicted_count,
      "the choice frees what it says, and no less than was asked for");
}

bool Count(uint64_t objects) {
  NaiveGraph naive;
  TellRows(objects, kSeed, &naive);
  naive.Finish();
  index::ResidentGraph graph(kGracePeriod, nullptr);
  ResidentSink sink(&graph);
  TellRows(objects, kSeed, &sink);
  const uint64_t count = graph.node_count();

  Begin();
  const std::vector<gc::Root> roots = gc::CollectRoots(
      graph, kStore, {PopulationNow(), kGracePeriod, absl::Hours(168)});
  End("roots", count);
  Begin();
  const absl::StatusOr<gc::LiveSet> live = gc::Mark(graph, roots, {});
  End("mark", count);
  Begin();
  const std::vector<accounting::ImageUsage> usage =
      accounting::ListImageUsage(graph, kStore, true);
  End("exclusive", count);
  Begin();
  const accounting::RetainedSizes retained =
      accounting::MakeRetainedSizes(graph, roots, {});
  End("retained", count);
  bool is_good = CountPlan(graph);
  CountEvents(naive.tags(), &graph);
  is_good &= CountEviction(objects);

  const std::vector<bool> reached = naive.ReachBySweeps(index::kNoNode);
  bool is_same = live.ok();
  for (index::NodeId id = 0; is_same && id < reached.size(); ++id) {
    is_same = reached[id] == live->Contains(id);
  }
  is_good &= Is(is_same, "the mark is that of the sweeps");
  is_good &= Is(usage.size() == naive.images().size(), "every image is listed");
  is_good &= Is(retained.live.logical_bytes == naive.BytesOf(reached),
                "everything live is retained");
  return is_good;
}

}  // namespace
}  // namespace reclaim::benchmark

int main(int argc, char** argv) {
  uint64_t objects = 0;
  if (argc != 2 || !absl::SimpleAtoi(argv[1], &objects)) {
    std::fputs("instruction_counts OBJECTS\n", stderr);
    return 2;
  }
  return reclaim::benchmark::Count(objects) ? 0 : 1;
}
