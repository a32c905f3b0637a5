#include "gc/glob.h"

#include <deque>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::gc {
namespace {

constexpr size_t kLengthMax = 256;
constexpr size_t kAlternativesMax = 64;
constexpr size_t kStepsMax = 1'000'000;

CharSet AnyBut(unsigned char c) {
  CharSet set;
  set.set();
  set.reset(c);
  return set;
}

CharSet Any() {
  CharSet set;
  set.set();
  return set;
}

absl::Status Wrong(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("pattern \"", text, "\": ", what));
}

// One character for each class of characters that no step tells apart.
std::vector<unsigned char> Representatives(const std::vector<CharSet>& sets) {
  std::set<std::vector<bool>> seen;
  std::vector<unsigned char> letters;
  for (int c = 0; c < 256; ++c) {
    std::vector<bool> signature;
    signature.reserve(sets.size());
    for (const CharSet& set : sets) {
      signature.push_back(set.test(static_cast<size_t>(c)));
    }
    if (seen.insert(std::move(signature)).second) {
      letters.push_back(static_cast<unsigned char>(c));
    }
  }
  return letters;
}

}  // namespace

// "{a,b}c" as "ac" and "bc", from left to right.
absl::StatusOr<std::vector<std::string>> Glob::Expand(absl::string_view text) {
  std::vector<std::string> open = {""};
  for (size_t i = 0; i < text.size(); ++i) {
    std::vector<std::string> choices = {std::string(1, text[i])};
    if (text[i] == '\\' && i + 1 < text.size()) {
      choices[0] += text[++i];
    } else if (text[i] == '{') {
      choices = {""};
      for (++i; i < text.size() && text[i] != '}'; ++i) {
        if (text[i] == '{') return Wrong(text, "braces are not nested");
        if (text[i] == ',') {
          choices.emplace_back();
        } else {
          choices.back() += text[i];
          if (text[i] == '\\' && i + 1 < text.size())
            choices.back() += text[++i];
        }
      }
      if (i == text.size()) return Wrong(text, "a '{' has no '}'");
    }
    if (open.size() * choices.size() > kAlternativesMax) {
      return Wrong(text, "more than 64 alternatives");
    }
    std::vector<std::string> next;
    for (const std::string& head : open) {
      for (const std::string& choice : choices) next.push_back(head + choice);
    }
    open = std::move(next);
  }
  return open;
}

// `*at` stands on '['; afterwards on ']'.
absl::StatusOr<CharSet> Glob::ParseClass(absl::string_view text, size_t* at) {
  CharSet set;
  size_t i = *at + 1;
  const bool is_negated = i < text.size() && (text[i] == '!' || text[i] == '^');
  if (is_negated) ++i;
  const size_t first = i;
  for (; i < text.size() && (text[i] != ']' || i == first); ++i) {
    const auto low = static_cast<unsigned char>(text[i]);
    auto high = low;
    if (i + 2 < text.size() && text[i + 1] == '-' && text[i + 2] != ']') {
      high = static_cast<unsigned char>(text[i + 2]);
      i += 2;
    }
    if (high < low) return Wrong(text, "a range of a class goes backwards");
    for (int c = low; c <= high; ++c) set.set(static_cast<size_t>(c));
  }
  if (i >= text.size()) return Wrong(text, "a '[' has no ']'");
  *at = i;
  if (is_negated) set = ~set;
  // As with '*' and '?': a slash is matched by "**" and by itself alone.
  if (is_negated) set.reset('/');
  return set;
}

absl::StatusOr<Glob::Alternative> Glob::ParseSteps(absl::string_view text) {
  Alternative steps;
  for (size_t i = 0; i < text.size(); ++i) {
    Step step;
    switch (text[i]) {
      case '*':
        step.repeats = true;
        step.set = AnyBut('/');
        if (i + 1 < text.size() && text[i + 1] == '*') {
          step.set = Any();
          ++i;
        }
        break;
      case '?':
        step.set = AnyBut('/');
        break;
      case '[': {
        RECLAIM_ASSIGN_OR_RETURN(step.set, ParseClass(text, &i));
        break;
      }
      case '\\':
        if (++i == text.size()) return Wrong(text, "ends with a '\\'");
        step.set.set(static_cast<unsigned char>(text[i]));
        break;
      default:
        step.set.set(static_cast<unsigned char>(text[i]));
    }
    steps.push_back(step);
  }
  return steps;
}

absl::StatusOr<Glob> Glob::Parse(absl::string_view text) {
  if (text.empty()) return Wrong(text, "is empty; \"**\" matches all names");
  if (text.size() > kLengthMax) return Wrong(text, "has over 256 characters");
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<std::string> expanded,
                           Expand(text));
  Glob glob;
  for (const std::string& alternative : expanded) {
    RECLAIM_ASSIGN_OR_RETURN(Alternative steps, ParseSteps(alternative));
    glob.alternatives_.push_back(std::move(steps));
  }
  return glob;
}

size_t Glob::StateCount() const {
  size_t count = 0;
  for (const Alternative& steps : alternatives_) count += steps.size() + 1;
  return count;
}

// A repeating step may be passed over.
void Glob::Close(States* states) const {
  size_t base = 0;
  for (const Alternative& steps : alternatives_) {
    for (size_t i = 0; i < steps.size(); ++i) {
      if ((*states)[base + i] && steps[i].repeats)
        (*states)[base + i + 1] = true;
    }
    base += steps.size() + 1;
  }
}

Glob::States Glob::Begin() const {
  States states(StateCount());
  size_t base = 0;
  for (const Alternative& steps : alternatives_) {
    states[base] = true;
    base += steps.size() + 1;
  }
  Close(&states);
  return states;
}

Glob::States Glob::Move(const States& from, unsigned char c) const {
  States to(from.size());
  size_t base = 0;
  for (const Alternative& steps : alternatives_) {
    for (size_t i = 0; i < steps.size(); ++i) {
      if (!from[base + i] || !steps[i].set.test(c)) continue;
      to[base + i + (steps[i].repeats ? 0 : 1)] = true;
    }
    base += steps.size() + 1;
  }
  Close(&to);
  return to;
}

bool Glob::Accepts(const States& states) const {
  size_t base = 0;
  for (const Alternative& steps : alternatives_) {
    if (states[base + steps.size()]) return true;
    base += steps.size() + 1;
  }
  return false;
}

bool Glob::Matches(absl::string_view name) const {
  States states = Begin();
  for (const char c : name)
    states = Move(states, static_cast<unsigned char>(c));
  return Accepts(states);
}

bool Glob::Covers(const Glob& other) const {
  std::vector<CharSet> sets;
  for (const Glob* glob : {this, &other}) {
    for (const Alternative& steps : glob->alternatives_) {
      for (const Step& step : steps) sets.push_back(step.set);
    }
  }
  const std::vector<unsigned char> letters = Representatives(sets);
  // Pairs of what both may have read so far; a pair in which only `other`
  // accepts is a name that this glob does not match.
  std::set<std::pair<States, States>> seen;
  std::deque<std::pair<States, States>> open = {{other.Begin(), Begin()}};
  seen.insert(open.front());
  size_t step_count = 0;
  while (!open.empty()) {
    const auto [theirs, ours] = std::move(open.front());
    open.pop_front();
    if (other.Accepts(theirs) && !Accepts(ours)) return false;
    for (const unsigned char letter : letters) {
      step_count += theirs.size() + ours.size();
      if (step_count > kStepsMax) return false;
      std::pair<States, States> next = {other.Move(theirs, letter),
                                        Move(ours, letter)};
      // What `other` can't read any further needs no answer.
      if (next.first == States(theirs.size())) continue;
      if (seen.insert(next).second) open.push_back(std::move(next));
    }
  }
  return true;
}

bool Glob::IsUniversal() const {
  const absl::StatusOr<Glob> all = Parse("**");
  return all.ok() && Covers(*all);
}

bool Glob::CanMatch(const CharSet& alphabet, size_t least, size_t most) const {
  std::set<States> level = {Begin()};
  std::vector<unsigned char> letters;
  {
    std::vector<CharSet> sets = {alphabet};
    for (const Alternative& steps : alternatives_) {
      for (const Step& step : steps) sets.push_back(step.set);
    }
    for (const unsigned char c : Representatives(sets)) {
      if (alphabet.test(c)) letters.push_back(c);
    }
  }
  size_t step_count = 0;
  for (size_t length = 0; length <= most && !level.empty(); ++length) {
    std::set<States> next;
    for (const States& states : level) {
      if (length >= least && Accepts(states)) return true;
      for (const unsigned char letter : letters) {
        step_count += states.size();
        if (step_count > kStepsMax) return true;
        next.insert(Move(states, letter));
      }
    }
    next.erase(States(StateCount()));
    level = std::move(next);
  }
  return false;
}

}  // namespace reclaim::gc
