// "Unused": the tags of images that no container uses.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/planner.h"
#include "oci/name.h"

namespace reclaim::gc {

using index::NodeState;
using index::RootReason;

void Planner::DropTag(NodeId tag, DoomReason reason,
                      const std::string& detail) {
  if (doomed_.contains(tag)) return;
  NodeId named = index::kNoNode;
  for (const NodeId target : view_.Kept(tag)) {
    named = target;
    tops_.emplace(target, reason);
  }
  doomed_.insert(tag);
  items_.AddTag(tag, named, reason, detail);
}

// "repo:tag" as the containers that stay name their images.
std::set<std::string> Planner::NamesThatContainersWrote() const {
  std::set<std::string> names;
  for (const NodeId id : Named(NodeKind::kContainer)) {
    if (doomed_.contains(id)) continue;
    const auto record = in_.details->GetNamed(id);
    // Without a record no name is known; the content is kept all the same.
    if (!record.ok()) continue;
    const auto* container = std::get_if<index::PutContainer>(&*record);
    if (container == nullptr || container->image_reference.empty()) continue;
    names.insert(container->image_reference);
    const auto reference = oci::ParseReference(container->image_reference);
    if (!reference.ok() || (reference->tag.empty() && reference->digest)) {
      continue;
    }
    const std::string tag = reference->tag.empty() ? "latest" : reference->tag;
    names.insert(absl::StrCat(reference->repository, ":", tag));
    names.insert(
        absl::StrCat(oci::FamiliarRepository(reference->repository), ":", tag));
  }
  return names;
}

// An index is used with any platform that it lists.
bool Planner::Uses(const LiveSet& live, NodeId image) const {
  if (live.Contains(image)) return true;
  if (view_.kind(image) != NodeKind::kImageIndex) return false;
  const auto listed = view_.Kept(image);
  return std::any_of(listed.begin(), listed.end(),
                     [&](NodeId id) { return live.Contains(id); });
}

// What stands besides tags and containers, young images among it, holds every
// name of what it reaches.
bool Planner::IsTagHeld(NodeId tag, const LiveSet& held) const {
  const auto targets = view_.Kept(tag);
  // A tag on something that is not here, or not understood, names what nobody
  // has judged.
  if (targets.empty() || view_.state(targets[0]) != NodeState::kPresent ||
      !IsManifestLike(view_.kind(targets[0]))) {
    return true;
  }
  const index::NodeFields fields = view_.fields(tag);
  return held.Contains(tag) || Uses(held, targets[0]) ||
         IsYoung(fields.recorded) || IsScopeKept(tag);
}

// A container holds the content that it uses, the name it was created with
// while that names this content, and else one name: the last in byte order
// (cases 6 to 8).
void Planner::AddSpareNames(const std::map<std::string, NodeId>& names,
                            const std::set<std::string>& written,
                            std::vector<NodeId>* unused) {
  const bool is_written = std::any_of(
      names.begin(), names.end(),
      [&](const auto& name) { return written.count(name.first) > 0; });
  for (const auto& [name, tag] : names) {
    const bool stays =
        is_written ? written.count(name) > 0 : name == names.rbegin()->first;
    if (!stays) unused->push_back(tag);
  }
}

absl::Status Planner::DropUnusedTags() {
  std::vector<Root> holders;
  std::vector<Root> containers;
  for (const Root& root : RemainingRoots()) {
    const bool is_young_part = root.reason == RootReason::kGrace &&
                               !IsManifestLike(view_.kind(root.node));
    if (root.reason == RootReason::kTag || is_young_part) continue;
    (root.reason == RootReason::kContainer ? containers : holders)
        .push_back(root);
  }
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet held, MarkNow(holders));
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet used, MarkNow(containers));
  std::vector<NodeId> unused;
  std::map<NodeId, std::map<std::string, NodeId>> used_images;
  for (const NodeId tag : Named(NodeKind::kTag)) {
    if (doomed_.contains(tag) || rule_kept_.contains(tag) ||
        IsTagHeld(tag, held)) {
      continue;
    }
    const NodeId image = view_.Kept(tag)[0];
    if (Uses(used, image)) {
      const index::NamedKey key = view_.named_key(tag);
      used_images[image][absl::StrCat(key.scope, ":", key.name)] = tag;
    } else {
      unused.push_back(tag);
    }
  }
  const std::set<std::string> written = NamesThatContainersWrote();
  for (const auto& [image, names] : used_images) {
    AddSpareNames(names, written, &unused);
  }
  for (const NodeId tag : unused) {
    const NodeId image = view_.Kept(tag)[0];
    RECLAIM_ASSIGN_OR_RETURN(const bool matches, MatchesImage(image, tag));
    if (!matches) continue;
    DropTag(tag, DoomReason::kUnused,
            Uses(used, image)
                ? "containers use the image by another name, or by none"
                : "no container uses the image");
  }
  return absl::OkStatus();
}

}  // namespace reclaim::gc
