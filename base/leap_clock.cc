#include "base/leap_clock.h"

#include <algorithm>
#include <utility>

namespace reclaim::base {
namespace {

// A thread may be put to sleep between the two clocks.
constexpr absl::Duration kAtOnce = absl::Milliseconds(10);
constexpr int kReadingMax = 8;

bool AreOne(absl::Time one, absl::Time other) {
  return absl::AbsDuration(one - other) <= LeapClock::kSlack;
}

}  // namespace

LeapClock::LeapClock(const Clock* wall, std::function<absl::Duration()> boot)
    : wall_(wall), boot_(std::move(boot)) {}

// The wall is read before the time since boot: an origin is never too high.
LeapClock::Reading LeapClock::Read() const {
  Reading reading;
  for (int i = 0; i < kReadingMax; ++i) {
    const absl::Duration begin = boot_();
    reading.wall = wall_->Now();
    reading.boot = boot_();
    if (reading.boot - begin <= kAtOnce) break;
  }
  return reading;
}

LeapState LeapClock::AfterBoot(const LeapState& earlier,
                               const Reading& reading) {
  // As if the machine had not been off at all.
  const absl::Time least = earlier.origin + earlier.boot;
  const absl::Duration off = reading.origin() - least;
  const bool was_held =
      earlier.doubt && earlier.doubt->highest > earlier.origin + kNotable;
  LeapState state;
  state.origin = least;
  // What was a leap before is one still; and nobody is off for so long.
  if (was_held || off > kTimeOffMax) return state;
  if (off > kSettling) {
    state.origin = reading.origin();
  } else {
    state.origin = std::max(least, reading.origin());
    state.settles_until = least + kTimeOffMax;
  }
  return state;
}

void LeapClock::Begin(const std::string& boot_id,
                      const std::optional<LeapState>& earlier) {
  MutexLock lock(&mutex_);
  const Reading reading = Read();
  LeapState state;
  if (!earlier) {
    // There is nothing yet whose term could end.
    state.origin = reading.origin();
    state.settles_until = absl::InfiniteFuture();
  } else if (earlier->boot_id == boot_id && earlier->boot <= reading.boot) {
    state = *earlier;
  } else {
    state = AfterBoot(*earlier, reading);
  }
  state.boot_id = boot_id;
  Consider(reading, &state);
  state_ = std::move(state);
}

void LeapClock::Consider(const Reading& reading, LeapState* state) {
  const absl::Time origin = reading.origin();
  state->boot = reading.boot;
  if (reading.boot < kSettling && origin > state->origin + kSlack &&
      origin <= state->settles_until) {
    state->origin = origin;
    state->settles_until = absl::InfinitePast();
  }
  if (AreOne(origin, state->origin)) {
    state->doubt.reset();
    return;
  }
  // Origins on both sides of it would agree on nothing else.
  const bool is_ahead = origin > state->origin;
  if (!state->doubt || (state->doubt->lowest > state->origin) != is_ahead) {
    state->doubt = LeapDoubt{reading.boot, origin, origin};
  }
  LeapDoubt& doubt = *state->doubt;
  doubt.lowest = std::min(doubt.lowest, origin);
  doubt.highest = std::max(doubt.highest, origin);
  if (reading.boot - doubt.since < kHold) return;
  state->origin = std::clamp(state->origin, doubt.lowest, doubt.highest);
  state->doubt.reset();
  if (AreOne(origin, state->origin)) return;
  state->doubt = LeapDoubt{reading.boot, origin, origin};
}

LeapClock::Seen LeapClock::Look() const {
  MutexLock lock(&mutex_);
  const Reading reading = Read();
  if (!state_) return {reading.wall, reading.wall, reading.wall};
  Consider(reading, &*state_);
  const absl::Time believed = state_->origin + reading.boot;
  Seen seen;
  seen.wall = reading.wall;
  seen.now = std::min(reading.wall, believed + kSlack);
  seen.latest =
      std::min(std::max(reading.wall, believed), seen.now + kTimeOffMax);
  return seen;
}

absl::Duration LeapClock::HeldBack() const {
  const Seen seen = Look();
  return seen.wall - seen.now;
}

LeapState LeapClock::State() const {
  Look();
  MutexLock lock(&mutex_);
  return state_.value_or(LeapState());
}

}  // namespace reclaim::base
