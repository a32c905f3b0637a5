// tests/benchmark/record_writer.h — a population as the records of a database.
//
// Writes what pushes would have left (docs/FORMAT.md) without the events, in
// large batches: ten million objects in minutes.

#ifndef RECLAIM_TESTS_BENCHMARK_RECORD_WRITER_H_
#define RECLAIM_TESTS_BENCHMARK_RECORD_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "index/engine.h"
#include "tests/benchmark/population_rows.h"

namespace reclaim::benchmark {

class RecordWriter final : public RowSink {
 public:
  // Not owned.
  explicit RecordWriter(index::Engine* engine) : engine_(*engine) {}

  void OnContent(const index::ContentRow& row) override;
  void OnNamed(const index::NamedRow& row) override;
  void OnMembership(const index::MembershipRow& row) override;
  // After the last row: what the graph needs to open.
  void Finish();

 private:
  void Put(index::Family family, std::string key, std::string value);
  void Flush();

  index::Engine& engine_;
  index::Batch batch_;
  index::NodeId next_id_ = 0;
  std::string repository_name_;
};

// One record a node with edges, ordered by level, so that one scan marks
// (PERFORMANCE.md 3.1, "physical" mark): the limit of a mark from a database.
class PackedWriter final : public RowSink {
 public:
  explicit PackedWriter(index::Engine* engine) : engine_(*engine) {}

  void OnContent(const index::ContentRow& row) override;
  void OnNamed(const index::NamedRow& row) override;
  void OnMembership(const index::MembershipRow&) override {}
  void Finish();

 private:
  void Put(char level, index::NodeId from, index::NodeId order,
           const std::vector<index::NodeId>& to);

  index::Engine& engine_;
  index::Batch batch_;
};

// The bits of a mark by one scan of what PackedWriter wrote.
std::vector<uint64_t> MarkByScan(const index::Engine& engine,
                                 uint32_t node_count);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_RECORD_WRITER_H_
