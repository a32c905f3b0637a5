// tests/benchmark/population_rows.h — a population as the rows of a graph.
//
// One registry store with one place; ids in the order of telling, as pushes
// would give them; every blob and manifest a member of the repositories that
// use it.  Everything is older than the grace period.  Streaming.

#ifndef RECLAIM_TESTS_BENCHMARK_POPULATION_ROWS_H_
#define RECLAIM_TESTS_BENCHMARK_POPULATION_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/resident_graph.h"
#include "oci/digest.h"
#include "tests/benchmark/registry_population.h"

namespace reclaim::benchmark {

inline constexpr index::StoreId kStore = 0;
inline constexpr index::PlaceId kPlace = 0;
// The instant of the measurement, and the period by which nothing is young.
absl::Time PopulationNow();
inline constexpr absl::Duration kGracePeriod = absl::Hours(24);

class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual void OnContent(const index::ContentRow& row) = 0;
  virtual void OnNamed(const index::NamedRow& row) = 0;
  virtual void OnMembership(const index::MembershipRow& row) = 0;
};

// Tells the rows of a population of `objects`.
PopulationCounts TellRows(uint64_t objects, uint64_t seed, RowSink* sink);
// The same of another shape: tall, say.
PopulationCounts TellRows(const PopulationOptions& options, RowSink* sink);

// Into the arrays.
class ResidentSink final : public RowSink {
 public:
  explicit ResidentSink(index::ResidentGraph* graph);
  void OnContent(const index::ContentRow& row) override {
    graph_.PutContent(row);
  }
  void OnNamed(const index::NamedRow& row) override { graph_.PutNamed(row); }
  void OnMembership(const index::MembershipRow& row) override {
    graph_.PutMembership(row);
  }

 private:
  index::ResidentGraph& graph_;
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_POPULATION_ROWS_H_
