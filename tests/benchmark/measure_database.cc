// B2, B13 and the disk's part of B11: the graph and its database.

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "accounting/image_usage.h"
#include "accounting/retained.h"
#include "base/check.h"
#include "base/simulated_clock.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gc/run_store.h"
#include "index/engine.h"
#include "index/graph_records.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "index/rocksdb_engine.h"
#include "tests/benchmark/graph_measures.h"
#include "tests/benchmark/measuring.h"
#include "tests/benchmark/naive_graph.h"
#include "tests/benchmark/plan_measures.h"
#include "tests/benchmark/population_rows.h"
#include "tests/benchmark/record_writer.h"

namespace reclaim::benchmark {
namespace {

using index::Family;
using index::NodeId;
using index::NodeState;

// As the sweep does it (gc/sweep.h).
constexpr size_t kBatchItemCount = 1024;

std::unique_ptr<index::Engine> OpenEngine(const std::string& path) {
  auto engine = index::OpenRocksDb({path});
  RECLAIM_CHECK(engine.ok(), "the folder of the measurement is ours");
  return *std::move(engine);
}

// Writes a database and closes it with everything in sorted files.
template <typename Writer>
void WriteDatabase(const GraphMeasure& measure, const std::string& path) {
  {
    const std::unique_ptr<index::Engine> engine = OpenEngine(path);
    Writer writer(engine.get());
    TellRows(measure.objects, measure.seed, &writer);
    writer.Finish();
  }
  OpenEngine(path);  // replays the log into files
}

std::unique_ptr<index::ReferenceGraph> OpenGraph(const GraphMeasure& measure,
                                                 index::Engine* engine,
                                                 const base::Clock* clock) {
  index::GraphOptions options;
  options.grace_period = kGracePeriod;
  options.scratch_folder = measure.folder;
  auto graph = index::ReferenceGraph::Open(engine, clock, options);
  RECLAIM_CHECK(graph.ok(), "the records of the measurement make a graph");
  return *std::move(graph);
}

std::vector<gc::Root> RootsOf(const index::GraphView& view) {
  return gc::CollectRoots(view, kStore,
                          {PopulationNow(), kGracePeriod, absl::Hours(168)});
}

gc::LiveSet MarkOf(const index::GraphView& view) {
  auto live = gc::Mark(view, RootsOf(view), {});
  RECLAIM_CHECK(live.ok(), "a mark that nobody cancels ends");
  return *std::move(live);
}

uint64_t ScanBytes(const index::Engine& engine) {
  uint64_t bytes = 0;
  for (const Family family :
       {Family::kContent, Family::kNamed, Family::kMembership}) {
    const absl::Status scanned = engine.Scan(
        family, "", "", [&](absl::string_view key, absl::string_view value) {
          bytes += key.size() + value.size();
          return true;
        });
    RECLAIM_CHECK(scanned.ok(), "the database of the measurement is read");
  }
  return bytes;
}

bool IsSame(const std::vector<bool>& expected, const gc::LiveSet& live) {
  bool is_same = expected.size() == live.node_count();
  for (NodeId id = 0; id < expected.size(); ++id) {
    is_same &= expected[id] == live.Contains(id);
  }
  return is_same;
}

// What is live is here as it was, what went is away, the counters are right.
bool IsSweptRight(const index::GraphReader& reader,
                  const std::vector<bool>& reached,
                  const std::vector<NodeId>& gone) {
  const index::GraphView& view = reader.view();
  for (NodeId id = 0; id < reached.size(); ++id) {
    if (reached[id] && view.state(id) != NodeState::kPresent) return false;
  }
  for (const NodeId id : gone) {
    if (reached[id] || view.state(id) != NodeState::kAbsent) return false;
  }
  index::RecountInputs inputs;
  inputs.store = kStore;
  inputs.now = PopulationNow();
  inputs.grace_period = kGracePeriod;
  return reader.totals(kStore) == index::Recount(view, inputs);
}

void ChangeStates(index::ReferenceGraph* graph, const std::vector<NodeId>& ids,
                  NodeState state) {
  for (size_t begin = 0; begin < ids.size(); begin += kBatchItemCount) {
    std::vector<index::StateChange> changes;
    const size_t end = std::min(ids.size(), begin + kBatchItemCount);
    for (size_t i = begin; i < end; ++i) {
      changes.push_back({ids[i], state, "run", ""});
    }
    const absl::Status committed =
        graph->HoldWriteOrder()->Commit(changes, {}, {}, "measurement");
    RECLAIM_CHECK(committed.ok(), "the folder of the measurement has space");
  }
}

// The same keys deleted one by one in a copy, with nothing else done.
double RawDeleteSeconds(const std::string& path,
                        const std::vector<NodeId>& ids) {
  const std::unique_ptr<index::Engine> engine = OpenEngine(path);
  return Measure(1,
                 [&] {
                   for (size_t begin = 0; begin < ids.size();
                        begin += kBatchItemCount) {
                     index::Batch batch;
                     const size_t end =
                         std::min(ids.size(), begin + kBatchItemCount);
                     for (size_t i = begin; i < end; ++i) {
                       batch.Delete(Family::kContent, index::IdKey(ids[i]));
                     }
                     const absl::Status committed =
                         engine->Commit(batch, index::Durability::kDurable);
                     RECLAIM_CHECK(committed.ok(),
                                   "the folder of the measurement has space");
                   }
                 })
      .cpu;
}

}  // namespace

bool MeasureColdMark(const GraphMeasure& measure) {
  const std::string path = measure.folder + "/graph";
  const std::string packed_path = measure.folder + "/packed";
  WriteDatabase<RecordWriter>(measure, path);
  WriteDatabase<PackedWriter>(measure, packed_path);
  NaiveGraph naive;
  TellRows(measure.objects, measure.seed, &naive);
  naive.Finish();
  const std::vector<bool> reached = naive.ReachBySweeps(index::kNoNode);
  const auto edges = static_cast<double>(naive.edge_count());

  std::vector<uint64_t> bits;
  const std::unique_ptr<index::Engine> packed = OpenEngine(packed_path);
  const Times packed_scan =
      Measure(1, [&] { bits = MarkByScan(*packed, naive.node_count()); });
  const Times raw_scan = [&] {
    const std::unique_ptr<index::Engine> engine = OpenEngine(path);
    return Measure(1, [&] { ScanBytes(*engine); });
  }();

  const base::SimulatedClock clock(PopulationNow());
  const std::unique_ptr<index::Engine> engine = OpenEngine(path);
  std::unique_ptr<index::ReferenceGraph> graph;
  gc::LiveSet live;
  ResetPeak();
  const Times open =
      Measure(1, [&] { graph = OpenGraph(measure, engine.get(), &clock); });
  const Times mark = Measure(1, [&] { live = MarkOf(graph->Read()->view()); });
  bool is_good = IsSame(reached, live);
  for (NodeId id = 0; id < reached.size(); ++id) {
    is_good &= reached[id] == ((bits[id / 64] >> (id % 64) & 1) != 0);
  }
  Line line;
  line.bench = "B2";
  line.what = absl::StrCat("records to a marked graph: ", naive.node_count(),
                           " objects");
  line.unit = "edges/s";
  line.ours = edges / (open.cpu + mark.cpu);
  line.limit = edges / packed_scan.cpu;
  line.cpu = open.cpu + mark.cpu;
  line.wall = open.wall + mark.wall;
  line.peak_bytes = PeakBytes();
  line.is_good = is_good;
  line.note = "limit: one scan of packed edges, by levels; cpu of one thread";
  Print(line);
  line.what = "opened: every record to the arrays";
  line.unit = "s";
  line.ours = open.cpu;
  line.limit = raw_scan.cpu;
  line.cpu = open.cpu;
  line.wall = open.wall;
  line.note = "limit: a scan of the same records that parses nothing";
  Print(line);
  line.what = "opened: both threads together";
  line.ours = open.all_cpu;
  line.cpu = open.all_cpu;
  Print(line);
  line.bench = "B11";
  line.what = "disk, events aside";
  line.unit = "B/object";
  line.ours = static_cast<double>(engine->ApproximateBytes()) /
              static_cast<double>(naive.node_count());
  line.limit = 80;
  line.note = "the limit is the goal";
  Print(line);
  return is_good;
}

bool MeasureSweep(const GraphMeasure& measure) {
  const std::string path = measure.folder + "/graph";
  WriteDatabase<RecordWriter>(measure, path);
  std::filesystem::copy(path, measure.folder + "/raw");
  NaiveGraph naive;
  TellRows(measure.objects, measure.seed, &naive);
  naive.Finish();
  const std::vector<bool> reached = naive.ReachBySweeps(index::kNoNode);

  const base::SimulatedClock clock(PopulationNow());
  const std::unique_ptr<index::Engine> engine = OpenEngine(path);
  const double scan_before = Measure(3, [&] { ScanBytes(*engine); }).cpu;
  const std::unique_ptr<index::ReferenceGraph> graph =
      OpenGraph(measure, engine.get(), &clock);
  std::vector<NodeId> gone;
  const gc::LiveSet live = MarkOf(graph->Read()->view());
  {
    const auto reader = graph->Read();
    const index::GraphView& view = reader->view();
    for (NodeId id = 0; id < view.node_count(); ++id) {
      const bool is_tenth = gone.size() < naive.node_count() / 10;
      if (is_tenth && index::IsContent(view.kind(id)) && !live.Contains(id)) {
        gone.push_back(id);
      }
    }
  }
  ResetPeak();
  const Times quarantine = Measure(
      1, [&] { ChangeStates(graph.get(), gone, NodeState::kQuarantined); });
  const Times purge =
      Measure(1, [&] { ChangeStates(graph.get(), gone, NodeState::kAbsent); });
  const uint64_t peak = PeakBytes();
  const double raw = RawDeleteSeconds(measure.folder + "/raw", gone);
  const Times scan_after = Measure(3, [&] { ScanBytes(*engine); });
  const bool is_good = IsSweptRight(*graph->Read(), reached, gone);

  const auto count = static_cast<double>(gone.size());
  Line line;
  line.bench = "B13";
  line.what = absl::StrCat("records of ", gone.size(), " objects: quarantined");
  line.unit = "objects/s";
  line.ours = count / quarantine.cpu;
  line.limit = count / raw;
  line.cpu = quarantine.cpu;
  line.wall = quarantine.wall;
  line.peak_bytes = peak;
  line.is_good = is_good;
  line.note = "limit: RocksDB deletes of the same keys";
  Print(line);
  line.what = "records of the same: purged";
  line.ours = count / purge.cpu;
  line.cpu = purge.cpu;
  line.wall = purge.wall;
  Print(line);
  line.what = "a scan afterwards";
  line.unit = "s";
  line.ours = scan_after.cpu;
  line.limit = scan_before;
  line.cpu = scan_after.cpu;
  line.wall = scan_after.wall;
  line.note = "limit: the scan before; goal 1.2 times it";
  Print(line);
  return is_good;
}

bool MeasureWhole(const GraphMeasure& measure) {
  const std::string path = measure.folder + "/graph";
  WriteDatabase<RecordWriter>(measure, path);
  const base::SimulatedClock clock(PopulationNow());
  ResetPeak();
  const std::unique_ptr<index::Engine> engine = OpenEngine(path);
  std::unique_ptr<index::ReferenceGraph> graph;
  std::vector<std::pair<std::string, Times>> steps;
  const auto step = [&](const char* name, absl::FunctionRef<void()> run) {
    const Times times = Measure(1, run);
    steps.push_back(
        {absl::StrCat(name, "; peak ", PeakBytes() >> 20, " MiB"), times});
  };
  step("whole: opened",
       [&] { graph = OpenGraph(measure, engine.get(), &clock); });
  step("whole: marked", [&] { MarkOf(graph->Read()->view()); });
  uint64_t exclusive = 0;
  step("whole: exclusive sizes", [&] {
    accounting::ForEachImageUsage(graph->Read()->view(), kStore, true,
                                  [&](const accounting::ImageUsage& image) {
                                    exclusive += image.unique.logical_bytes;
                                  });
  });
  step("whole: retained sizes", [&] {
    const auto reader = graph->Read();
    accounting::MakeRetainedSizes(reader->view(), RootsOf(reader->view()), {});
  });
  std::vector<NodeId> gone;
  StoredItems items(graph.get(), engine.get());
  step("whole: planned, plan stored", [&] { gone = items.Plan(); });
  step("whole: quarantined, on record", [&] { items.Quarantine(); });
  step("whole: purged", [&] { items.Purge(); });
  const uint64_t peak = PeakBytes();
  NaiveGraph naive;
  TellRows(measure.objects, measure.seed, &naive);
  naive.Finish();
  const std::vector<bool> reached = naive.ReachBySweeps(index::kNoNode);
  const std::vector<uint64_t> bare = naive.BareExclusive();
  uint64_t expected = 0;
  for (const NodeId image : naive.images()) expected += bare[image];
  const bool is_good =
      exclusive == expected && IsSweptRight(*graph->Read(), reached, gone);
  for (const auto& [what, times] : steps) {
    Line line;
    line.bench = "B11";
    line.what = what;
    line.ours = times.wall;
    line.cpu = times.cpu;
    line.wall = times.wall;
    line.peak_bytes = peak;
    line.is_good = is_good;
    line.note = absl::StrCat("items of the plan: ", items.item_count());
    Print(line);
  }
  return is_good;
}

}  // namespace reclaim::benchmark
