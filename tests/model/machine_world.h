// tests/model/machine_world.h — the real thing, for state_machine_test: a
// memory store that others write to, the graph over it, and the collector.
// FOR TESTS ONLY.

#ifndef RECLAIM_TESTS_MODEL_MACHINE_WORLD_H_
#define RECLAIM_TESTS_MODEL_MACHINE_WORLD_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "gc/collector.h"
#include "index/memory_engine.h"
#include "index/reference_graph.h"
#include "index/totals.h"
#include "store/memory_content.h"

namespace reclaim::tests {

// The n-th id is n: of two copies in quarantine the one comes back whose run
// has the smaller id, and the twin knows runs by their order.
class CountingRandom final : public base::RandomSource {
 public:
  uint64_t Next() override { return ++last_; }

 private:
  std::atomic<uint64_t> last_{0};
};

class MachineWorld {
 public:
  MachineWorld();

  // What a registry's clients do; then a scan sees it.
  absl::Status Push(int manifest, const std::string& tag);
  absl::Status Untag(const std::string& tag);

  absl::Status Pin(int content);
  absl::Status Unpin(int content);
  absl::Status Lease(int content, int64_t hours);
  void Advance(int64_t hours) { clock_.Advance(absl::Hours(hours)); }

  struct Pruned {
    gc::Plan plan;
    gc::Run run;
  };
  absl::StatusOr<Pruned> Prune();
  absl::StatusOr<gc::Run> Restore(size_t prune);  // the n-th that pruned
  absl::StatusOr<gc::Run> Purge(bool before_period_ends);

  absl::Status Restart();
  absl::Status LoseDatabase();
  // A database that is made anew from the store says the same.
  absl::Status Scan();

  index::NodeState StateOf(int content) const;
  bool IsLive(int content) const;
  index::StoreTotals Totals() const;
  index::StoreTotals Recounted() const;

 private:
  absl::Status Open();
  absl::Status Record(index::Operation operation);
  index::NodeId Find(int content, const index::GraphReader& reader) const;

  base::SimulatedClock clock_;
  CountingRandom random_;
  std::shared_ptr<store::MemoryContent> content_ =
      std::make_shared<store::MemoryContent>();
  std::unique_ptr<store::ContentStore> store_;
  std::unique_ptr<index::MemoryEngine> engine_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<gc::Collector> collector_;
  index::StoreId id_ = index::kNoStore;
  std::vector<std::string> prunes_;
  std::string earlier_database_;  // index::GraphOptions
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_MODEL_MACHINE_WORLD_H_
