// tests/benchmark/naive_graph.h — a graph as bare arrays: the limit and the
// oracle of the measurements on the resident graph.
//
// The limits are the fastest loops that we know how to write for the same
// question (PERFORMANCE.md 3.1, 3.3, 3.4); they know no locks, kinds, states or
// flat leases.  The oracles are other algorithms than both: sweeps over all
// edges until nothing changes, and a recount by removal.

#ifndef RECLAIM_TESTS_BENCHMARK_NAIVE_GRAPH_H_
#define RECLAIM_TESTS_BENCHMARK_NAIVE_GRAPH_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "tests/benchmark/population_rows.h"

namespace reclaim::benchmark {

class NaiveGraph final : public RowSink {
 public:
  void OnContent(const index::ContentRow& row) override;
  void OnNamed(const index::NamedRow& row) override;
  void OnMembership(const index::MembershipRow&) override {
    ++membership_count_;
  }
  // After the last row.
  void Finish();

  uint32_t node_count() const { return static_cast<uint32_t>(bytes_.size()); }
  uint64_t edge_count() const { return to_.size(); }
  uint64_t membership_count() const { return membership_count_; }
  uint64_t bytes(index::NodeId id) const { return bytes_[id]; }
  const std::vector<index::NodeId>& tags() const { return tags_; }
  // Manifests and indexes, ascending.
  const std::vector<index::NodeId>& images() const { return images_; }

  // The bare loops.
  std::vector<uint64_t> BareMark() const;  // a bit a node
  std::vector<uint64_t> BareExclusive() const;
  uint64_t BareDominators() const;  // bytes below the top

  // The oracles.  `without`: as if that node were not there.
  std::vector<bool> ReachBySweeps(index::NodeId without) const;
  // Bytes that the image reaches and no other image does.
  std::vector<uint64_t> ExclusiveOf(
      const std::vector<index::NodeId>& sample) const;
  uint64_t BytesOf(const std::vector<bool>& nodes) const;

 private:
  std::vector<index::NodeId> Closure(index::NodeId image,
                                     std::vector<uint32_t>* seen) const;

  std::vector<uint64_t> bytes_;
  std::vector<index::NodeId> tags_;
  std::vector<index::NodeId> images_;
  // Kept edges, packed: those of node i are [begin_[i], begin_[i + 1]).
  std::vector<uint32_t> begin_ = {0};
  std::vector<index::NodeId> to_;
  // From subjects to referrers; Finish() merges both.
  std::vector<std::pair<index::NodeId, index::NodeId>> referrers_;
  std::vector<uint32_t> all_begin_;
  std::vector<index::NodeId> all_to_;
  uint64_t membership_count_ = 0;
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_NAIVE_GRAPH_H_
