// base/clock.h — the time, injected.
//
// Everything that depends on time takes a Clock, so that tests decide it.
// Thread-safe.

#ifndef RECLAIM_BASE_CLOCK_H_
#define RECLAIM_BASE_CLOCK_H_

#include "absl/time/time.h"

namespace reclaim::base {

class Clock {
 public:
  virtual ~Clock() = default;
  // The wall clock: may jump.
  virtual absl::Time Now() const = 0;
  // Time since some fixed instant: never goes back.  For measuring.
  virtual absl::Duration Monotonic() const = 0;
};

// The machine's clock.  Lives for ever.
const Clock* SystemClock();

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_CLOCK_H_
