// The population as tables, for programs that know nothing of ours.

#include <cinttypes>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "base/check.h"
#include "index/node.h"
#include "tests/benchmark/graph_measures.h"
#include "tests/benchmark/naive_graph.h"
#include "tests/benchmark/population_rows.h"

namespace reclaim::benchmark {
namespace {

// nodes.tsv: id, bytes, what it is (0 content, 1 image, 2 tag).  edges.tsv:
// from, to, 1 if that is from a subject to its referrer.
class TableSink final : public RowSink {
 public:
  explicit TableSink(const std::string& folder)
      : nodes_(std::fopen((folder + "/nodes.tsv").c_str(), "w")),
        edges_(std::fopen((folder + "/edges.tsv").c_str(), "w")) {
    RECLAIM_CHECK(nodes_ != nullptr && edges_ != nullptr,
                  "the folder of the measurement is ours");
  }
  ~TableSink() override {
    // Both are closed, whatever becomes of the first.
    const bool has_nodes = std::fclose(nodes_) == 0;
    const bool has_edges = std::fclose(edges_) == 0;
    RECLAIM_CHECK(has_nodes && has_edges,
                  "the disk of the measurement has room");
  }
  TableSink(const TableSink&) = delete;
  TableSink& operator=(const TableSink&) = delete;

  void OnContent(const index::ContentRow& row) override {
    std::fprintf(nodes_, "%u\t%" PRIu64 "\t%d\n", row.id,
                 row.bytes.logical_bytes, index::IsManifestLike(row.kind));
    for (const index::NodeId child : row.children) {
      std::fprintf(edges_, "%u\t%u\t0\n", row.id, child);
    }
    if (row.subject != index::kNoNode) {
      std::fprintf(edges_, "%u\t%u\t1\n", row.subject, row.id);
    }
  }
  void OnNamed(const index::NamedRow& row) override {
    if (row.key.kind != index::NodeKind::kTag) return;
    std::fprintf(nodes_, "%u\t0\t2\n", row.id);
    for (const index::NodeId target : row.targets) {
      std::fprintf(edges_, "%u\t%u\t0\n", row.id, target);
    }
  }
  void OnMembership(const index::MembershipRow&) override {}

 private:
  std::FILE* const nodes_;
  std::FILE* const edges_;
};

}  // namespace

bool WriteTables(const GraphMeasure& measure) {
  {
    TableSink sink(measure.folder);
    TellRows(measure.objects, measure.seed, &sink);
  }
  NaiveGraph naive;
  TellRows(measure.objects, measure.seed, &naive);
  naive.Finish();
  const std::vector<uint64_t> exclusive = naive.BareExclusive();
  std::printf("{\"live_bytes\": %" PRIu64 ", \"exclusive_bytes\": %" PRIu64
              "}\n",
              naive.BytesOf(naive.ReachBySweeps(index::kNoNode)),
              std::accumulate(exclusive.begin(), exclusive.end(), uint64_t{0}));
  return true;
}

}  // namespace reclaim::benchmark
