// tests/simulation/blind_graph.h — the reference graph without the deletion
// guard's eyes: whoever holds the write order sees no stamps, no times and no
// keepers.  So every item of a plan may go, as if nobody had looked again.
//
// With it an exploration must find a loss: otherwise it could not see one.

#ifndef RECLAIM_TESTS_SIMULATION_BLIND_GRAPH_H_
#define RECLAIM_TESTS_SIMULATION_BLIND_GRAPH_H_

#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "index/graph_view.h"
#include "index/reference_graph.h"
#include "tests/support/forwarding_graph.h"
#include "tests/support/forwarding_view.h"

namespace reclaim::simulation {

class BlindView final : public tests::ForwardingView {
 public:
  using ForwardingView::ForwardingView;

  index::NodeFields fields(index::NodeId id) const override {
    index::NodeFields fields = ForwardingView::fields(id);
    fields.stamp = 0;
    fields.recorded = absl::InfinitePast();
    return fields;
  }
  void ForEachKeeper(index::NodeId,
                     absl::FunctionRef<bool(index::NodeId)>) const override {}
};

class BlindReader final : public tests::ForwardingReader {
 public:
  explicit BlindReader(const index::GraphReader* reader)
      : ForwardingReader(reader), view_(&reader->view()) {}
  const index::GraphView& view() const override { return view_; }

 private:
  const BlindView view_;
};

class BlindOrder final : public index::WriteOrder {
 public:
  explicit BlindOrder(std::unique_ptr<index::WriteOrder> order)
      : order_(std::move(order)),
        reader_(std::make_unique<BlindReader>(&order_->reader())) {}
  const index::GraphReader& reader() const override { return *reader_; }
  absl::Status Commit(absl::Span<const index::StateChange> changes,
                      absl::Span<const index::Operation> operations,
                      absl::Span<const index::RecordWrite> records,
                      absl::string_view actor) override {
    reader_.reset();
    return order_->Commit(changes, operations, records, actor);
  }

 private:
  std::unique_ptr<index::WriteOrder> order_;
  std::unique_ptr<BlindReader> reader_;
};

class BlindGraph final : public tests::ForwardingGraph {
 public:
  using ForwardingGraph::ForwardingGraph;

  std::unique_ptr<index::WriteOrder> HoldWriteOrder() override {
    return std::make_unique<BlindOrder>(ForwardingGraph::HoldWriteOrder());
  }
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_BLIND_GRAPH_H_
