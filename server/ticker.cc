#include "server/ticker.h"

#include <utility>

namespace reclaim::server {

bool Pause::For(absl::Duration time) {
  std::unique_lock<std::mutex> lock(mutex_);
  return !ended_.wait_for(lock, absl::ToChronoNanoseconds(time),
                          [this] { return is_ended_; });
}

void Pause::End() {
  const std::lock_guard<std::mutex> lock(mutex_);
  is_ended_ = true;
  ended_.notify_all();
}

Ticker::Ticker(absl::Duration interval, std::function<void()> call)
    : thread_(
          [this, interval, call = std::move(call)] { Run(interval, call); }) {}

Ticker::~Ticker() {
  pause_.End();
  thread_.join();
}

void Ticker::Run(absl::Duration interval, const std::function<void()>& call) {
  while (pause_.For(interval)) call();
}

}  // namespace reclaim::server
