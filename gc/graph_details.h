// gc/graph_details.h — the details that plans ask for, out of a graph.

#ifndef RECLAIM_GC_GRAPH_DETAILS_H_
#define RECLAIM_GC_GRAPH_DETAILS_H_

#include <optional>

#include "absl/status/statusor.h"
#include "gc/plan.h"
#include "index/reference_graph.h"

namespace reclaim::gc {

class GraphDetails final : public DetailSource {
 public:
  // Not owned.
  explicit GraphDetails(const index::ReferenceGraph* graph) : graph_(*graph) {}
  absl::StatusOr<index::NamedRecord> GetNamed(index::NodeId id) const override {
    return graph_.GetNamed(id);
  }
  absl::StatusOr<std::optional<index::PutImageConfig>> GetImageConfig(
      index::NodeId config) const override {
    return graph_.GetImageConfig(config);
  }

 private:
  const index::ReferenceGraph& graph_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_GRAPH_DETAILS_H_
