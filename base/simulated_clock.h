// base/simulated_clock.h — a clock that stands until it is told to move.

#ifndef RECLAIM_BASE_SIMULATED_CLOCK_H_
#define RECLAIM_BASE_SIMULATED_CLOCK_H_

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace reclaim::base {

// Thread-safe.
class SimulatedClock final : public Clock {
 public:
  // 2026-01-02T03:04:05Z unless told otherwise.
  SimulatedClock() : now_(absl::FromUnixSeconds(1767323045)) {}
  explicit SimulatedClock(absl::Time now) : now_(now) {}

  absl::Time Now() const override {
    MutexLock lock(&mutex_);
    return now_;
  }
  absl::Duration Monotonic() const override {
    MutexLock lock(&mutex_);
    return elapsed_;
  }
  void Advance(absl::Duration step) {
    MutexLock lock(&mutex_);
    now_ += step;
    elapsed_ += step;
  }
  // The wall clock jumps, also back; Monotonic() doesn't notice.
  void Jump(absl::Time now) {
    MutexLock lock(&mutex_);
    now_ = now;
  }

 private:
  mutable Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
  absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_SIMULATED_CLOCK_H_
