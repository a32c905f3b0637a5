#include "server/ticker.h"

#include <utility>

namespace reclaim::server {

Ticker::Ticker(absl::Duration interval, std::function<void()> call)
    : thread_(
          [this, interval, call = std::move(call)] { Run(interval, call); }) {}

Ticker::~Ticker() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void Ticker::Run(absl::Duration interval, const std::function<void()>& call) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopped_.wait_for(lock, absl::ToChronoMilliseconds(interval),
                            [this] { return is_stopping_; })) {
    lock.unlock();
    call();
    lock.lock();
  }
}

}  // namespace reclaim::server
