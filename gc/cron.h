// gc/cron.h — when a schedule is due.
//
// Five fields as in crontab(5): minute, hour, day of the month, month, day of
// the week; '*', lists, ranges, steps ("*/15", "8-18/2"), English names of
// months and days, Sunday as 0 or 7; "@hourly", "@daily", "@weekly",
// "@monthly", "@yearly".  Where both days are restricted (neither is "*") a day
// of either kind is due, as cron does.
//
// Times are civil times in a zone of the zone database.  A time that does not
// exist (daylight saving begins) is due at the instant at which the clock goes
// forward; one that occurs twice is due the first time only.  So a run is due
// at each civil time once, and never earlier than it.
//
// Values, immutable; thread-safe.

#ifndef RECLAIM_GC_CRON_H_
#define RECLAIM_GC_CRON_H_

#include <bitset>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace reclaim::gc {

class Cron {
 public:
  // INVALID_ARGUMENT names the field and what it may hold; also for a time that
  // never comes ("0 0 31 2 *").
  static absl::StatusOr<Cron> Parse(absl::string_view text);

  // The first civil minute after `after` that matches.
  absl::CivilMinute NextCivil(absl::CivilMinute after) const;

  // The first instant after `after` at which it is due in `zone`.
  absl::Time Next(absl::Time after, absl::TimeZone zone) const;

 private:
  bool MatchesDay(absl::CivilDay day) const;
  absl::Status CheckThatItComes() const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;      // 1 to 31
  std::bitset<13> months_;    // 1 to 12
  std::bitset<7> week_days_;  // 0 is Sunday
  bool any_day_ = false;      // the field is "*"
  bool any_week_day_ = false;
};

// Runs at `anchor` + k * `interval`, k >= 1.
absl::Time NextOnGrid(absl::Time anchor, absl::Duration interval,
                      absl::Time after);

// Hours of the week in which something is allowed: "22:00-06:00",
// "sat-sun 00:00-24:00", "mon,wed 01:30-04:00".  The days are those on which it
// opens; one that ends at or before its beginning ends on the next day.
class TimeWindow {
 public:
  static absl::StatusOr<TimeWindow> Parse(absl::string_view text);

  // The end of the window that holds `time`; unset outside.
  std::optional<absl::Time> EndAt(absl::Time time, absl::TimeZone zone) const;
  // The next instant at which it opens, after `time`.
  absl::Time NextOpening(absl::Time time, absl::TimeZone zone) const;

 private:
  std::bitset<7> days_;
  int begin_minute_ = 0;
  int end_minute_ = 0;  // past 1440: on the next day
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_CRON_H_
