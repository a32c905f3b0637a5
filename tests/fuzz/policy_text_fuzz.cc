// gc/cron.h, gc/glob.h, gc/name_pattern.h, gc/retention.h, gc/policy_name.h:
// what people write into schedules and rules.
//
// The first digit chooses: 0 a cron expression, 1 a window, 2 two globs and a
// name, 3 patterns and a name (one a line), 4 a tag, 5 the name of a rule.

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/utf8.h"
#include "gc/cron.h"
#include "gc/glob.h"
#include "gc/name_pattern.h"
#include "gc/policy_name.h"
#include "gc/retention.h"
#include "oci/digest.h"
#include "oci/name.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::gc {
namespace {

// Of patterns and names: longer ones cost time and say nothing more.
constexpr size_t kTextBytesMax = 512;
constexpr size_t kPatternCountMax = 8;

constexpr size_t kWeekDay = 4;
constexpr int kLeast[] = {0, 0, 1, 1, 0};
constexpr int kMost[] = {59, 23, 31, 12, 7};
constexpr std::array<absl::string_view, 12> kMonths = {
    "jan", "feb", "mar", "apr", "may", "jun",
    "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<absl::string_view, 7> kDays = {"sun", "mon", "tue", "wed",
                                                    "thu", "fri", "sat"};

const absl::Time kInstants[] = {
    absl::FromUnixSeconds(1767323045),  // 2026-01-02T03:04:05Z
    absl::FromUnixSeconds(1774745999),  // Berlin's clock goes forward
    absl::FromUnixSeconds(1792886400),  // and back
    absl::FromUnixSeconds(3981398400),  // eight years before a leap day
};

absl::TimeZone Berlin() {
  absl::TimeZone zone;
  // Without a database of zones it is UTC, which is as good.
  absl::LoadTimeZone("Europe/Berlin", &zone);
  return zone;
}

int ValueOf(size_t field, absl::string_view text) {
  for (size_t i = 0; field == 3 && i < kMonths.size(); ++i) {
    if (absl::EqualsIgnoreCase(text, kMonths[i]))
      return static_cast<int>(i) + 1;
  }
  for (size_t i = 0; field == kWeekDay && i < kDays.size(); ++i) {
    if (absl::EqualsIgnoreCase(text, kDays[i])) return static_cast<int>(i);
  }
  int value = -1;
  RECLAIM_CHECK(absl::SimpleAtoi(text, &value), "what is no word is a number");
  return value;
}

// Whether one item of a list names `value`, as crontab(5) has it.
bool IsNamed(size_t field, absl::string_view item, int value) {
  const size_t slash = item.find('/');
  int step = 1;
  if (slash != absl::string_view::npos) {
    RECLAIM_CHECK(absl::SimpleAtoi(item.substr(slash + 1), &step) && step > 0,
                  "a step is a number");
  }
  const absl::string_view range = item.substr(0, slash);
  int low = kLeast[field];
  int high = field == kWeekDay ? 6 : kMost[field];
  if (range != "*") {
    const size_t dash = range.find('-');
    low = ValueOf(field, range.substr(0, dash));
    if (dash != absl::string_view::npos) {
      high = ValueOf(field, range.substr(dash + 1));
      // "sat-sun" ends with the week.
      if (field == kWeekDay && high == 0 && low > 0) high = 7;
    } else if (slash == absl::string_view::npos) {
      high = low;
    }
  }
  RECLAIM_CHECK(low >= kLeast[field] && high <= kMost[field] && low <= high,
                "a range goes upwards, within the field");
  return value >= low && value <= high && (value - low) % step == 0;
}

// The same field as a list of plain numbers.
std::string PlainList(size_t field, absl::string_view text) {
  if (text == "*") return "*";  // says more than all of its values
  const std::vector<absl::string_view> items = absl::StrSplit(text, ',');
  std::vector<int> values;
  const int last = field == kWeekDay ? 6 : kMost[field];
  for (int value = kLeast[field]; value <= last; ++value) {
    const bool is_named =
        std::any_of(items.begin(), items.end(), [&](absl::string_view item) {
          return IsNamed(field, item, value) ||
                 (field == kWeekDay && value == 0 && IsNamed(field, item, 7));
        });
    if (is_named) values.push_back(value);
  }
  return absl::StrJoin(values, ",");
}

void CheckCron(absl::string_view text) {
  const auto cron = Cron::Parse(text);
  if (!cron.ok() || text.size() > kTextBytesMax) return;
  const absl::TimeZone utc = absl::UTCTimeZone();
  static const absl::TimeZone berlin = Berlin();
  for (const absl::Time after : kInstants) {
    const absl::CivilMinute civil =
        cron->NextCivil(absl::CivilMinute(utc.At(after).cs));
    RECLAIM_CHECK(
        cron->Next(after, utc) == utc.At(absl::CivilSecond(civil)).pre,
        "where the clock never changes the civil time is the time");
    RECLAIM_CHECK(cron->Next(after, berlin) > after, "it is yet to come");
  }
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  if (absl::StartsWith(trimmed, "@")) return;
  const std::vector<absl::string_view> fields =
      absl::StrSplit(trimmed, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  RECLAIM_CHECK(fields.size() == 5, "there are five fields");
  std::vector<std::string> lists;
  for (size_t field = 0; field < fields.size(); ++field) {
    lists.push_back(PlainList(field, fields[field]));
  }
  const auto plain = Cron::Parse(absl::StrJoin(lists, " "));
  RECLAIM_CHECK(plain.ok(), "a list of numbers is one");
  for (const absl::Time after : kInstants) {
    RECLAIM_CHECK(plain->Next(after, utc) == cron->Next(after, utc),
                  "ranges, steps and words are lists");
  }
}

void CheckWindow(absl::string_view text) {
  const auto window = TimeWindow::Parse(text);
  if (!window.ok()) return;
  const absl::TimeZone utc = absl::UTCTimeZone();
  static const absl::TimeZone berlin = Berlin();
  for (const absl::Time time : kInstants) {
    const absl::Time opening = window->NextOpening(time, utc);
    RECLAIM_CHECK(opening > time && opening <= time + absl::Hours(24 * 7),
                  "a window opens every week");
    const auto end = window->EndAt(opening, utc);
    RECLAIM_CHECK(end && *end > opening && *end <= opening + absl::Hours(24),
                  "it is open when it opens, for a day at most");
    RECLAIM_CHECK(window->EndAt(*end - absl::Seconds(1), utc).has_value(),
                  "and to its end");
    RECLAIM_CHECK(window->NextOpening(time, berlin) > time,
                  "an opening is yet to come");
    const auto here = window->EndAt(time, berlin);
    RECLAIM_CHECK(!here || *here > time, "what holds a time ends after it");
  }
}

// Without classes, braces and "**" a glob is what the C library matches; but
// that one does not find an escaped slash behind a '*'.
bool IsPlainGlob(absl::string_view text) {
  return text.find_first_of(absl::string_view("[{\0", 3)) ==
             absl::string_view::npos &&
         !absl::StrContains(text, "**") && !absl::StrContains(text, "\\/");
}

void CheckGlobs(absl::string_view text) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  const std::string& name = lines.back();
  const auto glob = Glob::Parse(lines.front());
  if (text.size() > kTextBytesMax || !glob.ok()) return;
  const bool matches = glob->Matches(name);
  if (IsPlainGlob(lines.front()) && name.find('\0') == std::string::npos) {
    RECLAIM_CHECK(matches == (fnmatch(lines.front().c_str(), name.c_str(),
                                      FNM_PATHNAME) == 0),
                  "a plain glob is that of fnmatch(3)");
  }
  RECLAIM_CHECK(matches || !glob->IsUniversal(),
                "what matches all names matches this one");
  CharSet letters;
  for (const char c : name) letters.set(static_cast<unsigned char>(c));
  RECLAIM_CHECK(!matches || glob->CanMatch(letters, name.size(), name.size()),
                "what matches can match");
  const auto other = Glob::Parse(lines[lines.size() / 2]);
  if (!other.ok()) return;
  RECLAIM_CHECK(matches || !other->Matches(name) || !glob->Covers(*other),
                "what is covered matches nothing more");
}

// The name alone, each character escaped.
void CheckEscaped(absl::string_view name) {
  if (name.empty() || name.size() > 128) return;
  std::string escaped;
  for (const char c : name) {
    escaped += '\\';
    escaped += c;
  }
  const auto glob = Glob::Parse(escaped);
  RECLAIM_CHECK(glob.ok() && glob->Matches(name) &&
                    !glob->Matches(absl::StrCat(name, "x")) &&
                    !glob->Matches(name.substr(1)),
                "an escaped name is that name");
}

void CheckPatterns(absl::string_view text) {
  if (text.empty() || text.size() > kTextBytesMax) return;
  const auto kind =
      static_cast<NameKind>(1 + static_cast<unsigned char>(text[0]) % 3);
  std::vector<std::string> lines = absl::StrSplit(text.substr(1), '\n');
  const std::string name = lines.back();
  lines.pop_back();
  // Names that are no text are never recorded.
  if (lines.size() > kPatternCountMax || !base::IsUtf8(name)) return;
  const auto patterns = NamePatterns::Parse(lines, kind);
  if (!patterns.ok()) {
    RECLAIM_CHECK(!patterns.status().message().empty(), "a refusal says why");
    return;
  }
  bool is_in = lines.empty();
  for (const std::string& line : lines) {
    absl::string_view pattern = line;
    const bool takes_out = absl::ConsumePrefix(&pattern, "!");
    if (absl::StartsWith(pattern, "!")) return;  // alone it would say "not"
    const std::vector<std::string> alone = {std::string(pattern)};
    const auto one = NamePatterns::Parse(alone, kind);
    RECLAIM_CHECK(one.ok(), "what is good in a list is good alone");
    if (one->Match(name)) is_in = !takes_out;
  }
  RECLAIM_CHECK(patterns->Match(name) == is_in,
                "the last pattern that matches decides");
  RECLAIM_CHECK(is_in || !patterns->IsUniversal(),
                "what matches all names matches this one");
}

void CheckTag(absl::string_view tag) {
  const auto name = ParseReferrerName(tag);
  if (!name) return;
  RECLAIM_CHECK(
      tag == absl::StrCat("sha256-", name->subject.hex(), name->suffix),
      "a referrer's tag is its parts");
  RECLAIM_CHECK(oci::IsTagName(tag), "and a tag");
}

RECLAIM_FUZZ_TARGET(policy_text) {
  if (input.empty()) return;
  const absl::string_view text = input.substr(1);
  switch (static_cast<unsigned char>(input[0]) % 8) {
    case 0:
      return CheckCron(text);
    case 1:
      return CheckWindow(text);
    case 2:
      CheckGlobs(text);
      return CheckEscaped(text);
    case 3:
      return CheckPatterns(text);
    case 4:
      return CheckTag(text);
    case 5:
      RECLAIM_CHECK(!CheckPolicyName("rule", text).ok() ||
                        (text.size() <= 63 && oci::IsTagName(text)),
                    "a name is one word");
      return;
    default:
      return;
  }
}

}  // namespace
}  // namespace reclaim::gc
