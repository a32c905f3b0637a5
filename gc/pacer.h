// gc/pacer.h — a budget of bytes a second for sweeps.

#ifndef RECLAIM_GC_PACER_H_
#define RECLAIM_GC_PACER_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace reclaim::gc {

// How long to wait after `bytes` were moved in `took`, so that no more than
// `bytes_per_second` are moved; 0 is no limit.  At most an hour.  Pure.
absl::Duration PaceDelay(uint64_t bytes_per_second, uint64_t bytes,
                         absl::Duration took);

// Waits so long, in slices of a tenth of a second; ends early when cancelled.
void KeepPace(absl::Duration delay, absl::FunctionRef<bool()> is_cancelled);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PACER_H_
