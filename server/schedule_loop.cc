#include "server/schedule_loop.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace reclaim::server {
namespace {

// A schedule that was written, or a clock that was set, is seen within this.
constexpr absl::Duration kTickInterval = absl::Seconds(1);

}  // namespace

void ScheduleLoop::StartJob(std::function<void()> job) {
  base::MutexLock lock(&mutex_);
  jobs_.emplace_back();
  Job* const mine = &jobs_.back();
  mine->thread = std::thread([this, mine, job = std::move(job)] {
    job();
    base::MutexLock done(&mutex_);
    mine->is_done = true;
  });
}

void ScheduleLoop::JoinDone() {
  std::list<Job> done;
  {
    base::MutexLock lock(&mutex_);
    for (auto it = jobs_.begin(); it != jobs_.end();) {
      const auto next = std::next(it);
      if (it->is_done) done.splice(done.end(), jobs_, it);
      it = next;
    }
  }
  for (Job& job : done) job.thread.join();
}

void ScheduleLoop::Run(gc::Scheduler* scheduler) {
  std::string last;
  do {
    const absl::Status ticked = scheduler->Tick();
    // Once for each new trouble, not once a second.
    if (!ticked.ok() && last != ticked.message()) {
      say_(absl::StrCat("schedules: ", ticked.message()));
    }
    last = std::string(ticked.message());
    JoinDone();
  } while (pause_.For(kTickInterval));
}

void ScheduleLoop::Begin(gc::Scheduler* scheduler) {
  ticker_ = std::thread([this, scheduler] { Run(scheduler); });
}

void ScheduleLoop::Stop() {
  pause_.End();
  if (ticker_.joinable()) ticker_.join();
  std::list<Job> left;
  {
    base::MutexLock lock(&mutex_);
    left.swap(jobs_);
  }
  for (Job& job : left) job.thread.join();
}

}  // namespace reclaim::server
