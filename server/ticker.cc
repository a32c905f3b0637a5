#include "server/ticker.h"

#include <utility>

#include "absl/time/clock.h"

namespace reclaim::server {

Ticker::Ticker(absl::Duration interval, std::function<void()> call)
    : thread_(
          [this, interval, call = std::move(call)] { Run(interval, call); }) {}

Ticker::~Ticker() {
  {
    base::MutexLock lock(&mutex_);
    is_stopping_ = true;
    stopped_.NotifyAll();
  }
  thread_.join();
}

bool Ticker::Wait(absl::Duration interval) {
  const absl::Time end = absl::Now() + interval;
  base::MutexLock lock(&mutex_);
  while (!is_stopping_) {
    const absl::Duration left = end - absl::Now();
    if (left <= absl::ZeroDuration()) return true;
    stopped_.WaitWithTimeout(&mutex_, left);
  }
  return false;
}

void Ticker::Run(absl::Duration interval, const std::function<void()>& call) {
  while (Wait(interval)) call();
}

}  // namespace reclaim::server
