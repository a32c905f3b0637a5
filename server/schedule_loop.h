// server/schedule_loop.h — the threads of the scheduler.
//
// One thread ticks it; each run that it starts has a thread of its own, so that
// a long one holds up no other.

#ifndef RECLAIM_SERVER_SCHEDULE_LOOP_H_
#define RECLAIM_SERVER_SCHEDULE_LOOP_H_

#include <functional>
#include <list>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "gc/scheduler.h"
#include "server/ticker.h"

namespace reclaim::server {

class ScheduleLoop {
 public:
  // `say` takes lines for the log; called from the loop's thread.
  explicit ScheduleLoop(std::function<void(absl::string_view)> say)
      : say_(std::move(say)) {}
  ~ScheduleLoop() { Stop(); }
  ScheduleLoop(const ScheduleLoop&) = delete;
  ScheduleLoop& operator=(const ScheduleLoop&) = delete;

  // The scheduler's starter: the job on a thread.
  void StartJob(std::function<void()> job);
  // Ticks until Stop(); not owned, outlives the loop.
  void Begin(gc::Scheduler* scheduler);
  // Waits for the jobs as well: whoever calls has told them to end.
  // Idempotent.
  void Stop();

 private:
  struct Job {
    std::thread thread;
    bool is_done = false;
  };
  void Run(gc::Scheduler* scheduler);
  void JoinDone();

  std::function<void(absl::string_view)> say_;
  std::thread ticker_;
  Pause pause_;  // between two ticks
  base::Mutex mutex_;
  std::list<Job> jobs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_SCHEDULE_LOOP_H_
