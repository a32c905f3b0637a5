// tests/simulation/protocol_world.h — two writers, one daemon and a crash, step
// by step.
//
// The daemon is the real collector over the real graph, on an engine in memory
// and a registry's disk that is a value (model_registry.h).  It stops before
// each change of the disk, each section of a scan, each commit and each batch;
// then whoever is chosen goes on.  Before its time has come, old content lies
// in the store that nothing references: what the writers want.

#ifndef RECLAIM_TESTS_SIMULATION_PROTOCOL_WORLD_H_
#define RECLAIM_TESTS_SIMULATION_PROTOCOL_WORLD_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "gc/collector.h"
#include "index/memory_engine.h"
#include "index/reference_graph.h"
#include "tests/simulation/baton.h"
#include "tests/simulation/model_registry.h"
#include "tests/simulation/writers.h"

namespace reclaim::simulation {

struct Scenario {
  std::array<WriterKind, 2> writers = {WriterKind::kPuts, WriterKind::kPuts};
  // Registries; else an orchestrator that records over the API.
  bool has_foreign_writers = true;
  bool may_crash = true;
  RegistryTerms registry;
  // What the operator says of the registry's descriptor cache.
  index::DescriptorCache told_cache = index::DescriptorCache::kNone;

  // What can be taken out, to see that the exploration would notice.
  bool scans_for_proof = true;
  absl::Duration write_duration_max = absl::Minutes(1);
  bool has_guard = true;
};

// Who goes next.
enum class Actor : uint8_t { kDaemon, kFirstWriter, kSecondWriter, kCrash };
const char* ToString(Actor actor);

class World {
 public:
  explicit World(const Scenario& scenario);
  // Ends whatever still runs.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Who may go next; empty at the end.
  std::vector<Actor> Enabled() const;
  void Step(Actor actor);

  // Two worlds with equal keys go on alike.
  uint64_t Key() const;
  // The key after a step that is not taken; nullopt where only the step tells
  // (the daemon's, and calls of it).
  std::optional<uint64_t> KeyAfter(Actor actor);
  // Which writers have a step left that is not the same before and after the
  // daemon's last one; and who has one that is not the same before and after
  // the next step of such a writer.  The others may wait.
  std::array<bool, 2> WritersThatMind() const;
  // At the end: what is missing of what a writer was promised; "" if nothing.
  std::string FindLoss();
  const Writer& writer(int number) const { return *writers_[number]; }
  // What the daemon does next; "" when it has ended.
  std::string next_step() const {
    return baton_->has_ended() ? "" : paused_at_;
  }
  bool has_crashed() const { return instance_ > 1; }
  uint64_t restored_count() const { return restored_count_; }

 private:
  // One life of the daemon.
  class Daemon;

  absl::Status Pause(const std::string& step);
  void Observe(const std::string& answer);
  void StepWriter(size_t number);
  void Crash();
  struct Life {
    uint64_t observed;
    int instance;
    uint64_t step_count;
    bool has_ended;
    std::string paused_at;
  };
  uint64_t KeyOf(const Life& life) const;
  // All that a daemon which starts now knows.
  uint64_t DurableState() const;
  void StartDaemon();
  void RunDaemon();
  void RunRecovered();
  void Collect();
  void PurgeAll();
  bool IsFree() const;

  const Scenario scenario_;
  base::SimulatedClock clock_;
  Disk disk_;
  index::MemoryEngine engine_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<Baton> baton_;
  int instance_ = 0;
  bool is_armed_ = false;  // pauses count
  bool is_dead_ = false;   // this life of the daemon has been ended
  std::string paused_at_;
  uint64_t daemon_step_count_ = 0;
  // What this life of the daemon has learned, and what it began with.
  uint64_t observed_ = 0;
  // Of its last step.
  std::vector<Access> accesses_;
  bool has_moved_time_ = false;
  uint64_t restored_count_ = 0;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_PROTOCOL_WORLD_H_
