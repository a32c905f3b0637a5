// The population as the database of a daemon, and what that daemon must find.

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string>
#include <vector>

#include "index/node.h"
#include "index/resident_graph.h"
#include "store/types.h"
#include "tests/benchmark/graph_measures.h"
#include "tests/benchmark/measured_database.h"
#include "tests/benchmark/measuring.h"
#include "tests/benchmark/naive_graph.h"
#include "tests/benchmark/population_rows.h"
#include "tests/benchmark/record_writer.h"

namespace reclaim::benchmark {
namespace {

using index::NodeId;

// Images whose exclusive bytes are told: a page of a list, newest first.
constexpr size_t kNewestCount = 200;

// What is reached as it is; of the rest nothing but its number, so that it is
// no image and has no edges.
class LivingSink final : public RowSink {
 public:
  // Neither is owned.
  LivingSink(const std::vector<bool>* reached, RowSink* next)
      : reached_(*reached), next_(*next) {}

  void OnContent(const index::ContentRow& row) override {
    if (reached_[row.id]) {
      next_.OnContent(row);
      return;
    }
    index::ContentRow gone;
    gone.id = row.id;
    next_.OnContent(gone);
  }
  void OnNamed(const index::NamedRow& row) override { next_.OnNamed(row); }
  void OnMembership(const index::MembershipRow& row) override {
    next_.OnMembership(row);
  }

 private:
  const std::vector<bool>& reached_;
  RowSink& next_;
};

struct Newest {
  size_t count = 0;
  uint64_t exclusive_bytes = 0;
};

// Once everything that is not reached has gone.
Newest NewestOf(const GraphMeasure& measure, const std::vector<bool>& reached) {
  NaiveGraph living;
  LivingSink sink(&reached, &living);
  TellRows(measure.objects, measure.seed, &sink);
  living.Finish();
  const std::vector<uint64_t> exclusive = living.BareExclusive();
  Newest newest;
  newest.count = std::min(kNewestCount, living.images().size());
  for (size_t i = 0; i < newest.count; ++i) {
    const NodeId image = living.images()[living.images().size() - 1 - i];
    newest.exclusive_bytes += exclusive[image];
  }
  return newest;
}

}  // namespace

bool WriteRecords(const GraphMeasure& measure) {
  Progress progress("records");
  WriteDatabase<RecordWriter>(measure, measure.folder + "/graph",
                              store::StoreKind::kExternal);
  progress.Done("database written");
  NaiveGraph naive;
  TellRows(measure.objects, measure.seed, &naive);
  naive.Finish();
  const std::vector<bool> reached = naive.ReachBySweeps(index::kNoNode);
  uint64_t live_count = 0;
  uint64_t live_bytes = 0;
  uint64_t garbage_count = 0;
  uint64_t garbage_bytes = 0;
  for (NodeId id = 0; id < naive.node_count(); ++id) {
    const uint64_t bytes = naive.bytes(id);
    if (bytes == 0) continue;  // a name: content has bytes
    (reached[id] ? live_count : garbage_count) += 1;
    (reached[id] ? live_bytes : garbage_bytes) += bytes;
  }
  const Newest newest = NewestOf(measure, reached);
  progress.Done("sweeps");
  std::printf(
      "{\"nodes\": %u, \"live_count\": %" PRIu64 ", \"live_bytes\": %" PRIu64
      ", \"garbage_count\": %" PRIu64 ", \"garbage_bytes\": %" PRIu64
      ", \"tags\": %zu, \"newest_count\": %zu, "
      "\"newest_exclusive_bytes\": %" PRIu64 "}\n",
      naive.node_count(), live_count, live_bytes, garbage_count, garbage_bytes,
      naive.tags().size(), newest.count, newest.exclusive_bytes);
  return true;
}

}  // namespace reclaim::benchmark
