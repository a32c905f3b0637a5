#include "rpc/run_board.h"

#include <utility>

#include "absl/time/time.h"

namespace reclaim::rpc {

absl::StatusOr<gc::Run> RunBoard::Start(Work work) {
  std::unique_lock<std::mutex> lock(mutex_);
  JoinEnded(&lock);
  if (is_shut_) {
    return absl::UnavailableError("the daemon is stopping; retry later");
  }
  const auto job = std::make_shared<Job>();
  jobs_.push_back(job);
  job->thread = std::thread(
      [this, job = job.get(), work = std::move(work)] { Execute(job, work); });
  while (!job->has_ended && job->first_run.empty()) changed_.wait(lock);
  if (job->has_ended) return job->outcome;
  return runs_.at(job->first_run).run;
}

void RunBoard::Execute(Job* job, const Work& work) {
  gc::RunControl control;
  control.is_cancelled = [this, job] {
    std::unique_lock<std::mutex> lock(mutex_);
    return job->is_cancelled;
  };
  control.on_progress = [this, job](const gc::Run& run) { Note(job, run); };
  absl::StatusOr<gc::Run> outcome = work(control);
  std::unique_lock<std::mutex> lock(mutex_);
  job->outcome = std::move(outcome);
  job->has_ended = true;
  for (auto& [id, owner] : job_of_) {
    if (owner == job) runs_[id].has_ended = true;
  }
  if (job->outcome.ok() && !job->first_run.empty()) {
    Snapshot& first = runs_[job->first_run];
    first.run = *job->outcome;
    ++first.version;
  }
  changed_.notify_all();
}

void RunBoard::Note(Job* job, const gc::Run& run) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (job->first_run.empty()) job->first_run = run.id;
  job_of_[run.id] = job;
  Snapshot& snapshot = runs_[run.id];
  snapshot.run = run;
  ++snapshot.version;
  changed_.notify_all();
}

// Drops what has ended: from now on its record answers.
void RunBoard::JoinEnded(std::unique_lock<std::mutex>* lock) {
  std::vector<std::shared_ptr<Job>> ended;
  for (auto it = jobs_.begin(); it != jobs_.end();) {
    if (!(*it)->has_ended) {
      ++it;
      continue;
    }
    for (auto run = job_of_.begin(); run != job_of_.end();) {
      if (run->second == it->get()) {
        runs_.erase(run->first);
        run = job_of_.erase(run);
      } else {
        ++run;
      }
    }
    ended.push_back(std::move(*it));
    it = jobs_.erase(it);
  }
  lock->unlock();
  for (const auto& job : ended) job->thread.join();
  lock->lock();
}

std::optional<RunBoard::Snapshot> RunBoard::FindLocked(
    const std::string& id) const {
  const auto it = runs_.find(id);
  if (it == runs_.end()) return std::nullopt;
  return it->second;
}

std::optional<RunBoard::Snapshot> RunBoard::Find(const std::string& id) const {
  std::unique_lock<std::mutex> lock(mutex_);
  return FindLocked(id);
}

std::optional<RunBoard::Snapshot> RunBoard::WaitForChange(
    const std::string& id, uint64_t version, absl::Duration wait) const {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(wait), [&] {
    const auto it = runs_.find(id);
    return it == runs_.end() || it->second.has_ended ||
           it->second.version > version;
  });
  return FindLocked(id);
}

bool RunBoard::Cancel(const std::string& id) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto it = job_of_.find(id);
  if (it == job_of_.end() || it->second->has_ended) return false;
  it->second->is_cancelled = true;
  return true;
}

bool RunBoard::HaveAllEnded() const {
  for (const auto& job : jobs_) {
    if (!job->has_ended) return false;
  }
  return true;
}

void RunBoard::Shutdown() {
  std::unique_lock<std::mutex> lock(mutex_);
  is_shut_ = true;
  for (const auto& job : jobs_) job->is_cancelled = true;
  while (!HaveAllEnded()) changed_.wait(lock);
  JoinEnded(&lock);
}

}  // namespace reclaim::rpc
