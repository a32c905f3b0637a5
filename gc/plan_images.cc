// Which images go: tags that are dropped, and what the filter spares.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/planner.h"
#include "oci/name.h"

namespace reclaim::gc {

using index::NodeState;
using index::RootReason;

bool Planner::IsTopImage(NodeId id) const {
  if (!IsManifestLike(view_.kind(id))) return false;
  if ((view_.fields(id).flags & index::kReferrer) != 0) return false;
  bool is_listed = false;
  view_.ForEachKeeper(id, [&](NodeId keeper) {
    is_listed = view_.kind(keeper) == NodeKind::kImageIndex &&
                view_.state(keeper) == NodeState::kPresent;
    return !is_listed;
  });
  return !is_listed;
}

std::vector<Root> Planner::RemainingRoots() const {
  std::vector<Root> remaining;
  for (const Root& root : roots_) {
    if (!doomed_.contains(root.node)) remaining.push_back(root);
  }
  remaining.insert(remaining.end(), spared_.begin(), spared_.end());
  return remaining;
}

absl::StatusOr<LiveSet> Planner::MarkNow(const std::vector<Root>& roots) const {
  return Mark(view_, roots, {in_.is_cancelled});
}

absl::Status Planner::DropTag(NodeId tag, DoomReason reason,
                              std::string detail) {
  const index::NamedKey key = view_.named_key(tag);
  if (kept_repositories_.count(key.scope) > 0) return absl::OkStatus();
  DoomRecord(tag, reason, std::move(detail));
  PlanItem& item = plan_.items.back();
  store::Removal removal;
  removal.kind = store::RemovalKind::kTag;
  removal.place = view_.PlaceName(view_.fields(tag).place);
  removal.repository = key.scope;
  removal.tag = key.name;
  for (const NodeId target : view_.Kept(tag)) {
    removal.digest = view_.digest(target);
    tops_.emplace(target, reason);
  }
  item.digest = removal.digest;
  item.removal = std::move(removal);
  return absl::OkStatus();
}

// "Unused": no container reaches the image, nor a platform that it lists.
absl::Status Planner::DropUnusedTags() {
  std::vector<Root> containers;
  for (const Root& root : RemainingRoots()) {
    if (root.reason != RootReason::kTag && root.reason != RootReason::kGrace) {
      containers.push_back(root);
    }
  }
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet used, MarkNow(containers));
  const auto is_used = [&](NodeId image) {
    if (used.Contains(image)) return true;
    if (view_.kind(image) != NodeKind::kImageIndex) return false;
    const auto listed = view_.Kept(image);
    return std::any_of(listed.begin(), listed.end(),
                       [&](NodeId id) { return used.Contains(id); });
  };
  for (const NodeId tag : Named(NodeKind::kTag)) {
    const auto targets = view_.Kept(tag);
    if (targets.empty() || is_used(targets[0])) continue;
    // A name that a pin or a lease holds stays.
    if (used.Contains(tag)) continue;
    // A tag on something that is not here, or not understood, names what
    // nobody has judged.
    if (view_.state(targets[0]) != NodeState::kPresent ||
        !IsManifestLike(view_.kind(targets[0]))) {
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(const bool matches, MatchesImage(targets[0]));
    if (!matches) continue;
    RECLAIM_RETURN_IF_ERROR(
        DropTag(tag, DoomReason::kUnused, "no container uses the image"));
  }
  return absl::OkStatus();
}

absl::Status Planner::DropReference(const std::string& text) {
  if (const auto digest = oci::Digest::Parse(text); digest.ok()) {
    bool found = false;
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (!IsOurs(id) || !IsContent(view_.kind(id)) ||
          view_.digest(id) != *digest) {
        continue;
      }
      found = true;
      asked_.insert(id);
    }
    if (found) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat(text, " is not known"));
  }
  RECLAIM_ASSIGN_OR_RETURN(const oci::Reference reference,
                           oci::ParseReference(text));
  bool found = false;
  for (const NodeId tag : Named(NodeKind::kTag)) {
    const index::NamedKey key = view_.named_key(tag);
    if (key.scope != reference.repository) continue;
    const auto targets = view_.Kept(tag);
    if (reference.digest) {
      if (targets.empty() || view_.digest(targets[0]) != *reference.digest) {
        continue;
      }
    } else if (!reference.tag.empty() && key.name != reference.tag) {
      continue;
    }
    found = true;
    for (const NodeId target : targets) asked_.insert(target);
    RECLAIM_RETURN_IF_ERROR(
        DropTag(tag, DoomReason::kNamed, "named by the caller"));
  }
  if (reference.digest && !found) {
    return DropReference(reference.digest->ToString());
  }
  if (found) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("no tag is named ", text));
}

absl::Status Planner::DropNamedReferences() {
  for (const std::string& text : request_.only_references) {
    RECLAIM_RETURN_IF_ERROR(DropReference(text));
  }
  // A digest that tags still name: which of them to drop, the caller says.
  for (const NodeId id : asked_) {
    std::vector<std::string> names;
    view_.ForEachKeeper(id, [&](NodeId keeper) {
      if (view_.kind(keeper) == NodeKind::kTag && view_.Exists(keeper) &&
          !doomed_.contains(keeper)) {
        const index::NamedKey key = view_.named_key(keeper);
        names.push_back(absl::StrCat(key.scope, ":", key.name));
      }
      return true;
    });
    if (names.empty() || tops_.count(id) > 0) continue;
    std::sort(names.begin(), names.end());
    std::string list;
    for (const std::string& name : names) absl::StrAppend(&list, " ", name);
    return absl::FailedPreconditionError(
        absl::StrCat(view_.digest(id).ToString(), " is named by", list,
                     "; remove these names instead"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Planner::MatchesImage(NodeId image) const {
  const index::NodeFields fields = view_.fields(image);
  FilterSubject subject;
  subject.times[TimeClock::kRecorded] = fields.recorded;
  if (fields.used != absl::InfinitePast()) {
    subject.times[TimeClock::kUsed] = fields.used;
    subject.times[TimeClock::kPulled] = fields.used;
  }
  if (fields.unreferenced_since < in_.now) {
    subject.times[TimeClock::kUntagged] = fields.unreferenced_since;
  }
  view_.ForEachKeeper(image, [&](NodeId keeper) {
    if (view_.kind(keeper) != NodeKind::kTag || !view_.Exists(keeper)) {
      return true;
    }
    const index::NamedKey key = view_.named_key(keeper);
    subject.references.push_back(absl::StrCat(key.scope, ":", key.name));
    absl::Time& pushed = subject.times[TimeClock::kPushed];
    pushed = std::max(pushed, view_.fields(keeper).recorded);
    return true;
  });
  view_.ForEachRepositoryOf(image, [&](NodeId repository) {
    subject.references.push_back(absl::StrCat(
        view_.named_key(repository).name, "@", view_.digest(image).ToString()));
    return true;
  });
  std::vector<index::PutImageConfig> configs;
  std::vector<NodeId> manifests = {image};
  for (const NodeId child : view_.Kept(image)) manifests.push_back(child);
  for (const NodeId manifest : manifests) {
    if (!IsManifestLike(view_.kind(manifest))) continue;
    for (const NodeId child : view_.Kept(manifest)) {
      if (view_.kind(child) != NodeKind::kConfig) continue;
      RECLAIM_ASSIGN_OR_RETURN(auto config, in_.details->GetImageConfig(child));
      if (config) configs.push_back(*std::move(config));
    }
  }
  for (const index::PutImageConfig& config : configs) {
    subject.labels.push_back(&config.labels);
    if (config.created) {
      absl::Time& created = subject.times[TimeClock::kCreated];
      created = std::max(created, *config.created);
    }
  }
  return Matches(request_.filter, subject);
}

// Content that belongs to no image has a record time and nothing else.
bool Planner::MatchesLoose(NodeId content) const {
  FilterSubject subject;
  subject.times[TimeClock::kRecorded] = view_.fields(content).recorded;
  return Matches(request_.filter, subject);
}

absl::Status Planner::SpareByFilter(const LiveSet& live) {
  Filter filter = request_.filter;
  filter.dangling.reset();
  if (filter.empty()) return absl::OkStatus();
  std::vector<Root> images;
  for (NodeId id = 0; id < view_.node_count(); ++id) {
    if (!IsOurs(id) || live.Contains(id) || !IsTopImage(id)) continue;
    images.push_back({id, RootReason::kSpared});
    RECLAIM_ASSIGN_OR_RETURN(const bool matches, MatchesImage(id));
    if (!matches) spared_.push_back({id, RootReason::kSpared});
  }
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet of_images, MarkNow(images));
  for (NodeId id = 0; id < view_.node_count(); ++id) {
    if (!IsOurs(id) || !IsContent(view_.kind(id)) || live.Contains(id)) {
      continue;
    }
    if (!of_images.Contains(id) && !MatchesLoose(id)) {
      spared_.push_back({id, RootReason::kSpared});
    }
  }
  return absl::OkStatus();
}

// Explicit removal takes what the names reach and nothing else that is dead.
absl::Status Planner::SpareByName(const LiveSet& live) {
  std::vector<Root> asked;
  for (const NodeId id : asked_) asked.push_back({id, RootReason::kNone});
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet reach, MarkNow(asked));
  for (NodeId id = 0; id < view_.node_count(); ++id) {
    if (IsOurs(id) && IsContent(view_.kind(id)) && !live.Contains(id) &&
        !reach.Contains(id)) {
      spared_.push_back({id, RootReason::kSpared});
    }
  }
  return absl::OkStatus();
}

absl::Status Planner::PlanImages() {
  const bool is_explicit = !request_.only_references.empty();
  if (is_explicit) {
    RECLAIM_RETURN_IF_ERROR(DropNamedReferences());
  } else if (DropsUnusedTags()) {
    RECLAIM_RETURN_IF_ERROR(DropUnusedTags());
  }
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet live, MarkNow(RemainingRoots()));
  RECLAIM_RETURN_IF_ERROR(is_explicit ? SpareByName(live)
                                      : SpareByFilter(live));
  RECLAIM_ASSIGN_OR_RETURN(kept_, MarkNow(RemainingRoots()));
  DoomContent();
  RECLAIM_RETURN_IF_ERROR(DoomLinks());
  if (!is_explicit) DoomUploads();
  return absl::OkStatus();
}

}  // namespace reclaim::gc
