#include "gc/retention.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace reclaim::gc {
namespace {

// "3d4h", "90m": the two largest units, for a person.
std::string Words(absl::Duration span) {
  const int64_t minutes = std::max<int64_t>(absl::ToInt64Minutes(span), 0);
  const int64_t days = minutes / 1440;
  const int64_t hours = minutes / 60 % 24;
  if (days > 0) {
    return absl::StrCat(days, "d", hours > 0 ? absl::StrCat(hours, "h") : "");
  }
  if (hours > 0) {
    return absl::StrCat(
        hours, "h", minutes % 60 > 0 ? absl::StrCat(minutes % 60, "m") : "");
  }
  return absl::StrCat(minutes, "m");
}

bool AsksForUse(const RetentionRule& rule) {
  return rule.keep_used_within || rule.expire_unused_after;
}

}  // namespace

const char* ToString(KeepWord word) {
  switch (word) {
    case KeepWord::kNone:
      return "none";
    case KeepWord::kKeep:
      return "keep";
    case KeepWord::kImmutable:
      return "immutable";
    case KeepWord::kPinned:
      return "pinned";
  }
  return "unknown";
}

const char* ToString(ReferrerFate fate) {
  switch (fate) {
    case ReferrerFate::kCascade:
      return "cascade";
    case ReferrerFate::kKeep:
      return "keep";
    case ReferrerFate::kKeepFor:
      return "keep-for";
  }
  return "unknown";
}

std::optional<ReferrerName> ParseReferrerName(absl::string_view tag) {
  constexpr size_t kHexLength = 64;
  if (!absl::ConsumePrefix(&tag, "sha256-") || tag.size() < kHexLength) {
    return std::nullopt;
  }
  const auto digest =
      oci::Digest::Parse(absl::StrCat("sha256:", tag.substr(0, kHexLength)));
  const absl::string_view suffix = tag.substr(kHexLength);
  const bool is_known = suffix.empty() || suffix == ".sig" ||
                        suffix == ".att" || suffix == ".sbom";
  if (!digest.ok() || !is_known) return std::nullopt;
  return ReferrerName{*digest, std::string(suffix)};
}

// What one rule says of one tag that it names.
struct RetentionRules::Opinion {
  enum Kind { kNothing, kExpires, kUnknown, kKeeps };
  Kind kind = kNothing;
  std::string why;
};

absl::StatusOr<RetentionRules> RetentionRules::Compile(
    absl::Span<const RuleSet> sets, absl::string_view store) {
  RetentionRules compiled;
  for (const RuleSet& set : sets) {
    for (const RetentionRule& rule : set.rules) {
      RECLAIM_ASSIGN_OR_RETURN(
          const NamePatterns stores,
          NamePatterns::Parse(rule.stores, NameKind::kStore));
      if (!stores.Match(store)) continue;
      Compiled one;
      one.rule = rule;
      one.full_name = absl::StrCat(set.name, "/", rule.name);
      one.allows_remove_all = set.allow_remove_all;
      RECLAIM_ASSIGN_OR_RETURN(
          one.repositories,
          NamePatterns::Parse(rule.repositories, NameKind::kRepository));
      RECLAIM_ASSIGN_OR_RETURN(one.tags,
                               NamePatterns::Parse(rule.tags, NameKind::kTag));
      compiled.rules_.push_back(std::move(one));
    }
    for (const ReferrerRule& rule : set.referrers) {
      RECLAIM_ASSIGN_OR_RETURN(
          const NamePatterns stores,
          NamePatterns::Parse(rule.stores, NameKind::kStore));
      if (!stores.Match(store)) continue;
      CompiledReferrer one;
      one.rule = rule;
      one.full_name = absl::StrCat(set.name, "/", rule.name);
      RECLAIM_ASSIGN_OR_RETURN(
          one.repositories,
          NamePatterns::Parse(rule.repositories, NameKind::kRepository));
      compiled.referrers_.push_back(std::move(one));
    }
  }
  return compiled;
}

bool RetentionRules::concerns_tags() const {
  return std::any_of(rules_.begin(), rules_.end(), [](const Compiled& rule) {
    return rule.rule.concerns_tags();
  });
}

bool RetentionRules::AsksForCreated(absl::string_view repository) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Compiled& rule) {
    return rule.rule.keep_newest > 0 &&
           rule.rule.newest_by == NewestBy::kCreated &&
           rule.repositories.Match(repository);
  });
}

// Which tags have a place among the newest: images in the order of their newest
// tag, ties by digest; all tags of an image share its place.  Referrers take
// none, and what has no time takes none either.
std::vector<bool> RetentionRules::FindNewest(const Compiled& rule,
                                             absl::Span<const TagFacts> tags) {
  std::map<oci::Digest, absl::Time> newest;
  const auto time_of = [&](const TagFacts& tag) {
    return rule.rule.newest_by == NewestBy::kPushed ? tag.pushed : tag.created;
  };
  for (const TagFacts& tag : tags) {
    const std::optional<absl::Time> time = time_of(tag);
    if (tag.is_referrer || !time || !rule.tags.Match(tag.tag)) continue;
    const auto [it, is_new] = newest.try_emplace(tag.digest, *time);
    if (!is_new) it->second = std::max(it->second, *time);
  }
  std::vector<std::pair<oci::Digest, absl::Time>> order(newest.begin(),
                                                        newest.end());
  std::stable_sort(
      order.begin(), order.end(),
      [](const auto& a, const auto& b) { return a.second > b.second; });
  if (order.size() > rule.rule.keep_newest) {
    order.resize(rule.rule.keep_newest);
  }
  std::set<oci::Digest> places;
  for (const auto& [digest, time] : order) places.insert(digest);
  std::vector<bool> is_newest;
  is_newest.reserve(tags.size());
  for (const TagFacts& tag : tags) {
    is_newest.push_back(time_of(tag).has_value() &&
                        places.count(tag.digest) > 0);
  }
  return is_newest;
}

RetentionRules::Opinion RetentionRules::Judge(const Compiled& compiled,
                                              const TagFacts& tag,
                                              bool is_newest, absl::Time now) {
  using Kind = Opinion::Kind;
  const RetentionRule& rule = compiled.rule;
  if (rule.keep != KeepWord::kNone) {
    return {Kind::kKeeps, rule.keep == KeepWord::kKeep
                              ? "matches a pattern that is kept"
                              : ToString(rule.keep)};
  }
  std::optional<absl::Time> used = tag.used;
  if (!used && rule.unused_counts_from_push) used = tag.pushed;
  const std::string newest =
      absl::StrCat("the newest ", rule.keep_newest, " by ",
                   rule.newest_by == NewestBy::kPushed ? "push" : "creation");
  if (is_newest) return {Kind::kKeeps, absl::StrCat("among ", newest)};
  if (rule.keep_pushed_within && tag.pushed >= now - *rule.keep_pushed_within) {
    return {Kind::kKeeps,
            absl::StrCat("pushed within ", Words(*rule.keep_pushed_within))};
  }
  if (rule.keep_used_within && used && *used >= now - *rule.keep_used_within) {
    return {Kind::kKeeps,
            absl::StrCat("used within ", Words(*rule.keep_used_within))};
  }
  if (AsksForUse(rule) && !used) {
    return {Kind::kUnknown, "no use of it is on record"};
  }
  if (rule.keep_newest > 0 && rule.newest_by == NewestBy::kCreated &&
      !tag.created) {
    return {Kind::kUnknown, "nobody knows when it was created"};
  }
  if (rule.expire_unused_after) {
    if (*used >= now - *rule.expire_unused_after) return {};
    return {Kind::kExpires,
            absl::StrCat(tag.used ? "not used for " : "never used, pushed ",
                         Words(now - *used), tag.used ? "" : " ago")};
  }
  std::string why =
      rule.keep_newest > 0 ? absl::StrCat("not among ", newest) : std::string();
  if (rule.keep_pushed_within) {
    absl::StrAppend(&why, why.empty() ? "" : ", ", "pushed ",
                    Words(now - tag.pushed), " ago");
  }
  if (rule.keep_used_within) {
    absl::StrAppend(&why, why.empty() ? "" : ", ", "last used ",
                    Words(now - *used), " ago");
  }
  return {Kind::kExpires, why};
}

// Rules that would take the last tag of a repository leave the newest.
// `may_empty` tells whose rule has the word for it.
void RetentionRules::SpareOne(absl::Span<const TagFacts> tags,
                              const std::vector<bool>& may_empty,
                              std::vector<TagVerdict>* verdicts) {
  const TagFacts* newest = nullptr;
  for (size_t i = 0; i < tags.size(); ++i) {
    if (tags[i].is_referrer) continue;
    if (!(*verdicts)[i].goes) return;
    if (may_empty[i]) continue;
    // A later push, then the smaller digest, then the smaller name.
    if (newest == nullptr ||
        std::make_tuple(-absl::ToUnixMicros(tags[i].pushed), tags[i].digest,
                        tags[i].tag) <
            std::make_tuple(-absl::ToUnixMicros(newest->pushed), newest->digest,
                            newest->tag)) {
      newest = &tags[i];
    }
  }
  if (newest == nullptr) return;
  TagVerdict& verdict = (*verdicts)[static_cast<size_t>(newest - tags.data())];
  verdict.goes = false;
  verdict.why =
      absl::StrCat("the rules would empty the repository (", verdict.why,
                   "); its newest tag stays unless allow_remove_all is set");
}

std::vector<TagVerdict> RetentionRules::Decide(absl::string_view repository,
                                               absl::Span<const TagFacts> tags,
                                               absl::Time now) const {
  using Kind = Opinion::Kind;
  std::vector<TagVerdict> verdicts(tags.size());
  std::vector<Opinion> best(tags.size());
  std::vector<bool> is_named(tags.size());
  std::vector<bool> may_empty(tags.size());
  for (const Compiled& rule : rules_) {
    if (!rule.rule.concerns_tags() || !rule.repositories.Match(repository)) {
      continue;
    }
    const std::vector<bool> newest = rule.rule.keep_newest > 0
                                         ? FindNewest(rule, tags)
                                         : std::vector<bool>(tags.size());
    for (size_t i = 0; i < tags.size(); ++i) {
      // Of a referrer rules say only that it stays; else it follows its
      // subject.
      if (tags[i].is_referrer && rule.rule.keep == KeepWord::kNone) continue;
      if (!rule.tags.Match(tags[i].tag)) continue;
      is_named[i] = true;
      Opinion opinion = Judge(rule, tags[i], newest[i], now);
      if (opinion.kind <= best[i].kind) continue;
      best[i] = std::move(opinion);
      verdicts[i].rule = rule.full_name;
      may_empty[i] = rule.allows_remove_all;
    }
  }
  for (size_t i = 0; i < tags.size(); ++i) {
    TagVerdict& verdict = verdicts[i];
    verdict.goes = best[i].kind == Kind::kExpires;
    verdict.why = std::move(best[i].why);
    if (tags[i].is_referrer && best[i].kind != Kind::kKeeps) {
      verdict = {false, "", "a referrer: it follows its subject"};
    } else if (!tags[i].hold.empty()) {
      verdict = {false, "", tags[i].hold};
    } else if (verdict.rule.empty()) {
      verdict.why = is_named[i] ? "no rule expires it" : "no rule names it";
    }
  }
  SpareOne(tags, may_empty, &verdicts);
  return verdicts;
}

RepositoryTerms RetentionRules::TermsOf(absl::string_view repository) const {
  RepositoryTerms terms;
  for (const Compiled& rule : rules_) {
    const auto& period = rule.rule.expire_untagged_after;
    if (!period || !rule.repositories.Match(repository)) continue;
    if (terms.untagged_period && *terms.untagged_period >= *period) continue;
    terms.untagged_period = period;
    terms.untagged_rule = rule.full_name;
  }
  for (const CompiledReferrer& referrer : referrers_) {
    if (!referrer.repositories.Match(repository)) continue;
    terms.referrer_rule = referrer.full_name;
    terms.fate = referrer.rule.fate;
    terms.referrer_period = referrer.rule.period;
    terms.includes_cosign_tags = referrer.rule.includes_cosign_tags;
    break;
  }
  return terms;
}

}  // namespace reclaim::gc
