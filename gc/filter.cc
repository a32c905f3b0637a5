#include "gc/filter.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "gc/filter_kinds.h"
#include "gc/time_value.h"

namespace reclaim::gc {
namespace {

struct Term {
  std::string key;
  std::string value;
  bool is_configured = false;
};

absl::StatusOr<Term> SplitTerm(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("filter \"", text, "\" is not of the form key=value"));
  }
  Term term;
  term.key = text.substr(0, equals);
  term.value = text.substr(equals + 1);
  if (term.value.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("filter \"", text, "\" has an empty value"));
  }
  // label=k!=v is label!=k=v (case 33).
  const size_t negation = term.value.find("!=");
  if (term.key == "label" && negation != std::string::npos &&
      term.value.find('=') == negation + 1) {
    term.key = "label!";
    term.value = absl::StrCat(term.value.substr(0, negation), "=",
                              term.value.substr(negation + 2));
  }
  return term;
}

// "until", "until.used" or "used-before": which clock; unset for other keys.
std::optional<TimeClock> ClockOf(const std::string& key) {
  if (key == "until") return TimeClock::kRecorded;
  absl::string_view name = key;
  if (!absl::ConsumePrefix(&name, "until.") &&
      !absl::ConsumeSuffix(&name, "-before")) {
    return std::nullopt;
  }
  for (const TimeClock clock : AllClocks()) {
    if (name == ToString(clock)) return clock;
  }
  return std::nullopt;
}

absl::StatusOr<bool> ParseBool(const Term& term) {
  if (term.value == "true" || term.value == "1") return true;
  if (term.value == "false" || term.value == "0") return false;
  return absl::InvalidArgumentError(absl::StrCat(
      "filter ", term.key, "=", term.value, ": write true or false"));
}

absl::Status SetOnce(const Term& term, std::optional<bool>* flag) {
  RECLAIM_ASSIGN_OR_RETURN(const bool value, ParseBool(term));
  if (*flag && **flag != value) {
    return absl::InvalidArgumentError(
        absl::StrCat("filter ", term.key, " is true and false"));
  }
  *flag = value;
  return absl::OkStatus();
}

LabelTest ParseLabel(const Term& term) {
  LabelTest test;
  test.is_negative = term.key == "label!";
  const size_t equals = term.value.find('=');
  test.key = term.value.substr(0, equals);
  if (equals != std::string::npos) test.value = term.value.substr(equals + 1);
  return test;
}

absl::Status AddLabel(const Term& term, Filter* filter) {
  const LabelTest test = ParseLabel(term);
  if (test.key.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("filter ", term.key, "=", term.value, " names no label"));
  }
  for (const LabelTest& other : filter->labels) {
    if (other.key == test.key && other.value == test.value &&
        other.is_negative != test.is_negative) {
      return absl::InvalidArgumentError(
          absl::StrCat("filter ", term.key, "=", term.value,
                       ": the label is both wanted ", "and refused"));
    }
  }
  filter->labels.push_back(test);
  return absl::OkStatus();
}

absl::Status AddTerm(const Term& term, FilterTarget target, absl::Time now,
                     absl::TimeZone zone, Filter* filter) {
  const std::optional<TimeClock> clock = ClockOf(term.key);
  const std::set<std::string>& keys = KeysOf(target);
  if (keys.count(clock ? "until" : term.key) == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "filter key \"", term.key,
        "\" cannot be used here; these can: ", absl::StrJoin(keys, ", ")));
  }
  if (clock) {
    RECLAIM_RETURN_IF_ERROR(CheckClock(*clock, target));
    for (const TimeTest& test : filter->times) {
      if (test.clock == *clock) {
        return absl::InvalidArgumentError(
            absl::StrCat("filter ", term.key, " is given twice"));
      }
    }
    RECLAIM_ASSIGN_OR_RETURN(const absl::Time before,
                             ParseTimeValue(term.value, now, zone));
    filter->times.push_back({*clock, before});
  } else if (term.key == "reference") {
    filter->references.push_back(term.value);
  } else if (term.key == "dangling") {
    return SetOnce(term, &filter->dangling);
  } else if (term.key == "all") {
    return SetOnce(term, &filter->all);
  } else {
    return AddLabel(term, filter);
  }
  return absl::OkStatus();
}

// Whether a configured term and a typed one say opposite things of one label.
bool Contradicts(const Term& configured, const Term& typed) {
  const bool are_labels = absl::StartsWith(configured.key, "label") &&
                          absl::StartsWith(typed.key, "label");
  if (are_labels) {
    return configured.key != typed.key && configured.value == typed.value;
  }
  const std::optional<TimeClock> clock = ClockOf(configured.key);
  if (clock) return clock == ClockOf(typed.key);  // however it is spelt
  return configured.key == typed.key && typed.key != "reference";
}

bool HasLabel(const index::Labels& labels, const LabelTest& test) {
  const auto it = labels.find(test.key);
  return it != labels.end() && (!test.value || it->second == *test.value);
}

bool MatchesLabel(const LabelTest& test, const FilterSubject& subject) {
  const bool any = std::any_of(
      subject.labels.begin(), subject.labels.end(),
      [&](const index::Labels* labels) { return HasLabel(*labels, test); });
  return test.is_negative ? !any : any;
}

// Docker's rule (path.Match): '*' stops at '/'.  A pattern without a tag is
// held against the repository alone.
bool MatchesReference(const std::string& pattern,
                      const std::string& reference) {
  if (fnmatch(pattern.c_str(), reference.c_str(), FNM_PATHNAME) == 0) {
    return true;
  }
  const size_t slash = reference.rfind('/');
  const size_t split =
      reference.find_first_of(":@", slash == std::string::npos ? 0 : slash);
  return fnmatch(pattern.c_str(), reference.substr(0, split).c_str(),
                 FNM_PATHNAME) == 0;
}

}  // namespace

const char* ToString(TimeClock clock) {
  switch (clock) {
    case TimeClock::kRecorded:
      return "recorded";
    case TimeClock::kCreated:
      return "created";
    case TimeClock::kPushed:
      return "pushed";
    case TimeClock::kPulled:
      return "pulled";
    case TimeClock::kUsed:
      return "used";
    case TimeClock::kUntagged:
      return "untagged";
    case TimeClock::kExited:
      return "exited";
  }
  return "unknown";
}

absl::StatusOr<Filter> ParseFilter(absl::Span<const std::string> terms,
                                   absl::Span<const std::string> configured,
                                   FilterTarget target, absl::Time now,
                                   absl::TimeZone zone) {
  std::vector<Term> typed;
  for (const std::string& text : terms) {
    RECLAIM_ASSIGN_OR_RETURN(Term term, SplitTerm(text));
    typed.push_back(std::move(term));
  }
  Filter filter;
  for (const std::string& text : configured) {
    RECLAIM_ASSIGN_OR_RETURN(const Term term, SplitTerm(text));
    const bool yields =
        std::any_of(typed.begin(), typed.end(),
                    [&](const Term& t) { return Contradicts(term, t); });
    if (yields) continue;
    RECLAIM_RETURN_IF_ERROR(AddTerm(term, target, now, zone, &filter));
  }
  for (const Term& term : typed) {
    RECLAIM_RETURN_IF_ERROR(AddTerm(term, target, now, zone, &filter));
  }
  return filter;
}

bool Matches(const Filter& filter, const FilterSubject& subject) {
  for (const LabelTest& test : filter.labels) {
    if (!MatchesLabel(test, subject)) return false;
  }
  for (const TimeTest& test : filter.times) {
    const auto time = subject.times.find(test.clock);
    if (time == subject.times.end() || time->second >= test.before) {
      return false;
    }
  }
  if (filter.references.empty()) return true;
  for (const std::string& pattern : filter.references) {
    for (const std::string& reference : subject.references) {
      if (MatchesReference(pattern, reference)) return true;
    }
  }
  return false;
}

}  // namespace reclaim::gc
