// The items of an image prune: bytes, links and uploads.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/planner.h"

namespace reclaim::gc {

using index::kNoNode;
using index::NodeState;
using index::RootReason;
using store::MembershipKind;

DoomReason Planner::ReasonOf(NodeId id) const {
  const auto top = tops_.find(id);
  if (top != tops_.end()) return top->second;
  if (asked_.contains(id)) return DoomReason::kNamed;
  if ((view_.fields(id).flags & index::kReferrer) != 0) {
    return DoomReason::kSubjectGone;
  }
  return IsTopImage(id) ? DoomReason::kDangling : DoomReason::kUnreferenced;
}

std::string Planner::DetailOf(NodeId id) const {
  NodeId last = kNoNode;
  uint64_t count = 0;
  view_.ForEachKeeper(id, [&](NodeId keeper) {
    if (!view_.Exists(keeper) || !IsContent(view_.kind(keeper))) return true;
    last = std::min(last, keeper);
    ++count;
    return true;
  });
  if (count == 0) {
    return IsManifestLike(view_.kind(id)) ? "no tag names it"
                                          : "no manifest references it";
  }
  std::string text =
      absl::StrCat("only referenced by ", view_.digest(last).ToString());
  if (count > 1) absl::StrAppend(&text, " and ", count - 1, " more");
  return absl::StrCat(text, ", which nothing keeps");
}

void Planner::DoomContent() {
  for (NodeId id = 0; id < kept_.node_count(); ++id) {
    if (!IsOurs(id) || kept_.Contains(id)) continue;
    const index::NodeFields fields = view_.fields(id);
    if (!IsContent(fields.kind) || fields.kind == NodeKind::kExtent ||
        fields.state != NodeState::kPresent ||
        kept_places_.count(fields.place) > 0) {
      continue;
    }
    PlanItem item;
    item.node = id;
    item.kind = fields.kind;
    item.digest = view_.digest(id);
    item.bytes = fields.bytes;
    item.reason = ReasonOf(id);
    item.detail = DetailOf(id);
    item.last_used = fields.used;
    item.unreferenced_since = fields.unreferenced_since;
    store::Removal removal;
    removal.kind = store::RemovalKind::kBlob;
    removal.place = view_.PlaceName(fields.place);
    removal.digest = item.digest;
    item.removal = std::move(removal);
    doomed_.insert(id);
    plan_.items.push_back(std::move(item));
  }
}

// What one repository's names keep, together with what keeps content whatever
// the repository: a link of it goes when neither reaches what it links.
void Planner::DoomLinksOf(NodeId repository, const LiveSet& common) {
  const index::NamedKey key = view_.named_key(repository);
  std::vector<NodeId> stack;
  view_.ForEachNamed(NodeKind::kTag, in_.store, [&](NodeId tag) {
    if (view_.named_key(tag).scope == key.name && !doomed_.contains(tag)) {
      stack.push_back(tag);
    }
    return true;
  });
  struct Link {
    NodeId content;
    MembershipKind kind;
  };
  std::vector<Link> links;
  view_.ForEachMember(
      repository, [&](NodeId content, MembershipKind kind, absl::Time linked) {
        const bool is_young = linked + request_.policy.grace_period > in_.now;
        if (is_young) stack.push_back(content);
        links.push_back({content, kind});
        return true;
      });
  absl::flat_hash_set<NodeId> own(stack.begin(), stack.end());
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    const auto push = [&](NodeId next) {
      if (own.insert(next).second) stack.push_back(next);
    };
    for (const NodeId child : view_.Kept(id)) push(child);
    for (const NodeId referrer : view_.Referrers(id)) push(referrer);
  }
  const bool is_narrow =
      !request_.filter.empty() || !request_.only_references.empty();
  for (const Link& link : links) {
    if (own.contains(link.content) || common.Contains(link.content)) continue;
    const bool is_doomed = doomed_.contains(link.content);
    // A filter or a name selects images: links beside them stay.
    if (is_narrow && !is_doomed) continue;
    const bool is_revision = link.kind == MembershipKind::kRevision;
    PlanItem item;
    item.kind = view_.kind(link.content);
    item.scope = key.name;
    item.digest = view_.digest(link.content);
    item.reason =
        is_revision ? DoomReason::kUntaggedLink : DoomReason::kUnusedLayerLink;
    item.detail = is_revision ? "no tag of the repository reaches it"
                              : "no manifest that the repository keeps uses it";
    store::Removal removal;
    removal.kind = is_revision ? store::RemovalKind::kRevisionLink
                               : store::RemovalKind::kLayerLink;
    removal.place = view_.PlaceName(view_.fields(repository).place);
    removal.repository = key.name;
    removal.digest = item.digest;
    item.removal = std::move(removal);
    plan_.items.push_back(std::move(item));
  }
}

absl::Status Planner::DoomLinks() {
  std::vector<Root> roots;
  for (const Root& root : RemainingRoots()) {
    if (root.reason != RootReason::kTag) roots.push_back(root);
  }
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet common, MarkNow(roots));
  for (const NodeId repository : Named(NodeKind::kRepository)) {
    const std::string name = view_.named_key(repository).name;
    if (kept_repositories_.count(name) > 0 ||
        kept_places_.count(view_.fields(repository).place) > 0) {
      continue;
    }
    DoomLinksOf(repository, common);
  }
  return absl::OkStatus();
}

void Planner::DoomUploads() {
  for (const NodeId id : Named(NodeKind::kUpload)) {
    if (kept_.Contains(id) || HasKeeperThatStays(id)) continue;
    const index::NamedKey key = view_.named_key(id);
    if (kept_repositories_.count(key.scope) > 0 || !MatchesLoose(id)) continue;
    DoomRecord(id, DoomReason::kAbandonedUpload,
               "nothing was written to it within the upload lifetime");
    store::Removal removal;
    removal.kind = store::RemovalKind::kUpload;
    removal.place = view_.PlaceName(view_.fields(id).place);
    removal.repository = key.scope;
    removal.upload_id = key.name;
    plan_.items.back().removal = std::move(removal);
  }
}

// The bytes of a file with several names are freed by the last of them.
void Planner::ChargeExtents() {
  std::map<NodeId, std::vector<PlanItem*>> items;
  for (PlanItem& item : plan_.items) {
    if (item.node == kNoNode || !IsContent(item.kind)) continue;
    const NodeId extent = view_.ExtentOf(item.node);
    if (extent != kNoNode) items[extent].push_back(&item);
  }
  for (const auto& [extent, named] : items) {
    uint64_t present = 0;
    view_.ForEachKeeper(extent, [&](NodeId blob) {
      if (view_.state(blob) == NodeState::kPresent) ++present;
      return true;
    });
    if (present == named.size()) {
      named.back()->bytes += view_.fields(extent).bytes;
    }
  }
}

}  // namespace reclaim::gc
