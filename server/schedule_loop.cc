#include "server/schedule_loop.h"

#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace reclaim::server {
namespace {

// A schedule that was written, or a clock that was set, is seen within this.
constexpr std::chrono::seconds kTickInterval(1);

}  // namespace

void ScheduleLoop::StartJob(std::function<void()> job) {
  std::lock_guard<std::mutex> lock(mutex_);
  jobs_.emplace_back();
  Job* const mine = &jobs_.back();
  mine->thread = std::thread([this, mine, job = std::move(job)] {
    job();
    std::lock_guard<std::mutex> done(mutex_);
    mine->is_done = true;
  });
}

void ScheduleLoop::JoinDone() {
  std::list<Job> done;
  {
    std::lock_guard<std::mutex> lock(mutex_);
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
  std::unique_lock<std::mutex> lock(mutex_);
  while (!is_stopped_) {
    lock.unlock();
    const absl::Status ticked = scheduler->Tick();
    // Once for each new trouble, not once a second.
    if (!ticked.ok() && last != ticked.message()) {
      say_(absl::StrCat("schedules: ", ticked.message()));
    }
    last = std::string(ticked.message());
    JoinDone();
    lock.lock();
    changed_.wait_for(lock, kTickInterval, [this] { return is_stopped_; });
  }
}

void ScheduleLoop::Begin(gc::Scheduler* scheduler) {
  ticker_ = std::thread([this, scheduler] { Run(scheduler); });
}

void ScheduleLoop::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_stopped_ = true;
  }
  changed_.notify_all();
  if (ticker_.joinable()) ticker_.join();
  std::list<Job> left;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    left.swap(jobs_);
  }
  for (Job& job : left) job.thread.join();
}

}  // namespace reclaim::server
