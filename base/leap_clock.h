// base/leap_clock.h — the wall clock, held against the time since boot.
//
// Every term ends at once when the wall clock is set forward: leases, grace,
// quarantine.  So it is believed only as far as the time since boot allows,
// which nobody sets and which counts on through suspend.  What matters is the
// wall's *origin*: what it would have shown when the machine booted, the wall
// minus the time since boot.  It stands still unless somebody sets the clock.
//
//   Now()    the earlier of the wall and what is believed: terms end by it
//   latest() the later of the two: terms may begin at it
//
// One origin is believed.  Another one is taken on once it has stood for a day:
// what is believed moves as far as all origins of that day agree.  So a leap
// forward is held back for a day, one that goes back meanwhile is forgotten,
// and a clock that is set again and again is followed a day late.  A wall that
// goes back is followed by Now() at once.
//
// docs/decisions/0013-leaps.md has the argument.

#ifndef RECLAIM_BASE_LEAP_CLOCK_H_
#define RECLAIM_BASE_LEAP_CLOCK_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace reclaim::base {

// Origins that are not the one that is believed.
struct LeapDoubt {
  absl::Duration since;  // after boot; since then one of these was seen
  absl::Time lowest;
  absl::Time highest;
};

// What a LeapClock must know again after a restart.
struct LeapState {
  std::string boot_id;  // "" where nobody knows
  absl::Duration boot;  // the time since boot of the last look
  absl::Time origin;    // that is believed
  // Up to here the origin may still be set once, soon after boot: that is how a
  // machine without a clock of its own learns how long it was off.
  absl::Time settles_until = absl::InfinitePast();
  std::optional<LeapDoubt> doubt;
};

// Thread-safe.
class LeapClock final : public Clock {
 public:
  // How long another origin has to stand.
  static constexpr absl::Duration kHold = absl::Hours(24);
  // Origins that are so near to each other are one.
  static constexpr absl::Duration kSlack = absl::Seconds(1);
  // A leap that is worth words, and that outlives a restart of the machine.
  static constexpr absl::Duration kNotable = absl::Minutes(1);
  // A machine may have been off for so long, and nobody asks.
  static constexpr absl::Duration kTimeOffMax = absl::Hours(30 * 24);
  // A machine whose wall shows that it was off for less than this may not have
  // been told the time yet; it is, within so much time since boot.
  static constexpr absl::Duration kSettling = absl::Minutes(15);

  // `boot` is the time since boot, suspend included.  `wall` is not owned.
  LeapClock(const Clock* wall, std::function<absl::Duration()> boot);

  // From now on the wall is not believed at once; until then it is.  `earlier`
  // is what State() said before a restart; unset if nobody knows.  Once.
  void Begin(const std::string& boot_id,
             const std::optional<LeapState>& earlier);

  absl::Time Now() const override { return Look().now; }
  absl::Duration Monotonic() const override { return wall_->Monotonic(); }

  // A clock that is never behind this one: ahead of it, by no more than
  // kTimeOffMax, while what the wall shows is not believed.  What is given a
  // term now and begins at latest()->Now() loses nothing of it to a leap that
  // is taken on later.  Lives as long as this.
  const Clock* latest() const { return &latest_; }

  // By how much Now() is behind the wall.
  absl::Duration HeldBack() const;
  LeapState State() const;

 private:
  class Latest final : public Clock {
   public:
    explicit Latest(const LeapClock* clock) : clock_(clock) {}
    absl::Time Now() const override { return clock_->Look().latest; }
    absl::Duration Monotonic() const override { return clock_->Monotonic(); }

   private:
    const LeapClock* clock_;
  };

  struct Reading {
    absl::Time wall;
    absl::Duration boot;
    absl::Time origin() const { return wall - boot; }
  };
  struct Seen {
    absl::Time wall;
    absl::Time now;
    absl::Time latest;
  };

  Reading Read() const;
  Seen Look() const;
  // What is believed where another boot ended as `earlier`.
  static LeapState AfterBoot(const LeapState& earlier, const Reading& reading);
  // Sets `state` to what it is when `reading` has been seen.
  static void Consider(const Reading& reading, LeapState* state);

  const Clock* const wall_;
  const std::function<absl::Duration()> boot_;
  const Latest latest_{this};
  mutable Mutex mutex_;
  mutable std::optional<LeapState> state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_LEAP_CLOCK_H_
