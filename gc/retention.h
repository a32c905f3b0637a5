// gc/retention.h — which tags go, which stay, and which rule says so.
//
// Pure: rules, the facts of one repository's tags and an instant go in, one
// verdict a tag comes out.  Nothing here knows a graph, a store or a clock.
//
// A rule names tags (by store, repository and tag) and says one or more things
// of them.  What becomes of a tag:
//
//   1. something holds it (a pin, a lease, a container, grace)   it stays
//   2. it is a referrer's name (sha256-<hex>.sig, ...)          see 5
//   3. no rule names it                                         it stays
//   4. a rule keeps it, or a rule that names it asks for a time
//      that nobody has told                                     it stays
//      else                                                     it goes
//   5. a referrer's name follows its subject by a referrer rule, and takes no
//      place in "newest N"
//
// So a keep wins over any expire whatever the order, and what is unknown keeps.
// The precedence table for people is docs/POLICIES.md.

#ifndef RECLAIM_GC_RETENTION_H_
#define RECLAIM_GC_RETENTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gc/name_pattern.h"
#include "oci/digest.h"

namespace reclaim::gc {

// Values are stored on disk: never renumber.
enum class NewestBy : uint8_t { kPushed = 1, kCreated = 2 };
enum class KeepWord : uint8_t {
  kNone = 0,
  kKeep = 1,
  kImmutable = 2,
  kPinned = 3,
};
const char* ToString(KeepWord word);

struct RetentionRule {
  std::string name;  // [a-z0-9][a-z0-9._-]{0,62}, unique in its set
  // Patterns (gc/name_pattern.h); empty: all.
  std::vector<std::string> stores;
  std::vector<std::string> repositories;
  std::vector<std::string> tags;

  // Keeps all that the rule names; stands alone in its rule.
  KeepWord keep = KeepWord::kNone;
  // Keeps the newest N images among the tags that the rule names in each
  // repository; 0 is unset.  Tags of one image share one place.
  uint32_t keep_newest = 0;
  NewestBy newest_by = NewestBy::kPushed;
  std::optional<absl::Duration> keep_used_within;
  std::optional<absl::Duration> keep_pushed_within;
  // A tag goes when its last use is longer ago.
  std::optional<absl::Duration> expire_unused_after;
  // With the two rules about use: a tag of which no use is on record counts as
  // used when it was pushed.  Else it stays (SEMANTICS.md, case 139).
  bool unused_counts_from_push = false;
  // Untagged images of the repositories stay so long after they lost their last
  // name; such a rule names no tags and stands alone.
  std::optional<absl::Duration> expire_untagged_after;

  bool concerns_tags() const { return !expire_untagged_after; }
};

// What becomes of referrers (OCI: manifests with a subject) once their subject
// has gone.  Values are stored on disk: never renumber.
enum class ReferrerFate : uint8_t { kCascade = 1, kKeep = 2, kKeepFor = 3 };
const char* ToString(ReferrerFate fate);

struct ReferrerRule {
  std::string name;
  std::vector<std::string> stores;
  std::vector<std::string> repositories;
  ReferrerFate fate = ReferrerFate::kCascade;
  absl::Duration period;  // of kKeepFor
  // Tags like sha256-<hex>.sig follow the image with that digest as well.
  bool includes_cosign_tags = false;
};

struct RuleSet {
  std::string name;
  std::vector<RetentionRule> rules;
  std::vector<ReferrerRule> referrers;
  // Without this word a set leaves each repository one tag at the least.
  bool allow_remove_all = false;
  // Filled in by whoever keeps the set (gc/policy_book.h).
  std::string etag;
  std::string actor;
  absl::Time changed = absl::InfinitePast();
  bool is_from_file = false;
};

// Checks what can be checked without a store.  INVALID_ARGUMENT naming the
// rule, what is wrong and what to do: a pattern that can't be read, a rule that
// says nothing or contradicts itself, one that can never match, one that
// another hides, a catch-all that is not the last, a name given twice.
absl::Status CheckRuleSet(const RuleSet& set);

// One tag as the rules see it.  Facts of one call are of one repository.
struct TagFacts {
  std::string tag;
  oci::Digest digest;
  absl::Time pushed;  // of the tag, not of its content (case 144)
  std::optional<absl::Time> created;
  std::optional<absl::Time> used;
  // A manifest with a subject, or what a referrer's name names.
  bool is_referrer = false;
  // "" or why it stays whatever the rules say.
  std::string hold;
};

struct TagVerdict {
  bool goes = false;
  std::string rule;  // "SET/RULE"; "" where no rule decided
  std::string why;   // for a person
};

// What untagged images and referrers of a repository are promised.
struct RepositoryTerms {
  std::string untagged_rule;
  std::optional<absl::Duration> untagged_period;
  std::string referrer_rule;
  ReferrerFate fate = ReferrerFate::kCascade;
  absl::Duration referrer_period;
  bool includes_cosign_tags = false;
};

// The rules of all sets that concern one store, ready to decide.
// Immutable; thread-safe.
class RetentionRules {
 public:
  // INVALID_ARGUMENT as CheckRuleSet().
  static absl::StatusOr<RetentionRules> Compile(absl::Span<const RuleSet> sets,
                                                absl::string_view store);

  bool empty() const { return rules_.empty() && referrers_.empty(); }
  bool concerns_tags() const;
  // Whether a rule asks when images of the repository were created.
  bool AsksForCreated(absl::string_view repository) const;

  // One verdict for each of `tags`, in their order.  Time O(tags log tags).
  std::vector<TagVerdict> Decide(absl::string_view repository,
                                 absl::Span<const TagFacts> tags,
                                 absl::Time now) const;

  // The longest period wins; of referrer rules the first that names it.
  RepositoryTerms TermsOf(absl::string_view repository) const;

 private:
  struct Compiled {
    RetentionRule rule;
    std::string full_name;
    bool allows_remove_all = false;
    NamePatterns repositories;
    NamePatterns tags;
  };
  struct CompiledReferrer {
    ReferrerRule rule;
    std::string full_name;
    NamePatterns repositories;
  };
  struct Opinion;

  static std::vector<bool> FindNewest(const Compiled& rule,
                                      absl::Span<const TagFacts> tags);
  static Opinion Judge(const Compiled& rule, const TagFacts& tag,
                       bool is_newest, absl::Time now);
  static void SpareOne(absl::Span<const TagFacts> tags,
                       const std::vector<bool>& may_empty,
                       std::vector<TagVerdict>* verdicts);

  std::vector<Compiled> rules_;
  std::vector<CompiledReferrer> referrers_;
};

// "sha256-<hex>" (a fallback tag of the referrers API) and "sha256-<hex>.sig",
// ".att", ".sbom" (cosign): the digest of the subject and the suffix.
struct ReferrerName {
  oci::Digest subject;
  std::string suffix;  // "" for a fallback tag
};
std::optional<ReferrerName> ParseReferrerName(absl::string_view tag);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RETENTION_H_
