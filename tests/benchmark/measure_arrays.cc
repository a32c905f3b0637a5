// B1, B8 and B11: the resident graph alone.

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "accounting/image_usage.h"
#include "accounting/retained.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "index/recount.h"
#include "index/resident_graph.h"
#include "tests/benchmark/graph_measures.h"
#include "tests/benchmark/measuring.h"
#include "tests/benchmark/naive_graph.h"
#include "tests/benchmark/population_rows.h"

namespace reclaim::benchmark {
namespace {

using index::NodeId;

constexpr int kRounds = 5;
constexpr uint64_t kManyObjects = 5'000'000;
constexpr uint32_t kSampleCount = 20;
constexpr uint32_t kEventCount = 20'000;

// The arrays of the product and of the oracle, from the same rows.
struct World {
  explicit World(const GraphMeasure& measure) {
    counts = TellRows(measure.objects, measure.seed, &naive);
    naive.Finish();
    const uint64_t before = ResidentBytes();
    ResetPeak();
    const uint64_t peak_before = PeakBytes();
    graph = std::make_unique<index::ResidentGraph>(kGracePeriod, nullptr,
                                                   measure.folder);
    ResidentSink sink(graph.get());
    load = Measure(1, [&] { TellRows(measure.objects, measure.seed, &sink); });
    load_peak_bytes = PeakBytes() - peak_before;
    resident_bytes = ResidentBytes() - before;
  }

  std::vector<gc::Root> Roots() const {
    return gc::CollectRoots(*graph, kStore,
                            {PopulationNow(), kGracePeriod, absl::Hours(168)});
  }

  NaiveGraph naive;
  PopulationCounts counts;
  std::unique_ptr<index::ResidentGraph> graph;
  Times load;
  uint64_t resident_bytes = 0;
  uint64_t load_peak_bytes = 0;
};

std::string Sizes(const World& world) {
  return absl::StrCat(world.naive.node_count(), " objects, ",
                      world.naive.edge_count(), " edges, ",
                      world.naive.membership_count(), " links");
}

bool IsSame(const std::vector<bool>& expected, const gc::LiveSet& live) {
  for (NodeId id = 0; id < expected.size(); ++id) {
    if (expected[id] != live.Contains(id)) return false;
  }
  return live.node_count() == expected.size();
}

// The counters say the same as the sweeps, and as the recount.
bool AreCountersRight(const World& world, const std::vector<bool>& reached) {
  for (NodeId id = 0; id < world.naive.node_count(); ++id) {
    if (world.graph->kind(id) == index::NodeKind::kRepository) continue;
    if (world.graph->IsLive(id) != reached[id]) return false;
  }
  index::RecountInputs inputs;
  inputs.store = kStore;
  inputs.now = world.graph->now();
  inputs.grace_period = kGracePeriod;
  const index::StoreTotals& totals = world.graph->totals(kStore);
  return totals == index::Recount(*world.graph, inputs) &&
         totals.live.bytes.logical_bytes == world.naive.BytesOf(reached);
}

std::vector<NodeId> Sample(const std::vector<NodeId>& from, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<NodeId> sample;
  for (uint32_t i = 0; i < kSampleCount; ++i) {
    sample.push_back(from[random() % from.size()]);
  }
  return sample;
}

bool IsUniqueRight(const World& world, uint64_t seed,
                   const std::vector<accounting::ImageUsage>& usage,
                   const std::vector<uint64_t>& bare) {
  if (usage.size() != world.naive.images().size()) return false;
  std::vector<uint64_t> by_node(world.naive.node_count());
  for (const accounting::ImageUsage& image : usage) {
    by_node[image.node] = image.unique.logical_bytes;
    if (image.unique.logical_bytes != bare[image.node]) return false;
  }
  const std::vector<NodeId> sample = Sample(world.naive.images(), seed);
  const std::vector<uint64_t> exclusive = world.naive.ExclusiveOf(sample);
  for (size_t i = 0; i < sample.size(); ++i) {
    if (exclusive[i] != by_node[sample[i]]) return false;
  }
  return true;
}

// What goes when one goes, found by letting it go.
bool IsRetainedRight(const World& world, uint64_t seed,
                     const accounting::RetainedSizes& sizes) {
  const NaiveGraph& naive = world.naive;
  const uint64_t live = naive.BytesOf(naive.ReachBySweeps(index::kNoNode));
  if (sizes.live.logical_bytes != live) return false;
  for (const std::vector<NodeId>* from : {&naive.tags(), &naive.images()}) {
    for (const NodeId id : Sample(*from, seed)) {
      const uint64_t without = naive.BytesOf(naive.ReachBySweeps(id));
      if (sizes.Of(id).logical_bytes != live - without) return false;
    }
  }
  return true;
}

bool MeasureUnique(const World& world, const GraphMeasure& measure,
                   int rounds) {
  std::vector<uint64_t> bare;
  const Times limit =
      Measure(rounds, [&] { bare = world.naive.BareExclusive(); });
  std::vector<accounting::ImageUsage> usage;
  ResetPeak();
  const Times ours = Measure(rounds, [&] {
    usage = accounting::ListImageUsage(*world.graph, kStore, true);
  });
  Line line;
  line.bench = "B8";
  line.what = absl::StrCat("exclusive bytes of all ",
                           world.naive.images().size(), " images");
  line.ours = ours.cpu;
  line.cpu = ours.cpu;
  line.wall = ours.wall;
  line.limit = limit.cpu;
  line.peak_bytes = PeakBytes();
  line.is_good = IsUniqueRight(world, measure.seed, usage, bare);
  Print(line);
  return line.is_good;
}

bool MeasureRetained(const World& world, const GraphMeasure& measure,
                     int rounds) {
  uint64_t bare = 0;
  const Times limit =
      Measure(rounds, [&] { bare = world.naive.BareDominators(); });
  const std::vector<gc::Root> roots = world.Roots();
  accounting::RetainedSizes sizes;
  ResetPeak();
  const Times ours = Measure(rounds, [&] {
    sizes = accounting::MakeRetainedSizes(*world.graph, roots, {});
  });
  Line line;
  line.bench = "B8";
  line.what = absl::StrCat("retained bytes of all ", world.naive.node_count(),
                           " nodes");
  line.ours = ours.cpu;
  line.cpu = ours.cpu;
  line.wall = ours.wall;
  line.limit = limit.cpu;
  line.peak_bytes = PeakBytes();
  line.is_good = IsRetainedRight(world, measure.seed, sizes) &&
                 sizes.live.logical_bytes == bare;
  Print(line);
  return line.is_good;
}

// A tag goes and comes back: what the counters cost.
bool MeasureEvents(const World& world, const GraphMeasure& measure) {
  index::ResidentGraph& graph = *world.graph;
  std::mt19937_64 random(measure.seed);
  std::vector<index::NamedRow> rows;
  for (uint32_t i = 0; i < kEventCount; ++i) {
    const std::vector<NodeId>& tags = world.naive.tags();
    index::NamedRow row;
    row.id = tags[random() % tags.size()];
    row.key = graph.named_key(row.id);
    row.place = kPlace;
    row.recorded = graph.fields(row.id).recorded;
    row.targets.assign(graph.Kept(row.id).begin(), graph.Kept(row.id).end());
    rows.push_back(std::move(row));
  }
  const Times ours = Measure(1, [&] {
    for (const index::NamedRow& row : rows) {
      graph.RemoveNamed(row.id);
      graph.PutNamed(row);
    }
  });
  Line line;
  line.bench = "B8";
  line.what = "counters: one tag put or removed";
  line.ours = ours.cpu / kEventCount / 2;
  line.cpu = ours.cpu;
  line.wall = ours.wall;
  line.is_good =
      AreCountersRight(world, world.naive.ReachBySweeps(index::kNoNode));
  line.note = "goal 2 us";
  Print(line);
  return line.is_good;
}

}  // namespace

bool MeasureMark(const GraphMeasure& measure) {
  const World world(measure);
  const std::vector<bool> reached = world.naive.ReachBySweeps(index::kNoNode);
  std::vector<uint64_t> bits;
  const Times limit = Measure(kRounds, [&] { bits = world.naive.BareMark(); });
  std::vector<gc::Root> roots;
  const Times finding = Measure(kRounds, [&] { roots = world.Roots(); });
  absl::StatusOr<gc::LiveSet> live = gc::LiveSet();
  ResetPeak();
  const Times ours =
      Measure(kRounds, [&] { live = gc::Mark(*world.graph, roots, {}); });
  bool is_good =
      live.ok() && IsSame(reached, *live) && AreCountersRight(world, reached);
  for (NodeId id = 0; id < reached.size(); ++id) {
    is_good &= reached[id] == ((bits[id / 64] >> (id % 64) & 1) != 0);
  }
  const double count = live.ok() ? static_cast<double>(live->Count()) : 0;
  Line line;
  line.bench = "B1";
  line.what = absl::StrCat("mark: ", Sizes(world));
  line.unit = "objects/s";
  line.ours = count / ours.cpu;
  line.limit = count / limit.cpu;
  line.cpu = ours.cpu;
  line.wall = ours.wall;
  line.peak_bytes = PeakBytes();
  line.is_good = is_good;
  Print(line);
  line.what = absl::StrCat("roots: ", roots.size());
  line.unit = "s";
  line.ours = finding.cpu;
  line.limit = 0;
  line.cpu = finding.cpu;
  line.wall = finding.wall;
  Print(line);
  return is_good;
}

bool MeasureExclusive(const GraphMeasure& measure) {
  const World world(measure);
  const int rounds = measure.objects > kManyObjects ? 1 : kRounds;
  bool is_good = MeasureUnique(world, measure, rounds);
  is_good &= MeasureRetained(world, measure, rounds);
  is_good &= MeasureEvents(world, measure);
  return is_good;
}

bool MeasureMemory(const GraphMeasure& measure) {
  const World world(measure);
  const auto count = static_cast<double>(world.naive.node_count());
  Line line;
  line.bench = "B11";
  line.what = absl::StrCat("memory: ", Sizes(world));
  line.unit = "B/object";
  line.ours = static_cast<double>(world.resident_bytes) / count;
  line.limit = 64;
  line.cpu = world.load.cpu;
  line.wall = world.load.wall;
  line.peak_bytes = world.load_peak_bytes;
  line.is_good =
      AreCountersRight(world, world.naive.ReachBySweeps(index::kNoNode));
  line.note = "the limit is the goal";
  Print(line);
  line.what = "memory: the most while rows were put";
  line.ours = static_cast<double>(world.load_peak_bytes) / count;
  Print(line);
  line.what = "rows put, of one core";
  line.unit = "objects/s";
  line.ours = count / world.load.cpu;
  line.limit = 0;
  line.note = "";
  Print(line);
  return line.is_good;
}

}  // namespace reclaim::benchmark
