// What is wrong with a set of rules, found before any of them decides.

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/policy_name.h"
#include "gc/retention.h"

namespace reclaim::gc {
namespace {

constexpr absl::Duration kShortest = absl::Minutes(1);
constexpr absl::Duration kLongest = absl::Hours(24 * 3652);
constexpr uint32_t kNewestMax = 1'000'000;
constexpr size_t kRulesMax = 1000;

struct Scope {
  NamePatterns stores;
  NamePatterns repositories;
  NamePatterns tags;

  bool IsUniversal() const {
    return stores.IsUniversal() && repositories.IsUniversal() &&
           tags.IsUniversal();
  }
  bool Covers(const Scope& other) const {
    return stores.Covers(other.stores) &&
           repositories.Covers(other.repositories) && tags.Covers(other.tags);
  }
};

absl::Status Wrong(absl::string_view rule, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("rule ", rule, ": ", what));
}

absl::StatusOr<Scope> ScopeOf(const std::string& rule,
                              const std::vector<std::string>& stores,
                              const std::vector<std::string>& repositories,
                              const std::vector<std::string>& tags) {
  Scope scope;
  const auto read = [&](const std::vector<std::string>& texts, NameKind kind,
                        NamePatterns* out) {
    auto patterns = NamePatterns::Parse(texts, kind);
    if (!patterns.ok()) return Wrong(rule, patterns.status().message());
    *out = *std::move(patterns);
    return absl::OkStatus();
  };
  RECLAIM_RETURN_IF_ERROR(read(stores, NameKind::kStore, &scope.stores));
  RECLAIM_RETURN_IF_ERROR(
      read(repositories, NameKind::kRepository, &scope.repositories));
  RECLAIM_RETURN_IF_ERROR(read(tags, NameKind::kTag, &scope.tags));
  return scope;
}

absl::Status CheckPeriod(const RetentionRule& rule, const char* name,
                         const std::optional<absl::Duration>& period) {
  if (!period || (*period >= kShortest && *period <= kLongest)) {
    return absl::OkStatus();
  }
  return Wrong(rule.name,
               absl::StrCat(name, " is ", absl::FormatDuration(*period),
                            "; it must be between 1m and 87648h"));
}

absl::Status CheckPeriods(const RetentionRule& rule) {
  RECLAIM_RETURN_IF_ERROR(
      CheckPeriod(rule, "keep_used_within", rule.keep_used_within));
  RECLAIM_RETURN_IF_ERROR(
      CheckPeriod(rule, "keep_pushed_within", rule.keep_pushed_within));
  RECLAIM_RETURN_IF_ERROR(
      CheckPeriod(rule, "expire_unused_after", rule.expire_unused_after));
  return CheckPeriod(rule, "expire_untagged_after", rule.expire_untagged_after);
}

// A rule says something, and nothing that its other words deny.
absl::Status CheckWords(const RetentionRule& rule) {
  const bool asks_for_use = rule.keep_used_within || rule.expire_unused_after;
  const bool judges =
      asks_for_use || rule.keep_newest > 0 || rule.keep_pushed_within;
  const bool keeps = rule.keep != KeepWord::kNone;
  if (!judges && !keeps && !rule.expire_untagged_after) {
    return Wrong(rule.name,
                 "says nothing; give it one of keep, immutable, pinned, "
                 "keep_newest, keep_used_within, keep_pushed_within, "
                 "expire_unused_after, expire_untagged_after");
  }
  if (keeps && (judges || rule.expire_untagged_after)) {
    return Wrong(rule.name,
                 absl::StrCat(ToString(rule.keep),
                              " keeps all that the rule names, so nothing "
                              "beside it can ever decide; make two rules"));
  }
  if (rule.expire_untagged_after && (judges || !rule.tags.empty())) {
    return Wrong(rule.name,
                 "expire_untagged_after is about images without a tag: it "
                 "takes no tags and stands alone; make two rules");
  }
  if (rule.unused_counts_from_push && !asks_for_use) {
    return Wrong(rule.name,
                 "unused_counts_from_push belongs to keep_used_within and "
                 "expire_unused_after");
  }
  if (rule.keep_newest > kNewestMax) {
    return Wrong(rule.name, absl::StrCat("keep_newest is ", rule.keep_newest,
                                         "; it must be 1 to ", kNewestMax));
  }
  return CheckPeriods(rule);
}

int CriterionCount(const RetentionRule& rule) {
  return static_cast<int>(rule.keep_newest > 0) +
         static_cast<int>(rule.keep_used_within.has_value()) +
         static_cast<int>(rule.keep_pushed_within.has_value()) +
         static_cast<int>(rule.expire_unused_after.has_value());
}

// Whether `a`, of which the scope covers that of `b`, leaves `b` nothing to
// decide.  On equal terms it is the later one that is hidden.
bool Hides(const RetentionRule& a, const RetentionRule& b, bool is_earlier,
           bool is_same_scope) {
  if (a.concerns_tags() != b.concerns_tags()) return false;
  const auto beats = [is_earlier](auto ours, auto theirs) {
    return ours > theirs || (ours == theirs && is_earlier);
  };
  if (!a.concerns_tags()) {
    return beats(*a.expire_untagged_after, *b.expire_untagged_after);
  }
  if (a.keep != KeepWord::kNone) {
    return b.keep == KeepWord::kNone || is_earlier;
  }
  if (b.keep != KeepWord::kNone || CriterionCount(a) != 1 ||
      CriterionCount(b) != 1 ||
      a.unused_counts_from_push != b.unused_counts_from_push) {
    return false;
  }
  if (a.keep_newest > 0) {
    return is_same_scope && b.keep_newest > 0 && a.newest_by == b.newest_by &&
           beats(a.keep_newest, b.keep_newest);
  }
  if (a.keep_used_within && b.keep_used_within) {
    return beats(*a.keep_used_within, *b.keep_used_within);
  }
  if (a.keep_pushed_within && b.keep_pushed_within) {
    return beats(*a.keep_pushed_within, *b.keep_pushed_within);
  }
  // The shorter time takes first.
  return a.expire_unused_after && b.expire_unused_after &&
         beats(-*a.expire_unused_after, -*b.expire_unused_after);
}

absl::Status CheckHidden(const RuleSet& set, const std::vector<Scope>& scopes) {
  for (size_t b = 0; b < set.rules.size(); ++b) {
    for (size_t a = 0; a < set.rules.size(); ++a) {
      if (a == b || !scopes[a].Covers(scopes[b])) continue;
      if (Hides(set.rules[a], set.rules[b], a < b,
                scopes[b].Covers(scopes[a]))) {
        return Wrong(set.rules[b].name,
                     absl::StrCat("is hidden by rule ", set.rules[a].name,
                                  ": it could never decide anything; leave one "
                                  "of them out or narrow it"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCatchAll(const RuleSet& set,
                           const std::vector<Scope>& scopes) {
  const RetentionRule* catch_all = nullptr;
  for (size_t i = 0; i < set.rules.size(); ++i) {
    if (!set.rules[i].concerns_tags()) continue;
    if (catch_all != nullptr) {
      return Wrong(catch_all->name,
                   absl::StrCat("names every tag of every repository, so it "
                                "must be the last rule about tags; rule ",
                                set.rules[i].name, " comes after it"));
    }
    if (scopes[i].IsUniversal()) catch_all = &set.rules[i];
  }
  return absl::OkStatus();
}

absl::Status CheckReferrer(const ReferrerRule& rule) {
  const bool has_period = rule.period != absl::ZeroDuration();
  if (has_period != (rule.fate == ReferrerFate::kKeepFor)) {
    return Wrong(rule.name, has_period ? "a period needs \"keep-for\""
                                       : "\"keep-for\" needs a period");
  }
  if (has_period && (rule.period < kShortest || rule.period > kLongest)) {
    return Wrong(rule.name, "period must be between 1m and 87648h");
  }
  return absl::OkStatus();
}

absl::Status CheckReferrers(const RuleSet& set) {
  std::vector<Scope> scopes;
  for (const ReferrerRule& rule : set.referrers) {
    RECLAIM_RETURN_IF_ERROR(CheckReferrer(rule));
    RECLAIM_ASSIGN_OR_RETURN(
        Scope scope, ScopeOf(rule.name, rule.stores, rule.repositories, {}));
    for (size_t a = 0; a < scopes.size(); ++a) {
      if (!scopes[a].Covers(scope)) continue;
      return Wrong(rule.name,
                   absl::StrCat("is hidden by rule ", set.referrers[a].name,
                                ": of rules about referrers the first that "
                                "names a repository decides"));
    }
    scopes.push_back(std::move(scope));
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const RuleSet& set) {
  RECLAIM_RETURN_IF_ERROR(CheckPolicyName("rule set", set.name));
  if (set.rules.size() + set.referrers.size() > kRulesMax) {
    return absl::InvalidArgumentError("a set has at most 1000 rules");
  }
  std::set<std::string> names;
  const auto check = [&names](const std::string& name) {
    RECLAIM_RETURN_IF_ERROR(CheckPolicyName("rule", name));
    if (names.insert(name).second) return absl::OkStatus();
    return Wrong(name, "the name is given twice");
  };
  for (const RetentionRule& rule : set.rules) {
    RECLAIM_RETURN_IF_ERROR(check(rule.name));
  }
  for (const ReferrerRule& rule : set.referrers) {
    RECLAIM_RETURN_IF_ERROR(check(rule.name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRuleSet(const RuleSet& set) {
  RECLAIM_RETURN_IF_ERROR(CheckNames(set));
  std::vector<Scope> scopes;
  for (const RetentionRule& rule : set.rules) {
    RECLAIM_RETURN_IF_ERROR(CheckWords(rule));
    RECLAIM_ASSIGN_OR_RETURN(
        Scope scope,
        ScopeOf(rule.name, rule.stores, rule.repositories, rule.tags));
    scopes.push_back(std::move(scope));
  }
  RECLAIM_RETURN_IF_ERROR(CheckCatchAll(set, scopes));
  RECLAIM_RETURN_IF_ERROR(CheckHidden(set, scopes));
  return CheckReferrers(set);
}

}  // namespace reclaim::gc
