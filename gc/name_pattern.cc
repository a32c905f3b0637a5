#include "gc/name_pattern.h"

#include <re2/re2.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "gc/glob.h"

namespace reclaim::gc {
namespace {

constexpr size_t kPatternsMax = 100;
constexpr size_t kExpressionLengthMax = 1024;
constexpr int64_t kExpressionMemory = 1 << 20;

// Which names there are.  Image layouts name things freely, so only a store's
// name is narrow: [a-z0-9][a-z0-9._-]{0,62}.
CharSet Alphabet(NameKind kind) {
  CharSet set;
  for (int c = 0x20; c < 0x100; ++c) {
    const bool is_narrow = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                           c == '.' || c == '_' || c == '-';
    if (c != 0x7f && (kind != NameKind::kStore || is_narrow)) {
      set.set(static_cast<size_t>(c));
    }
  }
  return set;
}

const char* Word(NameKind kind) {
  switch (kind) {
    case NameKind::kStore:
      return "store";
    case NameKind::kRepository:
      return "repository";
    case NameKind::kTag:
      return "tag";
  }
  return "name";
}

}  // namespace

struct NamePatterns::Pattern {
  std::string text;  // without '!'
  bool is_negated = false;
  std::optional<Glob> glob;
  std::unique_ptr<RE2> expression;

  bool Match(absl::string_view name) const {
    if (glob) return glob->Matches(name);
    return RE2::FullMatch(re2::StringPiece(name.data(), name.size()),
                          *expression);
  }
  bool IsUniversal() const {
    return glob ? glob->IsUniversal() : expression->pattern() == ".*";
  }
  bool Covers(const Pattern& other) const {
    if (text == other.text || IsUniversal()) return true;
    return glob && other.glob && glob->Covers(*other.glob);
  }
};

absl::StatusOr<NamePatterns> NamePatterns::Parse(
    absl::Span<const std::string> texts, NameKind kind) {
  if (texts.size() > kPatternsMax) {
    return absl::InvalidArgumentError("more than 100 patterns in one list");
  }
  NamePatterns patterns;
  for (const std::string& written : texts) {
    auto pattern = std::make_shared<Pattern>();
    absl::string_view text = written;
    pattern->is_negated = absl::ConsumePrefix(&text, "!");
    if (pattern->is_negated && patterns.patterns_.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "pattern \"", written,
          "\" takes names out of nothing; begin the list with \"**\""));
    }
    pattern->text = std::string(text);
    if (absl::ConsumePrefix(&text, "re:")) {
      RE2::Options options(RE2::Quiet);
      options.set_max_mem(kExpressionMemory);
      pattern->expression = std::make_unique<RE2>(std::string(text), options);
      if (!pattern->expression->ok() || text.size() > kExpressionLengthMax) {
        return absl::InvalidArgumentError(absl::StrCat(
            "pattern \"", written, "\": ",
            pattern->expression->ok() ? "has over 1024 characters"
                                      : pattern->expression->error()));
      }
    } else {
      RECLAIM_ASSIGN_OR_RETURN(pattern->glob, Glob::Parse(text));
      if (!pattern->glob->CanMatch(Alphabet(kind), 1, 256)) {
        return absl::InvalidArgumentError(
            absl::StrCat("pattern \"", written,
                         "\" can never match: no name "
                         "of a ",
                         Word(kind), " is like that"));
      }
    }
    if (pattern->is_negated && patterns.IsTakenOutBy(*pattern)) {
      return absl::InvalidArgumentError(
          absl::StrCat("pattern \"", written,
                       "\" takes out all that the patterns before it match: "
                       "the list can never match"));
    }
    patterns.patterns_.push_back(std::move(pattern));
  }
  return patterns;
}

bool NamePatterns::IsTakenOutBy(const Pattern& last) const {
  return std::all_of(patterns_.begin(), patterns_.end(), [&](const auto& p) {
    return p->is_negated || last.Covers(*p);
  });
}

bool NamePatterns::Match(absl::string_view name) const {
  bool is_in = patterns_.empty();
  for (const auto& pattern : patterns_) {
    if (pattern->is_negated != is_in) continue;  // it would change nothing
    if (pattern->Match(name)) is_in = !pattern->is_negated;
  }
  return is_in;
}

bool NamePatterns::IsUniversal() const {
  return patterns_.empty() ||
         (std::none_of(patterns_.begin(), patterns_.end(),
                       [](const auto& p) { return p->is_negated; }) &&
          std::any_of(patterns_.begin(), patterns_.end(),
                      [](const auto& p) { return p->IsUniversal(); }));
}

bool NamePatterns::Covers(const NamePatterns& other) const {
  if (IsUniversal()) return true;
  if (other.patterns_.empty()) return false;
  const auto texts = [](const NamePatterns& list) {
    std::vector<std::string> all;
    for (const auto& p : list.patterns_) {
      all.push_back(absl::StrCat(p->is_negated ? "!" : "", p->text));
    }
    return all;
  };
  if (texts(*this) == texts(other)) return true;
  for (const auto& ours : patterns_) {
    if (ours->is_negated) return false;  // not decided: not hidden
  }
  // What `other` takes out again makes it smaller, never larger.
  return std::all_of(
      other.patterns_.begin(), other.patterns_.end(), [&](const auto& theirs) {
        return theirs->is_negated ||
               std::any_of(
                   patterns_.begin(), patterns_.end(),
                   [&](const auto& ours) { return ours->Covers(*theirs); });
      });
}

}  // namespace reclaim::gc
