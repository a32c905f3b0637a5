// tests/simulation/seeded_daemon.h — one life of the daemon of seeded_world.h:
// the real collector over the real graph.

#ifndef RECLAIM_TESTS_SIMULATION_SEEDED_DAEMON_H_
#define RECLAIM_TESTS_SIMULATION_SEEDED_DAEMON_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "base/status_macros.h"
#include "gc/collector.h"
#include "gc/observer.h"
#include "gc/plan.h"
#include "index/engine.h"
#include "index/reference_graph.h"
#include "store/types.h"
#include "tests/simulation/blind_graph.h"
#include "tests/simulation/model_registry.h"
#include "tests/simulation/pausing_engine.h"
#include "tests/simulation/promises.h"

namespace reclaim::simulation {

inline constexpr char kStore[] = "s";
// The longest that a client may take from his look to his name.
inline constexpr absl::Duration kWriteDurationMax = absl::Minutes(1);

// Things that the collector has moved, given back and freed.
struct Deeds {
  uint64_t moved = 0;
  uint64_t restored = 0;
  uint64_t freed = 0;
};

class SeededDaemon final : public gc::CollectorObserver {
 public:
  // Called before each step; an error ends it, and every later one.  `is_free`:
  // no lock is held there.
  using Pause =
      std::function<absl::Status(const std::string& step, bool is_free)>;
  // Nothing is owned.
  struct Site {
    index::Engine* engine = nullptr;
    Disk* disk = nullptr;
    const base::SimulatedClock* clock = nullptr;
    Deeds* deeds = nullptr;
    uint64_t seed = 0;  // of its ids
    bool has_guard = true;
    bool scans_for_proof = true;
  };

  SeededDaemon(const Site& site, const Pause& pause)
      : site_(site),
        random_(site.seed),
        engine_(
            site.engine, /*stops_at_syncs=*/true,
            [pause](const std::string& step) { return pause(step, false); }),
        store_(
            site.disk, /*has_foreign_writers=*/site.scans_for_proof,
            [pause](const std::string& step) {
              return pause(step, absl::StartsWith(step, kScanStep));
            },
            [](std::optional<Access>, const std::string&) {},
            /*tells_sizes=*/true) {}

  absl::Status Open() {
    index::GraphOptions options;
    options.grace_period = kGrace;
    RECLAIM_ASSIGN_OR_RETURN(
        graph_, index::ReferenceGraph::Open(&engine_, site_.clock, options));
    index::StoreRecord record;
    record.name = kStore;
    record.kind = store::StoreKind::kRegistry;
    record.writers = {kWriteDurationMax, index::DescriptorCache::kNone, ""};
    RECLAIM_RETURN_IF_ERROR(graph_->RegisterStore(record).status());
    blind_ = std::make_unique<BlindGraph>(graph_.get());
    RECLAIM_ASSIGN_OR_RETURN(
        collector_,
        gc::Collector::Create(site_.has_guard ? graph_.get() : blind_.get(),
                              site_.clock, &random_, this));
    return collector_->AttachStore(kStore, &store_);
  }

  void OnItemQuarantined(const std::string&, const gc::PlanItem&) override {
    ++site_.deeds->moved;
  }
  void OnItemRestored(const std::string&, const gc::PlanItem&) override {
    ++site_.deeds->restored;
  }
  void OnBytesPurged(const std::string&, const store::Bytes&) override {
    ++site_.deeds->freed;
  }

  // REQUIRES: Open() returned OK.
  index::ReferenceGraph* graph() { return graph_.get(); }
  gc::Collector* collector() { return collector_.get(); }

 private:
  const Site site_;
  base::SeededRandom random_;
  PausingEngine engine_;
  ModelRegistry store_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<BlindGraph> blind_;
  std::unique_ptr<gc::Collector> collector_;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_SEEDED_DAEMON_H_
