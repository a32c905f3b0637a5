// B1, B8 and B11: the resident graph alone.

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "accounting/image_usage.h"
#include "accounting/retained.h"
#include "base/clock.h"
#include "base/mutex.h"
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

constexpr uint32_t kSampleCount = 20;
constexpr uint32_t kEventCount = 20'000;
// A writer beside a mark puts 10,000 changes a second, in pairs, for long
// enough that there are some thousand of them.
constexpr std::chrono::microseconds kWriteInterval{200};
constexpr absl::Duration kBesideMin = absl::Milliseconds(500);

// The arrays of the product and of the oracle, from the same rows.
struct World {
  // `is_shared`: somebody writes meanwhile, and who reads holds `mutex`.
  explicit World(const GraphMeasure& measure, bool is_shared = false) {
    counts = TellRows(measure.objects, measure.seed, &naive);
    naive.Finish();
    const uint64_t before = ResidentBytes();
    ResetPeak();
    const uint64_t peak_before = PeakBytes();
    graph = std::make_unique<index::ResidentGraph>(
        kGracePeriod, is_shared ? &mutex : nullptr, measure.folder);
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
  mutable base::Mutex mutex;
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

bool MeasureUnique(const World& world, const GraphMeasure& measure) {
  std::vector<uint64_t> bare;
  const Times limit =
      Measure(measure.rounds, [&] { bare = world.naive.BareExclusive(); });
  std::vector<accounting::ImageUsage> usage;
  ResetPeak();
  const Times ours = Measure(measure.rounds, [&] {
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
  line.rounds = measure.rounds;
  line.is_good = IsUniqueRight(world, measure.seed, usage, bare);
  line.note =
      "worked out at each call: a change costs nothing and leaves nothing";
  Print(line);
  return line.is_good;
}

bool MeasureRetained(const World& world, const GraphMeasure& measure) {
  uint64_t bare = 0;
  const Times limit =
      Measure(measure.rounds, [&] { bare = world.naive.BareDominators(); });
  const std::vector<gc::Root> roots = world.Roots();
  accounting::RetainedSizes sizes;
  ResetPeak();
  const Times ours = Measure(measure.rounds, [&] {
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
  line.rounds = measure.rounds;
  line.is_good = IsRetainedRight(world, measure.seed, sizes) &&
                 sizes.live.logical_bytes == bare;
  Print(line);
  return line.is_good;
}

// Tags as they are, drawn.
std::vector<index::NamedRow> DrawTags(const World& world, uint64_t seed) {
  const index::ResidentGraph& graph = *world.graph;
  std::mt19937_64 random(seed);
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
  return rows;
}

// A tag goes and comes back: what the counters cost.
bool MeasureEvents(const World& world, const GraphMeasure& measure) {
  index::ResidentGraph& graph = *world.graph;
  const std::vector<index::NamedRow> rows = DrawTags(world, measure.seed);
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
  line.note =
      "of the totals and of who is reached; exclusive sizes are not among them";
  Print(line);
  return line.is_good;
}

// A tag goes and comes back while others read: two changes under the lock, at
// once, as a commit applies them.  What it waits for the lock is what a mark
// costs a writer.
class WriterBeside {
 public:
  // Begins; neither is owned.
  WriterBeside(index::ResidentGraph* graph, base::Mutex* mutex,
               std::vector<index::NamedRow> rows)
      : graph_(*graph),
        mutex_(*mutex),
        rows_(std::move(rows)),
        thread_([this] { Write(); }) {}
  // Ends it: the waits in seconds, ascending.  Once.
  std::vector<double> End() {
    is_over_ = true;
    thread_.join();
    std::sort(waits_.begin(), waits_.end());
    return std::move(waits_);
  }

 private:
  void Write() {
    const base::Clock& clock = *base::SystemClock();
    for (size_t i = 0; !is_over_; ++i) {
      const index::NamedRow& row = rows_[i % rows_.size()];
      const absl::Duration begin = clock.Monotonic();
      {
        base::MutexLock lock(&mutex_);
        waits_.push_back(absl::ToDoubleSeconds(clock.Monotonic() - begin));
        graph_.RemoveNamed(row.id);
        graph_.PutNamed(row);
      }
      std::this_thread::sleep_for(kWriteInterval);
    }
  }

  index::ResidentGraph& graph_;
  base::Mutex& mutex_;
  const std::vector<index::NamedRow> rows_;
  std::atomic<bool> is_over_{false};
  std::vector<double> waits_;  // the thread's, until it has ended
  std::thread thread_;         // last: it uses the others
};

// `line` is that of the mark alone, and its limit's.
bool MarkBesideWriter(const World& world, const GraphMeasure& measure,
                      const std::vector<gc::Root>& roots,
                      const std::vector<bool>& reached, Line line) {
  const base::Clock& clock = *base::SystemClock();
  absl::StatusOr<gc::LiveSet> live = gc::LiveSet();
  std::vector<Times> marks;
  const absl::Duration begin = clock.Monotonic();
  WriterBeside writer(world.graph.get(), &world.mutex,
                      DrawTags(world, measure.seed));
  while (marks.size() < static_cast<size_t>(measure.rounds) ||
         clock.Monotonic() - begin < kBesideMin) {
    base::ReaderMutexLock lock(&world.mutex);
    marks.push_back(
        Measure(1, [&] { live = gc::Mark(*world.graph, roots, {}); }));
  }
  const std::vector<double> waits = writer.End();
  const double elapsed = absl::ToDoubleSeconds(clock.Monotonic() - begin);
  const Times ours = MedianOf(marks);
  line.what = "mark beside a writer";
  line.ours = live.ok() ? static_cast<double>(live->Count()) / ours.cpu : 0;
  line.cpu = ours.cpu;
  line.wall = ours.wall;
  line.rounds = static_cast<int>(marks.size());
  if (!waits.empty()) {
    line.p50 = waits[waits.size() / 2];
    line.p99 = waits[waits.size() * 99 / 100];
    line.max = waits.back();
  }
  base::ReaderMutexLock lock(&world.mutex);
  line.is_good = live.ok() && IsSame(reached, *live) && !waits.empty() &&
                 AreCountersRight(world, reached);
  line.note = absl::StrCat(
      static_cast<uint64_t>(2 * static_cast<double>(waits.size()) / elapsed),
      " changes/s; they wait for the lock, p50 ", line.p50 * 1e6, " us, p99 ",
      line.p99 * 1e6, " us, longest ", line.max * 1e6, " us");
  Print(line);
  return line.is_good;
}

// Those that a mark follows: of nodes that are reached.
uint64_t FollowedEdges(const World& world, const std::vector<bool>& reached) {
  uint64_t count = 0;
  for (NodeId id = 0; id < reached.size(); ++id) {
    if (!reached[id]) continue;
    count += world.graph->Kept(id).size() + world.graph->Referrers(id).size();
  }
  return count;
}

// On disk, of files of this process that have no name (the digests).
uint64_t NamelessBytes(const std::string& folder) {
  uint64_t bytes = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target =
        std::filesystem::read_symlink(entry.path(), error).string();
    struct stat st;
    if (!error && absl::StartsWith(target, folder) &&
        absl::EndsWith(target, "(deleted)") &&
        stat(entry.path().c_str(), &st) == 0) {
      bytes += static_cast<uint64_t>(st.st_blocks) * 512;
    }
  }
  return bytes;
}

}  // namespace

bool MeasureMark(const GraphMeasure& measure) {
  Progress progress("mark");
  const World world(measure, true);
  progress.Done("arrays filled");
  const std::vector<bool> reached = world.naive.ReachBySweeps(index::kNoNode);
  std::vector<uint64_t> bits;
  const Times limit =
      Measure(measure.rounds, [&] { bits = world.naive.BareMark(); });
  progress.Done("limit and sweeps");
  std::vector<gc::Root> roots;
  absl::StatusOr<gc::LiveSet> live = gc::LiveSet();
  Times finding;
  Times ours;
  Line line;
  {
    base::ReaderMutexLock lock(&world.mutex);
    finding = Measure(measure.rounds, [&] { roots = world.Roots(); });
    ResetPeak();
    ours = Measure(measure.rounds,
                   [&] { live = gc::Mark(*world.graph, roots, {}); });
    line.peak_bytes = PeakBytes();
    line.is_good =
        live.ok() && IsSame(reached, *live) && AreCountersRight(world, reached);
  }
  for (NodeId id = 0; id < reached.size(); ++id) {
    line.is_good &= reached[id] == ((bits[id / 64] >> (id % 64) & 1) != 0);
  }
  progress.Done("marked");
  const double count = live.ok() ? static_cast<double>(live->Count()) : 0;
  line.bench = "B1";
  line.what = absl::StrCat("mark: ", Sizes(world));
  line.unit = "objects/s";
  line.ours = count / ours.cpu;
  line.limit = count / limit.cpu;
  line.cpu = ours.cpu;
  line.wall = ours.wall;
  line.rounds = measure.rounds;
  Print(line);
  bool is_good = MarkBesideWriter(world, measure, roots, reached, line);
  progress.Done("marked beside a writer");
  is_good &= line.is_good;
  const auto edges = static_cast<double>(FollowedEdges(world, reached));
  line.what = "the same mark, in edges that it follows";
  line.unit = "edges/s";
  line.ours = edges / ours.cpu;
  line.limit = edges / limit.cpu;
  Print(line);
  line.what = absl::StrCat("roots: ", roots.size());
  line.unit = "s";
  line.ours = finding.cpu;
  line.limit = 0;
  line.cpu = finding.cpu;
  line.wall = finding.wall;
  line.note = "";
  Print(line);
  return is_good;
}

bool MeasureExclusive(const GraphMeasure& measure) {
  Progress progress("exclusive");
  const World world(measure);
  progress.Done("arrays filled");
  bool is_good = MeasureUnique(world, measure);
  progress.Done("exclusive sizes");
  is_good &= MeasureRetained(world, measure);
  progress.Done("retained sizes");
  is_good &= MeasureEvents(world, measure);
  progress.Done("changes");
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
  line.what = "digests, in a file beside";
  line.ours = static_cast<double>(NamelessBytes(measure.folder)) / count;
  line.limit = 0;
  line.note = "not resident; the system's cache holds it while it has room";
  Print(line);
  line.what = "rows put, of one core";
  line.unit = "objects/s";
  line.ours = count / world.load.cpu;
  line.note = "";
  Print(line);
  return line.is_good;
}

}  // namespace reclaim::benchmark
