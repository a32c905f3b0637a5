// The links of repositories, judged one repository at a time after the whole
// mark (SEMANTICS.md, cases 60, 61, 80, 83, 89).
//
// A link stays while the repository's own tags and young links, or what keeps
// content whatever the repository (pins, containers, spared images), reach what
// it links.  A manifest that is kept only on account of another repository, and
// that no repository would serve any more, keeps its links as well: what is
// kept stays complete.

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "gc/planner.h"

namespace reclaim::gc {

using store::MembershipKind;

void Planner::GroupTags() {
  for (const NodeId tag : Named(NodeKind::kTag)) {
    if (doomed_.contains(tag)) continue;
    tags_of_[view_.named_key(tag).scope].push_back(tag);
  }
}

// Where a repository's own reachability starts: its tags and its young links.
std::vector<index::NodeId> Planner::LinkStarts(NodeId repository) const {
  std::vector<NodeId> starts;
  const auto tags = tags_of_.find(view_.named_key(repository).name);
  if (tags != tags_of_.end()) starts = tags->second;
  view_.ForEachMember(repository,
                      [&](NodeId content, MembershipKind, absl::Time linked) {
                        if (IsYoung(linked)) starts.push_back(content);
                        return true;
                      });
  return starts;
}

void Planner::Reach(std::vector<NodeId> starts, NodeSet* reached) const {
  std::vector<NodeId> stack;
  const auto push = [&](NodeId id) {
    if (reached->insert(id).second) stack.push_back(id);
  };
  for (const NodeId id : starts) push(id);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    for (const NodeId child : view_.Kept(id)) push(child);
    for (const NodeId referrer : view_.Referrers(id)) push(referrer);
  }
}

std::vector<Planner::Link> Planner::LinksOf(NodeId repository) const {
  std::vector<Link> links;
  view_.ForEachMember(repository,
                      [&](NodeId content, MembershipKind kind, absl::Time) {
                        links.push_back({content, kind});
                        return true;
                      });
  return links;
}

bool Planner::IsAskedFor(NodeId repository, NodeId content) const {
  return whole_repositories_.contains(repository) ||
         (asked_repositories_.contains(repository) &&
          asked_.count(content) > 0);
}

// A filter or a name selects images: the links beside them stay.
bool Planner::IsLinkInScope(NodeId repository, const Link& link) const {
  if (doomed_.contains(link.content)) return true;
  if (HasTarget()) return false;
  if (IsExplicit()) {
    return whole_repositories_.contains(repository) ||
           (asked_repositories_.contains(repository) &&
            asked_reach_.Contains(link.content));
  }
  Filter filter = request_.filter;
  filter.dangling.reset();
  return filter.empty();
}

// The entries that dropped tags leave behind, of content that goes.
void Planner::DoomLeftEntries() {
  std::set<std::pair<NodeId, NodeId>> left;
  for (const DraftItems::Tag& tag : items_.tags()) {
    const NodeId repository =
        view_.FindNamed({NodeKind::kRepository, in_.store, "",
                         view_.named_key(tag.node).scope});
    for (const NodeId content : view_.Kept(tag.node)) {
      if (repository != index::kNoNode && doomed_.contains(content) &&
          !view_.LinkedAt(repository, content, MembershipKind::kRevision)) {
        left.insert({repository, content});
      }
    }
  }
  for (const auto& [repository, content] : left) {
    items_.AddLink(repository, content, MembershipKind::kRevision);
  }
}

absl::Status Planner::DoomLinks() {
  if (in_.tags_leave_entries) DoomLeftEntries();
  std::vector<Root> roots;
  for (const Root& root : RemainingRoots()) {
    if (root.reason != index::RootReason::kTag) roots.push_back(root);
  }
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet common, MarkNow(roots));
  GroupTags();
  NodeBits served;
  std::map<NodeId, std::vector<NodeId>> unserved;
  std::vector<NodeId> repositories;
  for (const NodeId repository : Named(NodeKind::kRepository)) {
    const std::string name = view_.named_key(repository).name;
    if (kept_repositories_.count(name) == 0 &&
        doubted_repositories_.count(repository) == 0 &&
        kept_places_.count(view_.fields(repository).place) == 0) {
      repositories.push_back(repository);
    }
  }
  for (const NodeId repository : repositories) {
    NodeSet own;
    Reach(LinkStarts(repository), &own);
    for (const Link& link : LinksOf(repository)) {
      if (link.kind != MembershipKind::kRevision) continue;
      if (own.contains(link.content)) {
        served.insert(link.content);
      } else if (kept_.Contains(link.content) &&
                 !IsAskedFor(repository, link.content)) {
        unserved[repository].push_back(link.content);
      }
    }
    view_.Yield();
  }
  for (const NodeId repository : repositories) {
    std::vector<NodeId> starts = LinkStarts(repository);
    for (const NodeId content : unserved[repository]) {
      if (!served.contains(content)) starts.push_back(content);
    }
    NodeSet own;
    Reach(std::move(starts), &own);
    for (const Link& link : LinksOf(repository)) {
      if (own.contains(link.content) || common.Contains(link.content) ||
          !IsLinkInScope(repository, link)) {
        continue;
      }
      items_.AddLink(repository, link.content, link.kind);
    }
    view_.Yield();
  }
  return absl::OkStatus();
}

}  // namespace reclaim::gc
