// Quotas: each repository and tenant that has one is brought under it, by tags
// of its own that may go.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/eviction.h"
#include "gc/planner.h"

namespace reclaim::gc {

using index::kNoNode;
using index::NodeState;
using index::RootReason;

// What these tags reach, with the files behind several names.
Planner::NodeSet Planner::ReachOfTags(absl::Span<const NodeId> tags) const {
  std::vector<NodeId> starts;
  for (const NodeId tag : tags) {
    if (!view_.Exists(tag)) continue;
    for (const NodeId target : view_.Kept(tag)) starts.push_back(target);
  }
  NodeSet reached;
  Reach(std::move(starts), &reached);
  std::vector<NodeId> files;
  for (const NodeId id : reached) {
    if (const NodeId file = view_.ExtentOf(id); file != kNoNode) {
      files.push_back(file);
    }
  }
  reached.insert(files.begin(), files.end());
  return reached;
}

uint64_t Planner::LogicalBytes(const NodeSet& content) const {
  uint64_t bytes = 0;
  for (const NodeId id : content) {
    if (view_.state(id) == NodeState::kPresent) {
      bytes += view_.fields(id).bytes.logical_bytes;
    }
  }
  return bytes;
}

// What can be dropped of a group, as an EvictionProblem over logical bytes.
struct Planner::QuotaOffer {
  EvictionProblem problem;
  std::vector<std::vector<NodeId>> tags;  // by candidate
};

Planner::QuotaOffer Planner::OfferOfGroup(
    absl::Span<const NodeId> tags, const NodeSet& held,
    const std::map<NodeId, uint32_t>& regret) const {
  std::map<NodeId, std::vector<NodeId>> names;
  for (const NodeId tag : tags) {
    if (!doomed_.contains(tag) || !view_.Exists(tag)) continue;
    for (const NodeId image : view_.Kept(tag)) names[image].push_back(tag);
  }
  QuotaOffer offer;
  std::map<NodeId, uint32_t> pieces;
  for (auto& [image, of_image] : names) {
    const auto tier = regret.find(image);
    if (held.contains(image) || tier == regret.end()) continue;
    const NodeSet reach = ReachOfTags(of_image);
    std::vector<NodeId> content(reach.begin(), reach.end());
    std::sort(content.begin(), content.end());
    std::vector<uint32_t> reached;
    for (const NodeId id : content) {
      if (held.contains(id) || view_.state(id) != NodeState::kPresent) continue;
      const auto [it, is_new] = pieces.try_emplace(id, 0);
      if (is_new) {
        it->second =
            offer.problem.AddPiece(view_.fields(id).bytes.logical_bytes);
      }
      reached.push_back(it->second);
    }
    offer.problem.AddCandidate(tier->second, reached);
    offer.tags.push_back(std::move(of_image));
  }
  return offer;
}

// Bytes that no choice may touch: what pins and the rules keep of a group.
uint64_t Planner::PromisedBytes(const NodeSet& content,
                                absl::Span<const NodeId> tags,
                                const LiveSet& pinned) const {
  std::vector<NodeId> kept_by_rules;
  for (const NodeId tag : tags) {
    if (rule_kept_.contains(tag)) kept_by_rules.push_back(tag);
  }
  NodeSet promised = ReachOfTags(kept_by_rules);
  for (const NodeId id : content) {
    if (pinned.Contains(id)) promised.insert(id);
  }
  return LogicalBytes(promised);
}

void Planner::ChooseForQuota(const TagGroup& group, const LiveSet& pinned,
                             const std::map<NodeId, uint32_t>& regret,
                             NodeSet* dropped) {
  std::vector<NodeId> standing;
  std::vector<NodeId> held;
  for (const NodeId tag : group.tags) {
    if (dropped->contains(tag)) continue;
    standing.push_back(tag);
    if (!doomed_.contains(tag)) held.push_back(tag);
  }
  const NodeSet content = ReachOfTags(standing);
  const uint64_t quota = *group.quota_bytes;
  const uint64_t bytes = LogicalBytes(content);
  if (bytes <= quota) return;
  TargetOutcome& outcome = plan_.target_outcome;
  outcome.needed_bytes += bytes - quota;
  const uint64_t promised = PromisedBytes(content, standing, pinned);
  if (promised > quota) {
    outcome.short_by_bytes += bytes - quota;
    outcome.warnings.push_back(absl::StrCat(
        group.is_tenant ? "the tenant " : "the repository ", group.name,
        " has a quota of ", quota, " bytes, but ", promised, " of its ", bytes,
        " bytes are pinned or kept by rules: nothing of it goes; raise the "
        "quota, or let go of pins"));
    return;
  }
  const QuotaOffer offer = OfferOfGroup(standing, ReachOfTags(held), regret);
  const Eviction eviction =
      ChooseEvictions(offer.problem, bytes - quota, [this] { view_.Yield(); });
  outcome.short_by_bytes += eviction.short_by_bytes;
  outcome.evicted_count += eviction.evicted_count;
  // Groups may share images: of all together no more is proven than of one.
  outcome.lower_bound_count =
      std::max(outcome.lower_bound_count, eviction.lower_bound_count);
  for (const uint32_t chosen : eviction.chosen) {
    dropped->insert(offer.tags[chosen].begin(), offer.tags[chosen].end());
  }
}

absl::Status Planner::ChooseForQuotas(const std::vector<NodeId>& offered) {
  NodeSet dropped;
  if (in_.tenants != nullptr) {
    RECLAIM_ASSIGN_OR_RETURN(
        const std::vector<TagGroup> groups,
        in_.tenants->WithQuota(view_, *in_.details, in_.store));
    std::vector<Root> pins;
    for (const Root& root : roots_) {
      if (root.reason == RootReason::kPin) pins.push_back(root);
    }
    RECLAIM_ASSIGN_OR_RETURN(const LiveSet pinned, MarkNow(pins));
    const std::map<NodeId, uint32_t> regret = RegretOfImages();
    for (const TagGroup& group : groups) {
      ChooseForQuota(group, pinned, regret, &dropped);
      view_.Yield();
    }
  }
  KeepTags([&](NodeId tag) { return !dropped.contains(tag); });
  // What else is dead takes part in no quota.
  const NodeSet fallen =
      ReachOfTags(std::vector<NodeId>(dropped.begin(), dropped.end()));
  std::vector<NodeId> kept;
  for (const NodeId id : offered) {
    if (!fallen.contains(id)) kept.push_back(id);
  }
  return KeepOffered(kept);
}

}  // namespace reclaim::gc
