// rpc/run_board.h — runs that go on after the call that began them.
//
// Each run has a thread of its own and is watched and cancelled by its id.  A
// run's durable record is the collector's; the board holds the newest progress
// of those that run now, and of those that ended in this daemon's life until
// Find() is answered by the record.
//
// Thread-safe.

#ifndef RECLAIM_RPC_RUN_BOARD_H_
#define RECLAIM_RPC_RUN_BOARD_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gc/collector.h"
#include "gc/run.h"

namespace reclaim::rpc {

class RunBoard {
 public:
  // Does the run on the calling thread and reports to the control.
  using Work = std::function<absl::StatusOr<gc::Run>(const gc::RunControl&)>;

  struct Snapshot {
    gc::Run run;
    uint64_t version = 0;  // grows with each change
    bool has_ended = false;
  };

  RunBoard() = default;
  ~RunBoard() { Shutdown(); }
  RunBoard(const RunBoard&) = delete;
  RunBoard& operator=(const RunBoard&) = delete;

  // Starts `work`; returns the run once it has begun (or has ended), or the
  // error with which it did not begin.  UNAVAILABLE after Shutdown().
  absl::StatusOr<gc::Run> Start(Work work);

  // Unset unless the run goes on (or ended a moment ago) on this board.
  std::optional<Snapshot> Find(const std::string& id) const;
  // Waits until the run is newer than `version` or has ended, at most `wait`;
  // then what Find() gives.
  std::optional<Snapshot> WaitForChange(const std::string& id, uint64_t version,
                                        absl::Duration wait) const;
  // Asks the run to stop; false if it does not run here.
  bool Cancel(const std::string& id);

  // Cancels all runs and waits for them; no run starts afterwards.
  void Shutdown();

 private:
  // One call of Start(): its first run and those that it began inside.
  struct Job {
    std::thread thread;
    bool is_cancelled = false;
    bool has_ended = false;
    std::string first_run;
    absl::StatusOr<gc::Run> outcome = gc::Run();
  };

  void Execute(Job* job, const Work& work);
  void Note(Job* job, const gc::Run& run);
  // These with the lock, which the first gives back while it joins.
  void JoinEnded(std::unique_lock<std::mutex>* lock);
  bool HaveAllEnded() const;
  std::optional<Snapshot> FindLocked(const std::string& id) const;

  // Of the standard library, whose waits go by the steady clock: those of
  // base/mutex.h end when the wall clock says so, which may be set back.
  mutable std::mutex mutex_;  // guards what follows
  mutable std::condition_variable changed_;
  bool is_shut_ = false;
  // Shared, for a starter may still look at a job that has been dropped.
  std::vector<std::shared_ptr<Job>> jobs_;
  std::map<std::string, Snapshot> runs_;
  std::map<std::string, Job*> job_of_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_RUN_BOARD_H_
