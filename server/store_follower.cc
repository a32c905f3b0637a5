#include "server/store_follower.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace reclaim::server {
namespace {

// How long one wait for an event lasts; nothing depends on it but how soon a
// lost engine is spoken of.
constexpr absl::Duration kPatience = absl::Seconds(5);
// Between two syncs, so that a busy engine does not take more than half of a
// thread.
constexpr absl::Duration kPauseMin = absl::Milliseconds(50);
constexpr absl::Duration kPauseMax = absl::Seconds(10);
// After a sync that could not be; each failure in a row doubles it.
constexpr absl::Duration kRetryPause = absl::Milliseconds(300);

}  // namespace

void StoreFollower::Follow(const std::string& name,
                           store::ContentStore* content) {
  store::ChangeSource* changes = content->changes();
  if (changes == nullptr) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_stopping_) return;
  if (std::find(sources_.begin(), sources_.end(), changes) != sources_.end()) {
    return;
  }
  sources_.push_back(changes);
  threads_.emplace_back([this, name, changes] { Run(name, changes); });
}

void StoreFollower::Stop() {
  std::vector<std::thread> threads;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
    for (store::ChangeSource* source : sources_) source->Interrupt();
    threads.swap(threads_);
    stopped_.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
}

bool StoreFollower::Pause(absl::Duration duration) {
  std::unique_lock<std::mutex> lock(mutex_);
  return !stopped_.wait_for(lock, absl::ToChronoMilliseconds(duration),
                            [this] { return is_stopping_; });
}

bool StoreFollower::SyncOnce(const std::string& name, bool* needs_recovery,
                             std::string* last_problem) {
  const auto is_stopping = [this] {
    std::lock_guard<std::mutex> lock(mutex_);
    return is_stopping_;
  };
  absl::Duration pause = kRetryPause;
  while (true) {
    // What a crash left, or a database that is new to the engine's quarantine,
    // is settled before anything is read.
    absl::Status status =
        *needs_recovery ? collector_->RecoverStore(name) : absl::OkStatus();
    // What lies in the way of something leaves no work undone (gc::Recovery).
    if (absl::IsAlreadyExists(status)) {
      say_(absl::StrCat("store ", name, ": ", status.message()));
      status = absl::OkStatus();
    }
    if (status.ok()) *needs_recovery = false;
    if (status.ok()) status = collector_->Sync(name, is_stopping);
    if (status.ok()) {
      if (!last_problem->empty()) {
        say_(absl::StrCat("store ", name, ": it is back and in step"));
      }
      last_problem->clear();
      return true;
    }
    if (absl::IsNotFound(status) || absl::IsCancelled(status)) return false;
    // A run at work is no problem: the sync waits for its end.
    const std::string problem(status.message());
    if (!absl::IsAborted(status) && problem != *last_problem) {
      say_(absl::StrCat("store ", name, ": ", problem));
      *last_problem = problem;
    }
    if (!Pause(pause)) return false;
    if (!absl::IsAborted(status)) pause = std::min(pause * 2, kPauseMax);
  }
}

void StoreFollower::Run(const std::string& name, store::ChangeSource* changes) {
  std::string last_problem;
  bool needs_recovery = true;
  while (true) {
    const absl::Status status = changes->AwaitChange(kPatience);
    if (absl::IsCancelled(status)) return;
    if (absl::IsDeadlineExceeded(status)) continue;
    if (!status.ok()) {
      const std::string problem(status.message());
      if (problem != last_problem) {
        say_(absl::StrCat("store ", name, ": ", problem));
      }
      last_problem = problem;
      needs_recovery = true;
      continue;
    }
    const absl::Duration begin = clock_->Monotonic();
    if (!SyncOnce(name, &needs_recovery, &last_problem)) return;
    const absl::Duration took = clock_->Monotonic() - begin;
    if (!Pause(std::clamp(took, kPauseMin, kPauseMax))) return;
  }
}

}  // namespace reclaim::server
