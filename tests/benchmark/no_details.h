// tests/benchmark/no_details.h — a plan's details where nothing has any: no
// labels, no configs, no containers.

#ifndef RECLAIM_TESTS_BENCHMARK_NO_DETAILS_H_
#define RECLAIM_TESTS_BENCHMARK_NO_DETAILS_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gc/plan.h"
#include "index/node.h"
#include "index/reference_graph.h"

namespace reclaim::benchmark {

class NoDetails final : public gc::DetailSource {
 public:
  absl::StatusOr<index::NamedRecord> GetNamed(index::NodeId) const override {
    return absl::NotFoundError("nothing has details here");
  }
  absl::StatusOr<std::optional<index::PutImageConfig>> GetImageConfig(
      index::NodeId) const override {
    return std::optional<index::PutImageConfig>();
  }
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_NO_DETAILS_H_
