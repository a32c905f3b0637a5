#include "gc/retention_survey.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/image_configs.h"
#include "gc/image_subject.h"
#include "gc/mark.h"

namespace reclaim::gc {
namespace {

using index::kNoNode;
using index::NodeFields;
using index::NodeId;
using index::NodeKind;
using index::NodeState;
using index::RootReason;

// What a root besides tags says of the tags of what it reaches.
const char* HoldWord(RootReason reason) {
  switch (reason) {
    case RootReason::kPin:
      return "pinned";
    case RootReason::kLease:
      return "leased";
    case RootReason::kContainer:
      return "a container uses it";
    case RootReason::kGrace:
      return "younger than the grace period";
    case RootReason::kInDoubt:
    case RootReason::kUnlinked:
      return "a manifest that is not understood may reference it";
    default:
      return "held by a root that is no tag";
  }
}

class Survey {
 public:
  Survey(const SurveyInputs& inputs, const RetentionRules& rules)
      : in_(inputs), view_(*inputs.view), rules_(rules) {}

  absl::StatusOr<std::vector<TagDecision>> Run() {
    RECLAIM_RETURN_IF_ERROR(MarkHolders());
    std::map<std::string, std::vector<NodeId>> repositories;
    view_.ForEachNamed(NodeKind::kTag, in_.store, [&](NodeId tag) {
      repositories[view_.named_key(tag).scope].push_back(tag);
      return true;
    });
    for (const auto& [repository, tags] : repositories) {
      RECLAIM_RETURN_IF_ERROR(DecideRepository(repository, tags));
      view_.Yield();
    }
    RECLAIM_RETURN_IF_ERROR(FollowSubjects());
    return std::move(decisions_);
  }

 private:
  struct Holder {
    RootReason reason;
    LiveSet reached;
  };

  absl::StatusOr<LiveSet> MarkFrom(const std::vector<Root>& roots) const {
    return Mark(view_, roots, {in_.is_cancelled});
  }
  absl::Status MarkHolders();
  std::string HoldOf(NodeId tag) const;
  absl::StatusOr<TagFacts> FactsOf(NodeId tag, bool asks_for_created) const;
  absl::Status DecideRepository(const std::string& repository,
                                const std::vector<NodeId>& tags);

  absl::Status FollowSubjects();
  bool IsNamedReferrer(NodeId tag) const;
  bool WasEverHere(NodeId content) const;
  bool IsByReferrerRule(const TagDecision& decision) const;
  bool WasSubjectEverHere(const TagDecision& decision) const;
  bool IsSubjectLive(const TagDecision& decision, const LiveSet& live) const;
  bool IsPromised(const TagDecision& decision,
                  const RepositoryTerms& terms) const;
  void Keep(TagDecision* decision, const char* why) const;
  void LetGo(TagDecision* decision) const;

  const SurveyInputs& in_;
  const index::GraphView& view_;
  const RetentionRules& rules_;
  std::vector<Holder> holders_;
  std::vector<TagDecision> decisions_;
};

// What stands besides tags holds every name of what it reaches.  A young layer
// makes no image young.
absl::Status Survey::MarkHolders() {
  std::map<RootReason, std::vector<Root>> by_reason;
  for (const Root& root : in_.roots) {
    const bool is_young_part = root.reason == RootReason::kGrace &&
                               !IsManifestLike(view_.kind(root.node));
    if (root.reason != RootReason::kTag && !is_young_part) {
      by_reason[root.reason].push_back(root);
    }
  }
  for (const auto& [reason, roots] : by_reason) {
    RECLAIM_ASSIGN_OR_RETURN(LiveSet reached, MarkFrom(roots));
    holders_.push_back({reason, std::move(reached)});
  }
  return absl::OkStatus();
}

// "" or why the tag stays whatever the rules say.
std::string Survey::HoldOf(NodeId tag) const {
  const auto targets = view_.Kept(tag);
  if (targets.empty() || view_.state(targets[0]) != NodeState::kPresent ||
      !IsManifestLike(view_.kind(targets[0]))) {
    return "what it names is not here, or is not understood";
  }
  if (in_.is_scope_kept && in_.is_scope_kept(tag)) {
    return "its repository could not be read whole";
  }
  std::vector<NodeId> named = {tag, targets[0]};
  if (view_.kind(targets[0]) == NodeKind::kImageIndex) {
    // An index is used with any platform that it lists.
    const auto listed = view_.Kept(targets[0]);
    named.insert(named.end(), listed.begin(), listed.end());
  }
  for (const Holder& holder : holders_) {
    for (const NodeId id : named) {
      if (id >= holder.reached.node_count() || holder.reached.Contains(id)) {
        return HoldWord(holder.reason);
      }
    }
  }
  if (view_.fields(tag).recorded + in_.grace_period > in_.now) {
    return HoldWord(RootReason::kGrace);
  }
  return "";
}

absl::StatusOr<TagFacts> Survey::FactsOf(NodeId tag,
                                         bool asks_for_created) const {
  const NodeFields fields = view_.fields(tag);
  TagFacts facts;
  facts.tag = view_.named_key(tag).name;
  facts.pushed = fields.recorded;
  facts.hold = HoldOf(tag);
  facts.is_referrer = IsNamedReferrer(tag);
  absl::Time used = fields.used;
  for (const NodeId image : view_.Kept(tag)) {
    facts.digest = view_.digest(image);
    facts.is_referrer |= (view_.fields(image).flags & index::kReferrer) != 0;
    used = std::max(used, view_.fields(image).used);
    if (view_.kind(image) == NodeKind::kImageIndex) {
      for (const NodeId listed : view_.Kept(image)) {
        used = std::max(used, view_.fields(listed).used);
      }
    }
    if (!asks_for_created) continue;
    RECLAIM_ASSIGN_OR_RETURN(const auto configs,
                             ConfigsOf(view_, *in_.details, image));
    const std::optional<absl::Time> created = CreatedOf(configs);
    // Where one platform tells no time, nobody knows.
    if (created != absl::InfiniteFuture()) facts.created = created;
  }
  if (used != absl::InfinitePast()) facts.used = used;
  return facts;
}

absl::Status Survey::DecideRepository(const std::string& repository,
                                      const std::vector<NodeId>& tags) {
  const bool asks_for_created = rules_.AsksForCreated(repository);
  std::vector<TagFacts> facts;
  std::vector<NodeId> present;
  for (const NodeId tag : tags) {
    if (!view_.Exists(tag)) continue;
    RECLAIM_ASSIGN_OR_RETURN(TagFacts one, FactsOf(tag, asks_for_created));
    facts.push_back(std::move(one));
    present.push_back(tag);
  }
  std::vector<TagVerdict> verdicts = rules_.Decide(repository, facts, in_.now);
  for (size_t i = 0; i < present.size(); ++i) {
    TagDecision decision;
    decision.tag = present[i];
    decision.repository = repository;
    decision.name = facts[i].tag;
    decision.digest = facts[i].digest;
    decision.pushed = facts[i].pushed;
    decision.used = facts[i].used.value_or(absl::InfinitePast());
    decision.is_referrer = facts[i].is_referrer;
    decision.verdict = std::move(verdicts[i]);
    if (facts[i].is_referrer && !facts[i].hold.empty()) {
      decision.verdict.why = facts[i].hold;
    }
    decisions_.push_back(std::move(decision));
  }
  return absl::OkStatus();
}

// Whether the tag is what its name says.  Anyone may name an image so, by
// chance or after its own digest: what cosign attaches is another manifest than
// its subject, and the fallback tag of the referrers API names an index of
// nothing but referrers (OCI distribution specification 1.1, "Referrers Tag
// Schema").
bool Survey::IsNamedReferrer(NodeId tag) const {
  const auto name = ParseReferrerName(view_.named_key(tag).name);
  const auto targets = view_.Kept(tag);
  if (!name || targets.empty() || view_.digest(targets[0]) == name->subject) {
    return false;
  }
  if (!name->suffix.empty()) return true;
  if (view_.kind(targets[0]) != NodeKind::kImageIndex) return false;
  const auto listed = view_.Kept(targets[0]);
  return std::all_of(listed.begin(), listed.end(), [this](NodeId id) {
    return (view_.fields(id).flags & index::kReferrer) != 0;
  });
}

// A subject of which this store has only ever heard may live elsewhere:
// signatures are kept in repositories of their own.
bool Survey::WasEverHere(NodeId content) const {
  return content != kNoNode &&
         (view_.state(content) != NodeState::kAbsent ||
          view_.fields(content).recorded > absl::UnixEpoch());
}

// Whether the fate of referrers is the tag's.  The fallback tag of the
// referrers API always is one of theirs (case 93), cosign's names where a rule
// says so (case 92).
bool Survey::IsByReferrerRule(const TagDecision& decision) const {
  const auto name = ParseReferrerName(decision.name);
  return name && decision.is_referrer && decision.verdict.rule.empty() &&
         view_.Exists(decision.tag) && HoldOf(decision.tag).empty() &&
         IsNamedReferrer(decision.tag) &&
         (name->suffix.empty() ||
          rules_.TermsOf(decision.repository).includes_cosign_tags);
}

bool Survey::WasSubjectEverHere(const TagDecision& decision) const {
  return WasEverHere(
      view_.FindContent(view_.fields(decision.tag).place,
                        ParseReferrerName(decision.name)->subject));
}

bool Survey::IsSubjectLive(const TagDecision& decision,
                           const LiveSet& live) const {
  const NodeId subject =
      view_.FindContent(view_.fields(decision.tag).place,
                        ParseReferrerName(decision.name)->subject);
  return subject != kNoNode && view_.state(subject) == NodeState::kPresent &&
         (subject >= live.node_count() || live.Contains(subject));
}

// Kept for a time: from when the subject lost its last root, or from the push
// where nobody knows that.
bool Survey::IsPromised(const TagDecision& decision,
                        const RepositoryTerms& terms) const {
  if (terms.fate != ReferrerFate::kKeepFor) return false;
  const NodeId subject =
      view_.FindContent(view_.fields(decision.tag).place,
                        ParseReferrerName(decision.name)->subject);
  const absl::Time since = subject == kNoNode
                               ? decision.pushed
                               : view_.fields(subject).unreferenced_since;
  return since + terms.referrer_period > in_.now;
}

// As a rule about tags does.
void Survey::Keep(TagDecision* decision, const char* why) const {
  decision->verdict.rule = rules_.TermsOf(decision->repository).referrer_rule;
  decision->verdict.why = why;
}

void Survey::LetGo(TagDecision* decision) const {
  const RepositoryTerms terms = rules_.TermsOf(decision->repository);
  const std::string subject =
      ParseReferrerName(decision->name)->subject.ToString();
  decision->verdict.rule = terms.referrer_rule;
  if (IsPromised(*decision, terms)) {
    decision->verdict.why =
        absl::StrCat("its subject ", subject, " is gone; kept for a time");
    return;
  }
  decision->verdict.goes = true;
  decision->verdict.why = absl::StrCat("its subject ", subject, " is gone");
  decision->reason = DoomReason::kSubjectGone;
}

// A referrer's name stays while something else keeps its subject; a signature
// of a signature as long as that stays.  So names are let in one by one until
// nothing changes (case 91).
absl::Status Survey::FollowSubjects() {
  std::vector<TagDecision*> open;
  absl::flat_hash_set<NodeId> out;
  for (TagDecision& decision : decisions_) {
    if (decision.verdict.goes) out.insert(decision.tag);
    if (!IsByReferrerRule(decision)) continue;
    if (rules_.TermsOf(decision.repository).fate == ReferrerFate::kKeep) {
      Keep(&decision, "referrers are kept");
      continue;
    }
    if (!WasSubjectEverHere(decision)) continue;
    open.push_back(&decision);
    out.insert(decision.tag);
  }
  bool is_settled = open.empty();
  while (!is_settled) {
    std::vector<Root> roots;
    for (const Root& root : in_.roots) {
      if (!out.contains(root.node)) roots.push_back(root);
    }
    RECLAIM_ASSIGN_OR_RETURN(const LiveSet live, MarkFrom(roots));
    const auto rest = std::partition(
        open.begin(), open.end(),
        [&](const TagDecision* one) { return !IsSubjectLive(*one, live); });
    is_settled = rest == open.end();
    for (auto it = rest; it != open.end(); ++it) {
      out.erase((*it)->tag);
      // Another verb may take the subject with this very plan.
      if (IsPromised(**it, rules_.TermsOf((*it)->repository))) {
        Keep(*it, "referrers are kept for a time after their subject");
      }
    }
    open.erase(rest, open.end());
  }
  for (TagDecision* decision : open) LetGo(decision);
  return absl::OkStatus();
}

}  // namespace

std::vector<std::string> FindEmptied(absl::Span<const TagDecision> decisions) {
  std::map<std::string, bool> is_emptied;
  for (const TagDecision& decision : decisions) {
    if (decision.is_referrer) continue;
    const auto [it, is_new] = is_emptied.try_emplace(decision.repository, true);
    it->second = it->second && decision.verdict.goes;
  }
  std::vector<std::string> names;
  for (const auto& [name, is_empty] : is_emptied) {
    if (is_empty) names.push_back(name);
  }
  return names;
}

absl::StatusOr<std::vector<TagDecision>> SurveyTags(
    const SurveyInputs& inputs, const RetentionRules& rules) {
  if (rules.empty()) return std::vector<TagDecision>();
  return Survey(inputs, rules).Run();
}

}  // namespace reclaim::gc
