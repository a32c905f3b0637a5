// tests/support/random_graph.h — a graph of a few dozen nodes with everything
// in it, from a seed: images, indexes, referrers, tags, containers, pins,
// leases, uploads, links, absent, quarantined and opaque content, hard links.

#ifndef RECLAIM_TESTS_SUPPORT_RANDOM_GRAPH_H_
#define RECLAIM_TESTS_SUPPORT_RANDOM_GRAPH_H_

#include <cstdint>
#include <random>
#include <string>

#include "absl/time/time.h"
#include "tests/support/graph_text.h"

namespace reclaim::tests {

class RandomGraph {
 public:
  // Some of it is younger than `grace_period`, or exactly as old.
  RandomGraph(uint64_t seed, absl::Duration grace_period,
              index::DoubtUnit unit = index::DoubtUnit::kPlace);

  TextGraph& graph() { return g_; }

 private:
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  void Add(const std::string& text) { g_.Add(text); }
  std::string Image();
  std::string Part();
  void AddManifest(uint32_t i);
  void AddIndex(uint32_t i);
  void AddTag();
  void AddRecords();
  void AddLink();
  void ChangeState();
  void AddExtent(uint32_t i);

  std::mt19937_64 random_;
  absl::Duration grace_;
  TextGraph g_{""};
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_RANDOM_GRAPH_H_
