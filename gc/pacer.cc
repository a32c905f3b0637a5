#include "gc/pacer.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace reclaim::gc {
namespace {

constexpr absl::Duration kSlice = absl::Milliseconds(100);
constexpr absl::Duration kDelayMax = absl::Hours(1);

}  // namespace

absl::Duration PaceDelay(uint64_t bytes_per_second, uint64_t bytes,
                         absl::Duration took) {
  if (bytes_per_second == 0) return absl::ZeroDuration();
  const absl::Duration wanted = absl::Seconds(
      static_cast<double>(bytes) / static_cast<double>(bytes_per_second));
  return std::min(std::max(wanted - took, absl::ZeroDuration()), kDelayMax);
}

void KeepPace(absl::Duration delay, absl::FunctionRef<bool()> is_cancelled) {
  while (delay > absl::ZeroDuration() && !is_cancelled()) {
    const absl::Duration slice = std::min(delay, kSlice);
    absl::SleepFor(slice);
    delay -= slice;
  }
}

}  // namespace reclaim::gc
