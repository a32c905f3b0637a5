// Retention rules in a plan: the tags that they drop, and what they spare.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/planner.h"
#include "gc/retention_survey.h"

namespace reclaim::gc {

using index::RootReason;

absl::StatusOr<std::vector<TagDecision>> Planner::Survey() const {
  const std::vector<Root> roots = RemainingRoots();
  SurveyInputs inputs;
  inputs.view = in_.view;
  inputs.details = in_.details;
  inputs.store = in_.store;
  inputs.now = in_.now;
  inputs.grace_period = request_.policy.grace_period;
  inputs.roots = roots;
  inputs.is_cancelled = in_.is_cancelled;
  inputs.is_scope_kept = [this](NodeId tag) { return IsScopeKept(tag); };
  return SurveyTags(inputs, *in_.rules);
}

absl::StatusOr<std::vector<TagDecision>> Planner::Test() {
  RECLAIM_RETURN_IF_ERROR(Begin());
  if (in_.rules == nullptr) return std::vector<TagDecision>();
  return Survey();
}

absl::StatusOr<std::vector<TagDecision>> TestRules(
    const PlanInputs& inputs, const PruneRequest& request) {
  return Planner(inputs, request).Test();
}

// Tags that a rule keeps stay under every verb that drops tags by itself: a
// keep wins (SEMANTICS.md, rule 11).  Only RETENTION drops what the rules let
// go.
absl::Status Planner::ApplyRules() {
  const bool drops = request_.verb == PruneVerb::kRetention;
  if (in_.rules == nullptr || (!drops && !DropsUnusedTags())) {
    return absl::OkStatus();
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<TagDecision> decisions, Survey());
  for (const TagDecision& decision : decisions) {
    if (!decision.verdict.goes) {
      if (!decision.verdict.rule.empty()) rule_kept_.insert(decision.tag);
      continue;
    }
    if (!drops || !view_.Exists(decision.tag)) continue;
    const NodeId image = view_.Kept(decision.tag)[0];
    RECLAIM_ASSIGN_OR_RETURN(const bool matches,
                             MatchesImage(image, decision.tag));
    if (!matches) continue;
    const std::string& rule = decision.verdict.rule;
    DropTag(decision.tag, decision.reason,
            absl::StrCat(rule.empty() ? "" : "rule ", rule,
                         rule.empty() ? "" : ": ", decision.verdict.why));
  }
  return absl::OkStatus();
}

// Of an image's repositories, the one that promises the most.
RepositoryTerms Planner::TermsOf(NodeId image) const {
  std::vector<RepositoryTerms> all;
  view_.ForEachRepositoryOf(image, [&](NodeId repository) {
    all.push_back(in_.rules->TermsOf(view_.named_key(repository).name));
    return true;
  });
  if (all.empty()) all.push_back(in_.rules->TermsOf(""));
  return *std::max_element(
      all.begin(), all.end(),
      [](const RepositoryTerms& a, const RepositoryTerms& b) {
        const auto rank = [](const RepositoryTerms& terms) {
          return std::make_tuple(
              terms.untagged_period.value_or(absl::ZeroDuration()),
              terms.fate == ReferrerFate::kKeep, terms.referrer_period);
        };
        return rank(a) < rank(b);
      });
}

// Whether a rule promises more time to something that nothing reaches.
// InfiniteFuture() as its time says that it goes with this very plan: a
// referrer then stays, and an image whose tag a rule drops has had its time.
bool Planner::IsPromised(NodeId id) const {
  const index::NodeFields fields = view_.fields(id);
  const RepositoryTerms terms = TermsOf(id);
  if ((fields.flags & index::kReferrer) != 0) {
    return terms.fate == ReferrerFate::kKeep ||
           (terms.fate == ReferrerFate::kKeepFor &&
            fields.unreferenced_since + terms.referrer_period > in_.now);
  }
  return request_.verb == PruneVerb::kRetention && terms.untagged_period &&
         tops_.count(id) == 0 && IsTopImage(id) &&
         fields.unreferenced_since + *terms.untagged_period > in_.now;
}

void Planner::SpareByRules(const LiveSet& live) {
  if (in_.rules == nullptr || in_.rules->empty()) return;
  ForEachContent([&](NodeId id) {
    if (id < live.node_count() && !live.Contains(id) &&
        IsManifestLike(view_.kind(id)) &&
        view_.state(id) == index::NodeState::kPresent && IsPromised(id)) {
      spared_.push_back({id, RootReason::kSpared});
    }
  });
}

}  // namespace reclaim::gc
