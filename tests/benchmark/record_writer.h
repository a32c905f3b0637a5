// tests/benchmark/record_writer.h — a population as the records of a database.
//
// Writes what pushes would have left (docs/FORMAT.md), the events apart, in
// large batches: ten million objects in minutes.

#ifndef RECLAIM_TESTS_BENCHMARK_RECORD_WRITER_H_
#define RECLAIM_TESTS_BENCHMARK_RECORD_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "index/engine.h"
#include "index/event.h"
#include "oci/digest.h"
#include "store/types.h"
#include "tests/benchmark/population_rows.h"

namespace reclaim::benchmark {

// The digests of the images that came since the last name: a tag names one of
// them, and its record says which.
class LatestImages {
 public:
  void Note(const index::ContentRow& row);
  // Of what `tag` names; all are forgotten.
  oci::Digest Take(const index::NamedRow& tag);

 private:
  absl::flat_hash_map<index::NodeId, oci::Digest> digests_;
};

class RecordWriter final : public RowSink {
 public:
  // The store is named "s", and is of `kind`: kMemory, or kExternal for a
  // daemon.  The engine is not owned.
  explicit RecordWriter(index::Engine* engine,
                        store::StoreKind kind = store::StoreKind::kMemory)
      : engine_(*engine), kind_(kind) {}

  void OnContent(const index::ContentRow& row) override;
  void OnNamed(const index::NamedRow& row) override;
  void OnMembership(const index::MembershipRow& row) override;
  // After the last row: what the graph needs to open.
  void Finish();

 private:
  void Put(index::Family family, std::string key, std::string value);
  void Flush();

  index::Engine& engine_;
  const store::StoreKind kind_;
  index::Batch batch_;
  index::NodeId next_id_ = 0;
  LatestImages images_;
};

// An event row for each node and none of the records that it tells of: what the
// same pushes leave beside them.
class EventWriter final : public RowSink {
 public:
  explicit EventWriter(index::Engine* engine) : engine_(*engine) {}

  void OnContent(const index::ContentRow& row) override;
  void OnNamed(const index::NamedRow& row) override;
  void OnMembership(const index::MembershipRow&) override {}
  void Finish();

 private:
  void Put(index::Event event);

  index::Engine& engine_;
  index::Batch batch_;
  uint64_t sequence_ = 0;
  LatestImages images_;
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
