#include "store/event_stream.h"

#include <chrono>

#include "absl/strings/str_cat.h"

namespace reclaim::store {
namespace {

constexpr std::chrono::milliseconds kReconnectPause(500);

}  // namespace

EventStream::~EventStream() {
  Interrupt();
  if (thread_.joinable()) thread_.join();
}

void EventStream::Interrupt() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_over_ = true;
    turned_.notify_all();
  }
  reader_->Cancel();
}

void EventStream::NoteChange() {
  std::lock_guard<std::mutex> lock(mutex_);
  lost_ = absl::OkStatus();
  has_changed_ = true;
  turned_.notify_all();
}

void EventStream::Run() {
  while (true) {
    // A stream that a dead socket opens ends at once: ask first.
    absl::Status status = reader_->Ping();
    if (status.ok()) {
      {
        // An engine does not say when it has begun to listen: whoever waits
        // looks now, and once more when nothing more has come.
        std::lock_guard<std::mutex> lock(mutex_);
        lost_ = absl::OkStatus();
        has_changed_ = true;
        looks_again_ = true;
        turned_.notify_all();
      }
      status = reader_->Follow([this] { NoteChange(); });
    }
    std::unique_lock<std::mutex> lock(mutex_);
    lost_ = absl::UnavailableError(absl::StrCat(
        "its event stream is lost and is tried again: ", status.message()));
    if (turned_.wait_for(lock, kReconnectPause, [this] { return is_over_; })) {
      return;
    }
  }
}

absl::Status EventStream::AwaitChange(absl::Duration patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!is_following_ && !is_over_) {
    is_following_ = true;
    thread_ = std::thread([this] { Run(); });
  }
  turned_.wait_for(lock, absl::ToChronoMilliseconds(patience),
                   [this] { return is_over_ || (has_changed_ && lost_.ok()); });
  if (is_over_) return absl::CancelledError("the store is being closed");
  if (!lost_.ok()) return lost_;
  if (!has_changed_ && !looks_again_) {
    return absl::DeadlineExceededError("nothing has changed");
  }
  if (!has_changed_) looks_again_ = false;
  has_changed_ = false;
  return absl::OkStatus();
}

}  // namespace reclaim::store
