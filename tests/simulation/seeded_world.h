// tests/simulation/seeded_world.h — a history of a small registry and its
// daemon, drawn from a seed.
//
// One thread.  The daemon is the real collector over the real graph, on an
// engine that loses what was not synced, a registry's disk that is a value
// (model_registry.h), and a simulated clock.  What it is at (a scan, a
// collection, an old plan, a restore, a purge, two of these at once, or the
// recovery after a crash) are jobs with stacks of their own (baton.h), which
// stop before each change of the disk, each section of a scan, each commit and
// each sync, and after each batch.  Then whoever is drawn goes on: a job, one
// of three clients of the registry (clients.h), a caller of the daemon (leases,
// pins, questions, cancelling), the clock, or a crash, of the daemon or of the
// machine.  After each step stands what was promised (promises.h), the counters
// are a recount, and what the graph says to be here is here.  In the end
// everything comes to its end, and two quiet collections leave nothing that
// nobody keeps.
//
// Beside explorer.h more happens, and not in every order.  Left out is, as
// there, what lies between steps; and no plan takes tags, no upload is left,
// and a power cut takes nothing from the store.

#ifndef RECLAIM_TESTS_SIMULATION_SEEDED_WORLD_H_
#define RECLAIM_TESTS_SIMULATION_SEEDED_WORLD_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "gc/collector.h"
#include "index/mutation.h"
#include "index/testing/lossy_engine.h"
#include "tests/simulation/baton.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/model_registry.h"
#include "tests/simulation/promises.h"
#include "tests/simulation/seeded_daemon.h"

namespace reclaim::simulation {

struct SeedOptions {
  uint64_t seed = 0;
  bool is_traced = false;
  // What can be taken out, to see that it would be noticed.
  bool has_guard = true;
  bool scans_for_proof = true;
};

// What has happened.
struct SeedCounts {
  uint64_t daemon_steps = 0;
  uint64_t crashes = 0;
  uint64_t power_cuts = 0;  // of these
  uint64_t calls = 0;
  uint64_t recounts = 0;
  uint64_t accepted = 0;  // tags of clients
  uint64_t refused = 0;   // requests of clients
  Deeds deeds;

  SeedCounts& operator+=(const SeedCounts& other);
};
std::string ToString(const SeedCounts& counts);

struct SeedEnd {
  std::string failure;  // "" if everything holds
  SeedCounts counts;
  std::vector<std::string> trace;  // who went when
};

class SeededWorld {
 public:
  explicit SeededWorld(const SeedOptions& options);
  // Ends whatever still runs.
  ~SeededWorld();
  SeededWorld(const SeededWorld&) = delete;
  SeededWorld& operator=(const SeededWorld&) = delete;

  SeedEnd Run();

 private:
  // Something that it is at.
  struct Job {
    std::string name;
    std::unique_ptr<Baton> baton;
    std::string paused_at;
    // Holds no lock there, so that others may call or go on.
    bool is_free = true;
    bool is_cancelled = false;
  };
  using JobBody = void (SeededWorld::*)(Job*);
  struct Lease {
    int content = 0;
    absl::Time until;
  };

  size_t Below(size_t end) { return simulation::Below(&random_, end); }
  size_t Some(size_t most);  // 1 to `most`
  int AnyContent();
  void PutOld(const std::string& repository, int manifest);
  void PutOldContent();
  template <typename... Parts>
  void Trace(const Parts&... parts) {
    if (options_.is_traced) trace_.push_back(absl::StrCat(parts...));
  }
  void Fail(const std::string& what);
  // Whether a call was done; another error than an answer is a failure.
  bool Note(absl::string_view what, const absl::Status& status);

  // The lives of the daemon.
  void StartDaemon();
  void Crash();
  absl::Status Pause(const std::string& step, bool is_free);

  // One that may go on; nullptr if there is none.
  Job* NextJob();
  bool Resume(Job* job);  // false: it has ended, and is gone
  void Start(const char* name, JobBody body);
  void EndJobs();
  bool IsFree() const;
  gc::RunControl ControlOf(Job* job);

  // Bodies of jobs, and what they do.
  void DoScan(Job* job);
  void DoCollect(Job* job);
  void DoPlan(Job* job);
  void DoApply(Job* job);
  void DoRestore(Job* job);
  void DoPurge(Job* job);
  void DoRecover(Job* job);
  bool ScanNow(const gc::RunControl& control);
  std::string PlanNow(const gc::RunControl& control);  // "" if there is none
  bool ApplyNow(const std::string& plan, const gc::RunControl& control);
  bool PurgeNow(bool before_period_ends, const gc::RunControl& control);

  // What may be drawn; false if it can't be now.
  void Step();
  bool ResumeJob();
  bool BeginJob();
  void StepClient();
  bool CallDaemon();
  bool PassTime();
  bool MayPass(absl::Duration step) const;

  // Calls of the daemon, between its steps.
  bool Record(absl::string_view what, index::Operation operation);
  bool ReadHeld(int content);
  void TakeLease();
  void RenewLease();
  void EndLease();
  void TakePin();
  void EndPin();
  void Ask();
  void CancelJob();

  void Settle();
  void CollectQuietly();
  bool IsQuarantined(int content) const;
  void CheckDisk();
  void CheckAll();
  void CheckGraph();
  void CheckAcknowledged();
  void CheckEnd();

  const SeedOptions options_;
  base::SeededRandom random_;
  base::SimulatedClock clock_;
  Disk disk_;
  std::unique_ptr<index::LossyEngine> engine_ =
      std::make_unique<index::LossyEngine>();
  Promises promises_{&disk_,
                     [this](int content) { return IsQuarantined(content); }};
  std::vector<int> wanted_;
  std::vector<std::unique_ptr<Client>> clients_;
  uint64_t life_ = 0;
  std::unique_ptr<SeededDaemon> daemon_;
  std::vector<std::unique_ptr<Job>> jobs_;
  Job* running_ = nullptr;
  bool is_dead_ = false;        // this life of the daemon has been ended
  bool is_recovering_ = false;  // it serves nobody yet
  size_t crashes_left_ = 0;

  // What has been acknowledged, and may be asked for.
  std::vector<std::string> plans_;
  std::vector<std::string> applied_;  // runs
  std::map<std::string, Lease> leases_;
  std::map<std::string, int> pins_;
  std::set<std::string> ended_;  // pins and leases that their holders ended
  uint64_t name_count_ = 0;

  // When the counters were last compared.
  std::pair<uint64_t, absl::Time> counted_ = {0, absl::InfinitePast()};
  std::string failure_;
  SeedCounts counts_;
  std::vector<std::string> trace_;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_SEEDED_WORLD_H_
