#include "gc/cron.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace reclaim::gc {
namespace {

// 29 February on a day that "*" leaves open recurs after eight years at most
// (1896 to 1904).
constexpr int kYearsMax = 8;
constexpr int kMinutesADay = 24 * 60;

struct Field {
  const char* name;
  int least;
  int most;
  std::vector<absl::string_view> words;  // of `least` and what follows
};

const std::array<Field, 5>& Fields() {
  static const auto* const fields = new std::array<Field, 5>{
      Field{"minute", 0, 59, {}}, Field{"hour", 0, 23, {}},
      Field{"day of the month", 1, 31, {}},
      Field{"month",
            1,
            12,
            {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep",
             "oct", "nov", "dec"}},
      Field{"day of the week",
            0,
            7,
            {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}}};
  return *fields;
}

absl::Status Wrong(const Field& field, absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("cron: the ", field.name, " \"", text,
                   "\" is not understood; it takes ", field.least, " to ",
                   field.most, field.words.empty() ? "" : " or English names",
                   ", with lists, ranges and steps"));
}

absl::StatusOr<int> ReadValue(const Field& field, absl::string_view text) {
  int value = 0;
  const std::string lower = absl::AsciiStrToLower(text);
  for (size_t i = 0; i < field.words.size(); ++i) {
    if (lower == field.words[i]) return field.least + static_cast<int>(i);
  }
  const bool is_number =
      !text.empty() && text.size() <= 2 &&
      std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
      absl::SimpleAtoi(text, &value);
  if (!is_number || value < field.least || value > field.most) {
    return Wrong(field, text);
  }
  return value;
}

// One item of a list: "*", "5", "1-5", "*/15", "8-18/2", "10/5" (10 to the
// end).
absl::Status ReadItem(const Field& field, absl::string_view text,
                      std::bitset<64>* values) {
  const std::pair<absl::string_view, absl::string_view> stepped =
      absl::StrSplit(text, absl::MaxSplits('/', 1));
  const bool has_step = text.find('/') != absl::string_view::npos;
  int step = 1;
  if (has_step && (!absl::SimpleAtoi(stepped.second, &step) || step < 1 ||
                   step > field.most)) {
    return Wrong(field, text);
  }
  int low = field.least;
  int high = field.most == 7 ? 6 : field.most;  // Sunday once in "*"
  if (stepped.first != "*") {
    const std::pair<absl::string_view, absl::string_view> range =
        absl::StrSplit(stepped.first, absl::MaxSplits('-', 1));
    RECLAIM_ASSIGN_OR_RETURN(low, ReadValue(field, range.first));
    if (stepped.first.find('-') != absl::string_view::npos) {
      RECLAIM_ASSIGN_OR_RETURN(high, ReadValue(field, range.second));
      // "sat-sun"; but "sun-sun" is one day and no week.
      if (field.most == 7 && high == 0 && low > 0) high = 7;
    } else if (!has_step) {
      high = low;
    }
    if (high < low) return Wrong(field, text);
  }
  for (int value = low; value <= high; value += step) {
    values->set(static_cast<size_t>(value));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::bitset<64>> ReadField(const Field& field,
                                          absl::string_view text) {
  std::bitset<64> values;
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    RECLAIM_RETURN_IF_ERROR(ReadItem(field, item, &values));
  }
  return values;
}

template <size_t kSize>
std::bitset<kSize> Narrow(const std::bitset<64>& values) {
  std::bitset<kSize> narrow;
  for (size_t i = 0; i < kSize; ++i) narrow.set(i, values.test(i));
  return narrow;
}

absl::string_view Expand(absl::string_view text) {
  if (text == "@hourly") return "0 * * * *";
  if (text == "@daily" || text == "@midnight") return "0 0 * * *";
  if (text == "@weekly") return "0 0 * * 0";
  if (text == "@monthly") return "0 0 1 * *";
  if (text == "@yearly" || text == "@annually") return "0 0 1 1 *";
  return text;
}

size_t WeekDay(absl::CivilDay day) {
  return (static_cast<size_t>(absl::GetWeekday(day)) + 1) % 7;
}

// The instant of a civil time: see the head of cron.h.
absl::Time At(absl::CivilMinute civil, absl::TimeZone zone) {
  const absl::TimeZone::TimeInfo info = zone.At(absl::CivilSecond(civil));
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

absl::StatusOr<int> ReadMinuteOfDay(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  int hour = 0;
  int minute = 0;
  if (parts.first.size() != 2 || parts.second.size() != 2 ||
      !absl::SimpleAtoi(parts.first, &hour) ||
      !absl::SimpleAtoi(parts.second, &minute) || hour < 0 || minute < 0 ||
      minute > 59 || hour * 60 + minute > kMinutesADay) {
    return absl::InvalidArgumentError(
        absl::StrCat("window: \"", text, "\" is no time like 22:00"));
  }
  return hour * 60 + minute;
}

}  // namespace

absl::StatusOr<Cron> Cron::Parse(absl::string_view text) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(Expand(absl::StripAsciiWhitespace(text)),
                     absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (parts.size() != Fields().size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cron: \"", text,
        "\" has not five fields: minute, hour, day of the month, month, day of "
        "the week; for example \"30 3 * * *\""));
  }
  std::array<std::bitset<64>, 5> values;
  for (size_t i = 0; i < parts.size(); ++i) {
    RECLAIM_ASSIGN_OR_RETURN(values[i], ReadField(Fields()[i], parts[i]));
  }
  if (values[4].test(7)) values[4].set(0);
  Cron cron;
  cron.minutes_ = Narrow<60>(values[0]);
  cron.hours_ = Narrow<24>(values[1]);
  cron.days_ = Narrow<32>(values[2]);
  cron.months_ = Narrow<13>(values[3]);
  cron.week_days_ = Narrow<7>(values[4]);
  cron.any_day_ = parts[2] == "*";
  cron.any_week_day_ = parts[4] == "*";
  RECLAIM_RETURN_IF_ERROR(cron.CheckThatItComes());
  return cron;
}

absl::Status Cron::CheckThatItComes() const {
  if (any_day_ || !any_week_day_) return absl::OkStatus();
  constexpr int kLongest[] = {0,  31, 29, 31, 30, 31, 30,
                              31, 31, 30, 31, 30, 31};
  size_t first = 1;
  while (!days_.test(first)) ++first;
  int longest = 0;
  for (size_t month = 1; month <= 12; ++month) {
    if (months_.test(month)) longest = std::max(longest, kLongest[month]);
  }
  if (static_cast<int>(first) <= longest) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "cron: the time never comes: the months have at most ", longest,
      " days, and the first day that is asked for is ", first));
}

bool Cron::MatchesDay(absl::CivilDay day) const {
  if (!months_.test(static_cast<size_t>(day.month()))) return false;
  const bool is_day = days_.test(static_cast<size_t>(day.day()));
  const bool is_week_day = week_days_.test(WeekDay(day));
  if (any_day_ || any_week_day_) return is_day && is_week_day;
  return is_day || is_week_day;
}

absl::CivilMinute Cron::NextCivil(absl::CivilMinute after) const {
  absl::CivilMinute at = after + 1;
  const absl::CivilYear end(absl::CivilYear(at) + kYearsMax + 1);
  while (absl::CivilYear(at) <= end) {
    if (!MatchesDay(absl::CivilDay(at))) {
      at = absl::CivilMinute(absl::CivilDay(at) + 1);
    } else if (!hours_.test(static_cast<size_t>(at.hour()))) {
      at = absl::CivilMinute(absl::CivilHour(at) + 1);
    } else if (!minutes_.test(static_cast<size_t>(at.minute()))) {
      ++at;
    } else {
      return at;
    }
  }
  RECLAIM_CHECK(false, "Parse() refuses times that never come");
  return at;
}

absl::Time Cron::Next(absl::Time after, absl::TimeZone zone) const {
  absl::CivilMinute civil(zone.At(after).cs);
  for (;;) {
    civil = NextCivil(civil);
    const absl::Time at = At(civil, zone);
    // Within the second of two equal hours the first one has been.
    if (at > after) return at;
  }
}

absl::Time NextOnGrid(absl::Time anchor, absl::Duration interval,
                      absl::Time after) {
  RECLAIM_CHECK(interval > absl::ZeroDuration(), "an interval has a length");
  if (after < anchor) return anchor + interval;
  absl::Duration rest;
  const int64_t steps = absl::IDivDuration(after - anchor, interval, &rest);
  return anchor + (steps + 1) * interval;
}

absl::StatusOr<TimeWindow> TimeWindow::Parse(absl::string_view text) {
  std::vector<absl::string_view> parts =
      absl::StrSplit(absl::StripAsciiWhitespace(text), ' ', absl::SkipEmpty());
  TimeWindow window;
  window.days_.set();
  if (parts.size() == 2) {
    RECLAIM_ASSIGN_OR_RETURN(std::bitset<64> days,
                             ReadField(Fields()[4], parts[0]));
    if (days.test(7)) days.set(0);
    window.days_ = Narrow<7>(days);
    parts.erase(parts.begin());
  }
  const std::pair<absl::string_view, absl::string_view> span =
      parts.size() == 1 ? std::pair<absl::string_view, absl::string_view>(
                              absl::StrSplit(parts[0], absl::MaxSplits('-', 1)))
                        : std::pair<absl::string_view, absl::string_view>();
  if (span.second.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("window: \"", text,
                     "\" is not understood; write \"22:00-06:00\" or \"sat,sun "
                     "00:00-24:00\""));
  }
  RECLAIM_ASSIGN_OR_RETURN(window.begin_minute_, ReadMinuteOfDay(span.first));
  RECLAIM_ASSIGN_OR_RETURN(window.end_minute_, ReadMinuteOfDay(span.second));
  // Nobody knows whether that is meant as all day or as never.
  if (window.begin_minute_ == window.end_minute_) {
    return absl::InvalidArgumentError(
        absl::StrCat("window: \"", text,
                     "\" begins when it ends; all day is \"00:00-24:00\""));
  }
  if (window.begin_minute_ == kMinutesADay) window.begin_minute_ = 0;
  if (window.end_minute_ <= window.begin_minute_) {
    window.end_minute_ += kMinutesADay;
  }
  return window;
}

std::optional<absl::Time> TimeWindow::EndAt(absl::Time time,
                                            absl::TimeZone zone) const {
  const absl::CivilDay today(zone.At(time).cs);
  for (const absl::CivilDay day : {today, today - 1}) {
    if (!days_.test(WeekDay(day))) continue;
    const absl::CivilMinute midnight(day);
    const absl::Time end = At(midnight + end_minute_, zone);
    if (At(midnight + begin_minute_, zone) <= time && time < end) return end;
  }
  return std::nullopt;
}

absl::Time TimeWindow::NextOpening(absl::Time time, absl::TimeZone zone) const {
  absl::CivilDay day(zone.At(time).cs);
  for (;; ++day) {
    const absl::Time at = At(absl::CivilMinute(day) + begin_minute_, zone);
    if (days_.test(WeekDay(day)) && at > time) return at;
  }
}

}  // namespace reclaim::gc
