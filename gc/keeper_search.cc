#include "gc/keeper_search.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace reclaim::gc {

using index::kNoNode;
using index::NodeFields;
using index::NodeId;
using index::NodeKind;
using index::NodeState;

bool KeeperSearch::IsFlatLease(NodeId node) const {
  return view_.kind(node) == NodeKind::kLease &&
         (view_.fields(node).flags & index::kFlat) != 0;
}

bool KeeperSearch::HasYoungLink(NodeId node, NodeId repository) const {
  for (const store::MembershipKind kind :
       {store::MembershipKind::kRevision, store::MembershipKind::kLayer}) {
    const auto linked = view_.LinkedAt(repository, node, kind);
    if (linked && *linked + terms_.grace_period > terms_.now) return true;
  }
  return false;
}

Keeper KeeperSearch::JudgeContent(NodeId node, Question question,
                                  NodeId repository) const {
  const NodeFields f = view_.fields(node);
  if ((f.flags & index::kOpaque) != 0) {
    return {SkipReason::kScopeKept, "a manifest that is not understood"};
  }
  if (view_.DoubtAbout(node) == index::Doubt::kReach) {
    return {SkipReason::kScopeKept,
            "a manifest beside it is not understood and may reference it"};
  }
  if ((f.flags & index::kOnlyName) != 0 && !unnamed_.contains(node)) {
    return {SkipReason::kBecameLive, "the only name in its layout"};
  }
  const bool was_touched =
      f.stamp >= terms_.epoch || f.recorded > terms_.planned;
  if (f.state == NodeState::kPresent && was_touched &&
      f.kind != NodeKind::kExtent) {
    return {SkipReason::kTouched,
            absl::StrCat("a writer asked for or referenced ",
                         view_.digest(node).ToString())};
  }
  if (f.state == NodeState::kPresent && f.kind != NodeKind::kExtent &&
      f.recorded + terms_.grace_period > terms_.now) {
    return {SkipReason::kBecameLive,
            absl::StrCat(view_.digest(node).ToString(),
                         " is younger than the grace period")};
  }
  if (question == Question::kRepository && HasYoungLink(node, repository)) {
    return {SkipReason::kBecameLive, "a link younger than the grace period"};
  }
  return {};
}

Keeper KeeperSearch::JudgeOne(NodeId node, Question question,
                              NodeId repository) const {
  const NodeFields f = view_.fields(node);
  if (IsContent(f.kind)) return JudgeContent(node, question, repository);
  const index::NamedKey key = view_.named_key(node);
  switch (f.kind) {
    case NodeKind::kTag:
      if (question == Question::kRepository &&
          key.scope != view_.named_key(repository).name) {
        return {};
      }
      return {SkipReason::kBecameLive,
              absl::StrCat("tagged ", key.scope, ":", key.name)};
    case NodeKind::kLease:
      // An expiry that is exactly now has not passed (SEMANTICS.md, rule 9).
      if (f.expires < terms_.now) return {};
      return {SkipReason::kLeased, absl::StrCat("lease ", key.name)};
    case NodeKind::kUpload:
      if (f.expires < terms_.now ||
          f.recorded + terms_.upload_lifetime <= terms_.now) {
        return {};
      }
      return {SkipReason::kInUse, absl::StrCat("upload ", key.name)};
    case NodeKind::kContainer:
    case NodeKind::kVolume:
    case NodeKind::kNetwork:
    case NodeKind::kBuildCache:
      return {SkipReason::kInUse,
              absl::StrCat(index::ToString(f.kind), " ", key.name)};
    case NodeKind::kPin:
      return {SkipReason::kBecameLive, absl::StrCat("pin ", key.name)};
    default:
      return {};  // snapshots pass on what keeps them
  }
}

Keeper KeeperSearch::Walk(NodeId top, Question question, NodeId repository,
                          absl::flat_hash_set<NodeId>* seen) const {
  std::vector<NodeId> stack = {top};
  seen->insert(top);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    Keeper keeper = JudgeOne(id, question, repository);
    if (keeper.reason != SkipReason::kNone) return keeper;
    view_.ForEachKeeper(id, [&](NodeId above) {
      if (!view_.Exists(above) || IsLeaving(above)) return true;
      // A flat lease keeps what it names and passes nothing on, but along
      // snapshots.
      if (IsFlatLease(above) && view_.kind(id) != NodeKind::kSnapshot) {
        return true;
      }
      if (!dead_.contains(above) && seen->insert(above).second) {
        stack.push_back(above);
      }
      return true;
    });
  }
  return {};
}

Keeper KeeperSearch::FindFlatLease(NodeId node) const {
  Keeper found;
  view_.ForEachKeeper(node, [&](NodeId above) {
    if (!view_.Exists(above) || IsLeaving(above) || !IsFlatLease(above)) {
      return true;
    }
    found = JudgeOne(above, Question::kRoot, kNoNode);
    return found.reason == SkipReason::kNone;
  });
  return found;
}

Keeper KeeperSearch::FindRoot(NodeId node) {
  Keeper keeper = FindFlatLease(node);
  if (keeper.reason != SkipReason::kNone || dead_.contains(node)) return keeper;
  absl::flat_hash_set<NodeId> seen;
  keeper = Walk(node, Question::kRoot, kNoNode, &seen);
  if (keeper.reason == SkipReason::kNone)
    dead_.insert(seen.begin(), seen.end());
  return keeper;
}

Keeper KeeperSearch::FindInRepository(NodeId node, NodeId repository) {
  Keeper keeper = FindFlatLease(node);
  if (keeper.reason != SkipReason::kNone || dead_.contains(node)) return keeper;
  absl::flat_hash_set<NodeId> seen;
  return Walk(node, Question::kRepository, repository, &seen);
}

}  // namespace reclaim::gc
