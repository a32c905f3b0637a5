// tests/support/held_reads.h — how many digests a reader of the graph reads
// before it lets writers in (I10): each may have to come from a file.

#ifndef RECLAIM_TESTS_SUPPORT_HELD_READS_H_
#define RECLAIM_TESTS_SUPPORT_HELD_READS_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "tests/support/forwarding_graph.h"
#include "tests/support/forwarding_view.h"

namespace reclaim::tests {

// What a reader of a hundred thousand may read between two pauses.
inline constexpr uint64_t kHeldReadsMax = 4096;

struct HeldReads {
  uint64_t count = 0;    // in all
  uint64_t longest = 0;  // without a pause
  uint64_t since_pause = 0;
};

class HeldReadsView final : public ForwardingView {
 public:
  // Not owned.
  HeldReadsView(const index::GraphView* view, HeldReads* reads)
      : ForwardingView(view), reads_(*reads) {
    reads_.since_pause = 0;
  }

  oci::Digest digest(index::NodeId id) const override {
    ++reads_.count;
    reads_.longest = std::max(reads_.longest, ++reads_.since_pause);
    return ForwardingView::digest(id);
  }
  void Yield() const override {
    reads_.since_pause = 0;
    ForwardingView::Yield();
  }

 private:
  HeldReads& reads_;
};

class HeldReadsReader final : public ForwardingReader {
 public:
  HeldReadsReader(std::unique_ptr<index::GraphReader> reader, HeldReads* reads)
      : ForwardingReader(reader.get()),
        reader_(std::move(reader)),
        view_(&reader_->view(), reads) {}
  const index::GraphView& view() const override { return view_; }

 private:
  const std::unique_ptr<index::GraphReader> reader_;
  const HeldReadsView view_;
};

// One thread reads it at a time.
class HeldReadsGraph final : public ForwardingGraph {
 public:
  // Not owned.
  HeldReadsGraph(index::ReferenceGraph* graph, HeldReads* reads)
      : ForwardingGraph(graph), reads_(reads) {}

  std::unique_ptr<index::GraphReader> Read() const override {
    return std::make_unique<HeldReadsReader>(ForwardingGraph::Read(), reads_);
  }

 private:
  HeldReads* const reads_;
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_HELD_READS_H_
