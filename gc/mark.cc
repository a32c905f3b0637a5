#include "gc/mark.h"

#include "absl/status/status.h"

namespace reclaim::gc {
namespace {

using index::GraphView;
using index::NodeId;
using index::NodeKind;

constexpr uint64_t kStepsPerSlice = 4096;

class Marker {
 public:
  Marker(const GraphView& view, const MarkOptions& options)
      : view_(view), options_(options), live_(view.node_count()) {}

  absl::StatusOr<LiveSet> Run(absl::Span<const Root> roots) {
    for (const Root& root : roots) {
      if (root.reason != index::RootReason::kUnlinked) {
        Push(root.node);
      } else if (root.node < live_.node_count()) {
        flat_.push_back(root.node);
      }
    }
    uint64_t step = 0;
    while (!stack_.empty()) {
      if (++step % kStepsPerSlice == 0) {
        view_.Yield();
        if (options_.is_cancelled && options_.is_cancelled()) {
          return absl::CancelledError("the mark was cancelled");
        }
      }
      const NodeId id = stack_.back();
      stack_.pop_back();
      Visit(id);
    }
    // What a flat lease keeps, or what no repository links, passes nothing on.
    for (const NodeId id : flat_) {
      live_.Insert(id);
      const NodeId extent = view_.ExtentOf(id);
      if (extent < live_.node_count()) live_.Insert(extent);
    }
    return std::move(live_);
  }

 private:
  void Push(NodeId id) {
    // Nodes that appeared since the mark began are the epoch stamp's business.
    if (id >= live_.node_count() || !live_.Insert(id)) return;
    if (view_.HasEdges(id)) stack_.push_back(id);
  }

  void Visit(NodeId id) {
    const index::NodeEdges edges = view_.Edges(id);
    for (const NodeId target : edges.kept) {
      if (edges.is_flat && view_.kind(target) != NodeKind::kSnapshot) {
        if (target < live_.node_count()) flat_.push_back(target);
      } else {
        Push(target);
      }
    }
    for (const NodeId referrer : edges.referrers) Push(referrer);
    if (edges.extent != index::kNoNode) Push(edges.extent);
  }

  const GraphView& view_;
  const MarkOptions& options_;
  LiveSet live_;
  std::vector<NodeId> stack_;
  std::vector<NodeId> flat_;
};

}  // namespace

uint64_t LiveSet::Count() const {
  uint64_t count = 0;
  for (const uint64_t word : words_) count += __builtin_popcountll(word);
  return count;
}

absl::StatusOr<LiveSet> Mark(const GraphView& view,
                             absl::Span<const Root> roots,
                             const MarkOptions& options) {
  return Marker(view, options).Run(roots);
}

}  // namespace reclaim::gc
