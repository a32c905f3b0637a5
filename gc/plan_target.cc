// No more than a target needs: what is chosen, and what stays after all.
//
// First all that may go is offered, as a plan without a target would take it;
// then the choice is made (gc/eviction.h), and what it does not need is spared.

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "gc/eviction.h"
#include "gc/eviction_offer.h"
#include "gc/planner.h"

namespace reclaim::gc {

using index::RootReason;

namespace {

constexpr uint64_t kTagsPerSlice = 1024;

}  // namespace

// What would go if all went that may go; nothing goes yet.
std::vector<index::NodeId> Planner::TryAll() {
  NodeBits doomed = doomed_;
  DraftItems items = std::move(items_);
  items_ = DraftItems();
  // Without its items: most of what is offered may well stay.
  std::vector<NodeId> offered;
  ForEachContent([&](NodeId id) {
    if (!DoomsContent(id)) return;
    doomed_.insert(id);
    offered.push_back(id);
  });
  DoomUploads();
  PlanSnapshots();
  for (const NodeId record : items_.Nodes()) offered.push_back(record);
  items_ = std::move(items);
  doomed_ = std::move(doomed);
  std::sort(offered.begin(), offered.end());
  return offered;
}

// Takes dropped tags back: those that are kept after all, and those that have
// moved or gone meanwhile.
void Planner::KeepTags(absl::FunctionRef<bool(NodeId)> is_kept) {
  tops_.clear();
  uint64_t step = 0;
  items_.KeepTagsIf([&](const DraftItems::Tag& tag) {
    if (++step % kTagsPerSlice == 0) view_.Yield();
    const auto targets = view_.Exists(tag.node) ? view_.Kept(tag.node)
                                                : absl::Span<const NodeId>();
    if (targets.empty() || is_kept(tag.node)) {
      doomed_.erase(tag.node);
      return false;
    }
    for (const NodeId target : targets) tops_.emplace(target, tag.reason);
    return true;
  });
}

// Whether a name goes or stays with a subject that is here.  What only looks
// like a signature's is an image's like any other: the rules say so, or it
// names its own digest.
bool Planner::WaitsForSubject(const DraftItems::Tag& tag) const {
  if (!view_.Exists(tag.node) || tag.reason == DoomReason::kRetention) {
    return false;
  }
  const auto name = ParseReferrerName(view_.named_key(tag.node).name);
  if (!name || (tag.target != index::kNoNode &&
                view_.digest(tag.target) == name->subject)) {
    return false;
  }
  const NodeId subject =
      view_.FindContent(view_.fields(tag.node).place, name->subject);
  // No choice decides about one that had gone before.
  return subject != index::kNoNode &&
         view_.state(subject) == index::NodeState::kPresent;
}

namespace {

// What no container uses may be a signature of something that is not kept here
// at all: nothing of this store says that it has gone.
bool IsOfSubjectElsewhere(const index::GraphView& view,
                          const DraftItems::Tag& tag) {
  if (tag.reason != DoomReason::kUnused || !view.Exists(tag.node)) return false;
  const auto name = ParseReferrerName(view.named_key(tag.node).name);
  if (!name || name->suffix.empty()) return false;
  const index::NodeId subject =
      view.FindContent(view.fields(tag.node).place, name->subject);
  return subject == index::kNoNode ||
         (view.state(subject) == index::NodeState::kAbsent &&
          view.fields(subject).recorded <= absl::UnixEpoch());
}

}  // namespace

// A signature's name goes with its subject, for nothing runs a signature.
// Whether that goes is not known before the last mark, and where there is a
// target before the choice is made: till then it stays.
void Planner::KeepReferrerNames() {
  NodeSet names;
  for (const DraftItems::Tag& tag : items_.tags()) {
    if (IsOfSubjectElsewhere(view_, tag)) names.insert(tag.node);
    if (!WaitsForSubject(tag)) continue;
    referrer_names_.push_back(tag);
    names.insert(tag.node);
  }
  KeepTags([&](NodeId tag) { return names.contains(tag); });
}

// It is known what goes: its names fall, and a signature of a signature as soon
// as that does.  Their bytes come on top of what a target asks for.
absl::Status Planner::DropNamesOfGoneSubjects() {
  bool has_dropped = !referrer_names_.empty();
  while (has_dropped) {
    has_dropped = false;
    for (const DraftItems::Tag& name : referrer_names_) {
      const NodeId tag = name.node;
      if (!view_.Exists(tag) || doomed_.contains(tag)) continue;
      const NodeId subject = view_.FindContent(
          view_.fields(tag).place,
          ParseReferrerName(view_.named_key(tag).name)->subject);
      if (subject == index::kNoNode || subject >= kept_.node_count() ||
          kept_.Contains(subject) ||
          view_.state(subject) != index::NodeState::kPresent ||
          kept_places_.count(view_.fields(subject).place) > 0) {
        continue;
      }
      doomed_.insert(tag);
      for (const NodeId target : view_.Kept(tag)) {
        tops_.emplace(target, name.reason);
      }
      items_.AddTag(tag, name.target, name.reason, *name.detail);
      has_dropped = true;
    }
    if (!has_dropped) break;
    RECLAIM_ASSIGN_OR_RETURN(kept_, MarkNow(RemainingRoots()));
    // What its name alone kept may be promised more time (case 87).
    const size_t spared_count = spared_.size();
    SpareByRules(kept_);
    if (spared_.size() == spared_count) continue;
    RECLAIM_ASSIGN_OR_RETURN(kept_, MarkNow(RemainingRoots()));
  }
  return absl::OkStatus();
}

absl::Status Planner::KeepOffered(absl::Span<const NodeId> kept) {
  for (const NodeId id : kept) {
    if (IsContent(view_.kind(id))) {
      spared_.push_back({id, RootReason::kSpared});
    } else if (view_.kind(id) == NodeKind::kUpload) {
      kept_uploads_.insert(id);
    }
  }
  RECLAIM_ASSIGN_OR_RETURN(kept_, MarkNow(RemainingRoots()));
  return absl::OkStatus();
}

absl::Status Planner::ChooseForTarget() {
  const std::vector<NodeId> offered = TryAll();
  return request_.target.kind == TargetKind::kQuotas ? ChooseForQuotas(offered)
                                                     : ChooseForSpace(offered);
}

// By regret: what nothing names, and names whose subject has gone; tags that a
// rule lets go; tags that nothing uses.  Within each of the latter what was
// used last longest ago.
std::map<index::NodeId, uint32_t> Planner::RegretOfImages() const {
  std::map<NodeId, uint32_t> tiers;
  uint64_t step = 0;
  for (const DraftItems::Tag& tag : items_.tags()) {
    if (++step % kTagsPerSlice == 0) view_.Yield();
    if (!view_.Exists(tag.node)) continue;
    for (const NodeId image : view_.Kept(tag.node)) {
      absl::Time used =
          std::max(view_.fields(image).used, view_.fields(tag.node).used);
      // Never used: the push stands for it.
      if (used == absl::InfinitePast()) used = view_.fields(tag.node).recorded;
      const uint32_t first = tag.reason == DoomReason::kRetention
                                 ? kNoRegretTier + 1
                                 : kNoRegretTier + 1 + kRecencyTierCount;
      const uint32_t regret = tag.reason == DoomReason::kSubjectGone
                                  ? kNoRegretTier
                                  : first + RecencyTier(in_.now - used);
      uint32_t& tier = tiers[image];
      tier = std::max(tier, regret);
    }
  }
  return tiers;
}

absl::Status Planner::ChooseForSpace(const std::vector<NodeId>& offered) {
  const EvictionOffer offer(view_, kept_, offered, RegretOfImages());
  const Eviction eviction = ChooseEvictions(offer.problem(), target_.free_bytes,
                                            [this] { view_.Yield(); });
  plan_.target_outcome.short_by_bytes += eviction.short_by_bytes;
  plan_.target_outcome.evicted_count = eviction.evicted_count;
  plan_.target_outcome.lower_bound_count = eviction.lower_bound_count;
  const NodeSet gone = offer.GoneWith(eviction.chosen);
  KeepTags([&](NodeId tag) { return !gone.contains(view_.Kept(tag)[0]); });
  std::vector<NodeId> kept;
  for (const NodeId id : offered) {
    if (!gone.contains(id)) kept.push_back(id);
  }
  return KeepOffered(kept);
}

}  // namespace reclaim::gc
