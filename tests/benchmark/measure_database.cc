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
#include "tests/benchmark/graph_measures.h"
#include "tests/benchmark/measured_database.h"
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

// Ten million objects are to be served in so much memory.
constexpr uint64_t kManyObjects = 10'000'000;
constexpr double kMemoryMebibytesMax = 1024;

// What the sweeps say, without the graph that they went over: a measurement of
// memory comes after it.
struct Truth {
  uint32_t node_count = 0;
  uint64_t edge_count = 0;
  std::vector<bool> reached;
  std::vector<NodeId> garbage;   // content that nothing reaches, ascending
  uint64_t exclusive_bytes = 0;  // of all images
};

Truth TruthOf(const GraphMeasure& measure) {
  NaiveGraph naive;
  TellRows(measure.objects, measure.seed, &naive);
  naive.Finish();
  Truth truth;
  truth.node_count = naive.node_count();
  truth.edge_count = naive.edge_count();
  truth.reached = naive.ReachBySweeps(index::kNoNode);
  for (NodeId id = 0; id < truth.node_count; ++id) {
    // Content has bytes, and names have none.
    if (!truth.reached[id] && naive.bytes(id) > 0) truth.garbage.push_back(id);
  }
  for (const uint64_t bytes : naive.BareExclusive()) {
    truth.exclusive_bytes += bytes;
  }
  return truth;
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

// Exactly `gone` (ascending) is away, everything else is here as it was, and
// the counters are right.
bool IsSweptRight(const index::GraphReader& reader,
                  const std::vector<NodeId>& gone) {
  const index::GraphView& view = reader.view();
  auto next = gone.begin();
  for (NodeId id = 0; id < view.node_count(); ++id) {
    const bool is_gone = next != gone.end() && *next == id;
    if (is_gone) ++next;
    const NodeState state = is_gone ? NodeState::kAbsent : NodeState::kPresent;
    if (view.state(id) != state) return false;
  }
  index::RecountInputs inputs;
  inputs.store = kStore;
  inputs.now = PopulationNow();
  inputs.grace_period = kGracePeriod;
  return next == gone.end() &&
         reader.totals(kStore) == index::Recount(view, inputs);
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

// Records to a marked graph, as often as it is to be measured.
struct Opened {
  Times open;
  Times mark;
  std::unique_ptr<index::ReferenceGraph> graph;
  gc::LiveSet live;
  uint64_t peak_bytes = 0;  // of the last time
};

Opened OpenAndMark(const GraphMeasure& measure, index::Engine* engine,
                   const base::Clock* clock) {
  Opened opened;
  std::vector<Times> opens;
  std::vector<Times> marks;
  for (int i = 0; i < measure.rounds; ++i) {
    opened.graph.reset();
    ResetPeak();
    opens.push_back(
        Measure(1, [&] { opened.graph = OpenGraph(measure, engine, clock); }));
    marks.push_back(Measure(
        1, [&] { opened.live = MarkOf(opened.graph->Read()->view()); }));
    opened.peak_bytes = PeakBytes();
  }
  opened.open = MedianOf(opens);
  opened.mark = MedianOf(marks);
  return opened;
}

void PrintOpened(const GraphMeasure& measure, const Truth& truth,
                 const Opened& opened, const Times& raw_scan, Line line) {
  const auto edges = static_cast<double>(truth.edge_count);
  // Two threads open it: what one of them takes is no measure of both.
  line.bench = "B2";
  line.what =
      absl::StrCat("records to a marked graph: ", truth.node_count, " objects");
  line.unit = "edges/s";
  line.cpu = opened.open.all_cpu + opened.mark.all_cpu;
  line.wall = opened.open.wall + opened.mark.wall;
  line.ours = edges / line.cpu;
  line.peak_bytes = opened.peak_bytes;
  line.rounds = measure.rounds;
  line.note = absl::StrCat(
      "ours and cpu: of all threads; by the wall ",
      static_cast<uint64_t>(edges / line.wall),
      " edges/s; limit: one scan of packed edges, by levels, on one thread");
  Print(line);
  line.what = "opened: every record to the arrays";
  line.unit = "s";
  line.ours = opened.open.all_cpu;
  line.limit = raw_scan.cpu;
  line.cpu = opened.open.all_cpu;
  line.wall = opened.open.wall;
  line.note =
      "of all threads; limit: a scan of the same records that parses "
      "nothing, on one thread";
  Print(line);
}

// The bytes of sorted files, an object.
double DiskBytes(const std::string& path, const Truth& truth) {
  return static_cast<double>(OpenEngine(path)->ApproximateBytes()) /
         static_cast<double>(truth.node_count);
}

}  // namespace

bool MeasureColdMark(const GraphMeasure& measure) {
  Progress progress("mark-cold");
  const std::string path = measure.folder + "/graph";
  const std::string packed_path = measure.folder + "/packed";
  WriteDatabase<RecordWriter>(measure, path);
  progress.Done("records written");
  WriteDatabase<PackedWriter>(measure, packed_path);
  progress.Done("packed edges written");
  const Truth truth = TruthOf(measure);
  progress.Done("sweeps");

  std::vector<uint64_t> bits;
  const Times packed_scan = [&] {
    const std::unique_ptr<index::Engine> packed = OpenEngine(packed_path);
    return Measure(measure.rounds,
                   [&] { bits = MarkByScan(*packed, truth.node_count); });
  }();
  const Times raw_scan = [&] {
    const std::unique_ptr<index::Engine> engine = OpenEngine(path);
    return Measure(measure.rounds, [&] { ScanBytes(*engine); });
  }();
  progress.Done("scans");

  Line line;
  line.limit = static_cast<double>(truth.edge_count) / packed_scan.cpu;
  {
    const base::SimulatedClock clock(PopulationNow());
    const std::unique_ptr<index::Engine> engine = OpenEngine(path);
    const Opened opened = OpenAndMark(measure, engine.get(), &clock);
    line.is_good = IsSame(truth.reached, opened.live);
    for (NodeId id = 0; id < truth.node_count; ++id) {
      line.is_good &=
          truth.reached[id] == ((bits[id / 64] >> (id % 64) & 1) != 0);
    }
    PrintOpened(measure, truth, opened, raw_scan, line);
  }
  progress.Done("opened and marked");
  line.bench = "B11";
  line.what = "disk, events aside";
  line.unit = "B/object";
  line.ours = DiskBytes(path, truth);
  line.limit = 80;
  line.note = "the limit is the goal";
  Print(line);
  WriteDatabase<EventWriter>(measure, path);
  progress.Done("events written");
  line.what = "disk, with an event for each node";
  line.ours = DiskBytes(path, truth);
  line.limit = 0;
  line.note = "the goal is of the records alone";
  Print(line);
  return line.is_good;
}

bool MeasureSweep(const GraphMeasure& measure) {
  Progress progress("sweep-db");
  const std::string path = measure.folder + "/graph";
  WriteDatabase<RecordWriter>(measure, path);
  std::filesystem::copy(path, measure.folder + "/raw");
  progress.Done("records written");
  const Truth truth = TruthOf(measure);
  std::vector<NodeId> gone = truth.garbage;
  gone.resize(std::min<size_t>(gone.size(), truth.node_count / 10));
  progress.Done("sweeps");

  const base::SimulatedClock clock(PopulationNow());
  const std::unique_ptr<index::Engine> engine = OpenEngine(path);
  const double scan_before =
      Measure(measure.rounds, [&] { ScanBytes(*engine); }).cpu;
  const std::unique_ptr<index::ReferenceGraph> graph =
      OpenGraph(measure, engine.get(), &clock);
  progress.Done("opened");
  ResetPeak();
  const Times quarantine = Measure(
      1, [&] { ChangeStates(graph.get(), gone, NodeState::kQuarantined); });
  progress.Done("quarantined");
  const Times purge =
      Measure(1, [&] { ChangeStates(graph.get(), gone, NodeState::kAbsent); });
  progress.Done("purged");
  const uint64_t peak = PeakBytes();
  const double raw = RawDeleteSeconds(measure.folder + "/raw", gone);
  const Times scan_after = Measure(measure.rounds, [&] { ScanBytes(*engine); });
  const bool is_good = !gone.empty() && IsSweptRight(*graph->Read(), gone);
  progress.Done("scanned and counted again");

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
  line.rounds = measure.rounds;
  line.note = "limit: the scan before; goal 1.2 times it";
  Print(line);
  return is_good;
}

namespace {

// The steps of a whole run, and the most that was resident by the end of each.
class Steps {
 public:
  void Run(const std::string& what, absl::FunctionRef<void()> run) {
    const Times times = Measure(1, run);
    steps_.push_back({what, times, PeakBytes()});
    progress_.Done(absl::StrCat(what, "; peak ", PeakBytes() >> 20, " MiB"));
  }

  Progress& progress() { return progress_; }

  void PrintAll(const GraphMeasure& measure, Line line) const {
    for (const Step& step : steps_) {
      line.what = absl::StrCat("whole: ", step.what);
      line.ours = step.times.wall;
      line.cpu = step.times.all_cpu;
      line.wall = step.times.wall;
      line.peak_bytes = step.peak_bytes;
      Print(line);
    }
    line.what = "whole: the most that was resident";
    line.unit = "MiB";
    line.ours = static_cast<double>(line.peak_bytes) / (1 << 20);
    line.cpu = 0;
    line.wall = 0;
    if (measure.objects >= kManyObjects) line.limit = kMemoryMebibytesMax;
    line.note = "the limit is the goal, of ten million objects";
    Print(line);
  }

 private:
  struct Step {
    std::string what;
    Times times;
    uint64_t peak_bytes = 0;
  };
  Progress progress_{"whole"};
  std::vector<Step> steps_;
};

}  // namespace

bool MeasureWhole(const GraphMeasure& measure) {
  Steps steps;
  const std::string path = measure.folder + "/graph";
  WriteDatabase<RecordWriter>(measure, path);
  steps.progress().Done("records written");
  const base::SimulatedClock clock(PopulationNow());
  ResetPeak();
  const std::unique_ptr<index::Engine> engine = OpenEngine(path);
  std::unique_ptr<index::ReferenceGraph> graph;
  steps.Run("opened",
            [&] { graph = OpenGraph(measure, engine.get(), &clock); });
  gc::LiveSet live;
  steps.Run("marked", [&] { live = MarkOf(graph->Read()->view()); });
  uint64_t exclusive = 0;
  steps.Run("exclusive sizes", [&] {
    accounting::ForEachImageUsage(graph->Read()->view(), kStore, true,
                                  [&](const accounting::ImageUsage& image) {
                                    exclusive += image.unique.logical_bytes;
                                  });
  });
  steps.Run("retained sizes", [&] {
    const auto reader = graph->Read();
    accounting::MakeRetainedSizes(reader->view(), RootsOf(reader->view()), {});
  });
  std::vector<NodeId> gone;
  StoredItems items(graph.get(), engine.get());
  steps.Run("planned, plan stored", [&] { gone = items.Plan(); });
  steps.Run("quarantined, on record", [&] { items.Quarantine(); });
  steps.Run("purged", [&] { items.Purge(); });

  const Truth truth = TruthOf(measure);
  Line line;
  line.bench = "B11";
  // What should go has gone, all of it: a plan of nothing is none.
  line.is_good = !gone.empty() && gone == truth.garbage &&
                 IsSame(truth.reached, live) &&
                 exclusive == truth.exclusive_bytes &&
                 IsSweptRight(*graph->Read(), truth.garbage);
  steps.progress().Done("oracles");
  line.note = absl::StrCat("items of the plan: ", items.item_count());
  steps.PrintAll(measure, line);
  return line.is_good;
}

}  // namespace reclaim::benchmark
