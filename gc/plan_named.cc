// Explicit removal: the names that the caller gave, and what only they keep.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "gc/planner.h"
#include "oci/name.h"

namespace reclaim::gc {

using index::kNoNode;
using index::RootReason;

absl::Status Planner::CheckRepository(const std::string& name) const {
  if (!is_whole_store_kept_ && kept_repositories_.count(name) == 0) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the repository ", name,
      " could not be read whole by the last scan, so nothing of it can be "
      "removed; mend what `reclaim scan` reports and scan again"));
}

std::vector<index::NodeId> Planner::TagsOn(NodeId content) const {
  std::vector<NodeId> tags;
  view_.ForEachKeeper(content, [&](NodeId keeper) {
    if (view_.kind(keeper) == NodeKind::kTag && view_.Exists(keeper) &&
        !doomed_.contains(keeper)) {
      tags.push_back(keeper);
    }
    return true;
  });
  std::sort(tags.begin(), tags.end());
  return tags;
}

// `content` loses what names it in `repository`.  The last tag of a repository
// takes the repository's reference by digest with it (case 4).
void Planner::Ask(NodeId repository, NodeId content) {
  asked_.insert(content);
  if (repository == kNoNode) return;
  asked_repositories_.insert(repository);
  const std::string name = view_.named_key(repository).name;
  for (const NodeId tag : TagsOn(content)) {
    if (view_.named_key(tag).scope == name) return;
  }
  bool is_elsewhere = false;
  view_.ForEachRepositoryOf(content, [&](NodeId other) {
    is_elsewhere = other != repository;
    return !is_elsewhere;
  });
  if (!is_elsewhere) dropped_only_names_.insert(content);
}

absl::Status Planner::DropNamedTag(NodeId tag) {
  const std::string scope = view_.named_key(tag).scope;
  RECLAIM_RETURN_IF_ERROR(CheckRepository(scope));
  DropTag(tag, DoomReason::kNamed, "named by the caller");
  const NodeId repository =
      view_.FindNamed({NodeKind::kRepository, in_.store, "", scope});
  for (const NodeId target : view_.Kept(tag)) Ask(repository, target);
  return absl::OkStatus();
}

// Every name that the repository gives goes at once (case 96).
absl::Status Planner::DropRepository(NodeId repository) {
  const std::string name = view_.named_key(repository).name;
  RECLAIM_RETURN_IF_ERROR(CheckRepository(name));
  for (const NodeId tag : Named(NodeKind::kTag)) {
    if (view_.named_key(tag).scope != name) continue;
    RECLAIM_RETURN_IF_ERROR(DropNamedTag(tag));
  }
  whole_repositories_.insert(repository);
  std::vector<NodeId> members;
  view_.ForEachMember(repository,
                      [&](NodeId content, store::MembershipKind, absl::Time) {
                        members.push_back(content);
                        return true;
                      });
  for (const NodeId member : members) Ask(repository, member);
  return absl::OkStatus();
}

// By digest alone: its tags go with it, unless they are in several
// repositories; then the caller has to say which (cases 3 and 94).
absl::Status Planner::DropTagsOf(NodeId content) {
  const std::vector<NodeId> tags = TagsOn(content);
  std::set<std::string> repositories;
  std::set<std::string> names;
  for (const NodeId tag : tags) {
    const index::NamedKey key = view_.named_key(tag);
    repositories.insert(key.scope);
    names.insert(absl::StrCat(key.scope, ":", key.name));
  }
  if (repositories.size() > 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        view_.digest(content).ToString(), " is named in several repositories: ",
        absl::StrJoin(names, " "), "; remove these names instead"));
  }
  for (const NodeId tag : tags) RECLAIM_RETURN_IF_ERROR(DropNamedTag(tag));
  return absl::OkStatus();
}

absl::Status Planner::DropContent(const oci::Digest& digest) {
  std::vector<NodeId> found;
  ForEachContent([&](NodeId id) {
    if (view_.digest(id) == digest) found.push_back(id);
  });
  if (found.empty()) {
    return absl::NotFoundError(
        absl::StrCat(digest.ToString(), " is not known in this store"));
  }
  for (const NodeId id : found) {
    RECLAIM_RETURN_IF_ERROR(DropTagsOf(id));
    std::vector<NodeId> repositories;
    view_.ForEachRepositoryOf(id, [&](NodeId repository) {
      repositories.push_back(repository);
      return true;
    });
    Ask(kNoNode, id);
    for (const NodeId repository : repositories) Ask(repository, id);
    dropped_only_names_.insert(id);
  }
  return absl::OkStatus();
}

// "repo@digest": the tags and the link of this repository alone.
absl::Status Planner::DropFromRepository(NodeId repository,
                                         const oci::Digest& digest) {
  const std::string name = view_.named_key(repository).name;
  RECLAIM_RETURN_IF_ERROR(CheckRepository(name));
  const NodeId content =
      view_.FindContent(view_.fields(repository).place, digest);
  bool is_member = false;
  if (content != kNoNode) {
    view_.ForEachRepositoryOf(content, [&](NodeId id) {
      is_member = id == repository;
      return !is_member;
    });
    for (const NodeId tag : TagsOn(content)) {
      if (view_.named_key(tag).scope != name) continue;
      is_member = true;
      RECLAIM_RETURN_IF_ERROR(DropNamedTag(tag));
    }
  }
  if (!is_member) {
    return absl::NotFoundError(absl::StrCat(
        "the repository ", name, " does not hold ", digest.ToString()));
  }
  Ask(repository, content);
  return absl::OkStatus();
}

absl::Status Planner::DropReference(const std::string& text) {
  const auto digest = oci::Digest::Parse(text);
  if (digest.ok()) return DropContent(*digest);
  const auto repository = [&](const std::string& name) {
    return view_.FindNamed({NodeKind::kRepository, in_.store, "", name});
  };
  if (const NodeId whole = repository(text); whole != kNoNode) {
    return DropRepository(whole);
  }
  // As it is written: names in an image layout are free text.
  for (size_t at = text.find(':'); at != std::string::npos;
       at = text.find(':', at + 1)) {
    const NodeId tag = view_.FindNamed(
        {NodeKind::kTag, in_.store, text.substr(0, at), text.substr(at + 1)});
    if (tag != kNoNode) return DropNamedTag(tag);
  }
  RECLAIM_ASSIGN_OR_RETURN(const oci::Reference reference,
                           oci::ParseReference(text));
  const NodeId owner = repository(reference.repository);
  if (owner != kNoNode && reference.digest && reference.tag.empty()) {
    return DropFromRepository(owner, *reference.digest);
  }
  const NodeId tag = view_.FindNamed(
      {NodeKind::kTag, in_.store, reference.repository, reference.tag});
  if (tag == kNoNode || !reference.digest) {
    return absl::NotFoundError(absl::StrCat(
        "nothing is named ", text, "; `reclaim image ls` lists the names"));
  }
  const auto targets = view_.Kept(tag);
  if (targets.empty() || view_.digest(targets[0]) != *reference.digest) {
    return absl::FailedPreconditionError(absl::StrCat(
        reference.repository, ":", reference.tag, " does not name ",
        reference.digest->ToString(), " any more"));
  }
  return DropNamedTag(tag);
}

// FAILED_PRECONDITION if an image that was asked for is used by one of these
// containers and has no name left.
absl::Status Planner::CheckUseBy(const std::vector<Root>& containers,
                                 const LiveSet& named, const char* advice) {
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet used, MarkNow(containers));
  for (const NodeId image : asked_) {
    if (!IsManifestLike(view_.kind(image)) || named.Contains(image) ||
        !Uses(used, image)) {
      continue;
    }
    std::string user = "a container";
    for (const Root& root : containers) {
      RECLAIM_ASSIGN_OR_RETURN(const LiveSet by_one, MarkNow({root}));
      if (!Uses(by_one, image) || !view_.Exists(root.node)) continue;
      user = absl::StrCat("the container ", view_.named_key(root.node).name);
      break;
    }
    return absl::FailedPreconditionError(absl::StrCat(
        user, " uses ", view_.digest(image).ToString(),
        ", which would lose its last name: nothing was removed; ", advice));
  }
  return absl::OkStatus();
}

// The last name of an image with which a container runs never goes, that of
// another container's image only by force (cases 9, 10 and 16).
absl::Status Planner::CheckUse() {
  std::vector<Root> names;
  std::vector<Root> running;
  std::vector<Root> stopped;
  for (const Root& root : RemainingRoots()) {
    if (root.reason == RootReason::kTag ||
        root.reason == RootReason::kOnlyName) {
      names.push_back(root);
    }
    if (root.reason != RootReason::kContainer || !view_.Exists(root.node)) {
      continue;
    }
    const bool runs = (view_.fields(root.node).flags & index::kRunning) != 0;
    (runs ? running : stopped).push_back(root);
  }
  if (running.empty() && stopped.empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet named, MarkNow(names));
  RECLAIM_RETURN_IF_ERROR(
      CheckUseBy(running, named, "it runs: stop it and remove it first"));
  if (request_.force) return absl::OkStatus();
  return CheckUseBy(
      stopped, named,
      "remove it first, or add --force to take the name and leave the content "
      "to the container");
}

absl::Status Planner::DropNamedReferences() {
  for (const std::string& text : request_.only_references) {
    RECLAIM_RETURN_IF_ERROR(DropReference(text));
  }
  return request_.is_question ? absl::OkStatus() : CheckUse();
}

// Takes what the names reach and nothing else that is dead.
absl::Status Planner::SpareByName(const LiveSet& live) {
  std::vector<Root> asked;
  for (const NodeId id : asked_) asked.push_back({id, RootReason::kNone});
  RECLAIM_ASSIGN_OR_RETURN(asked_reach_, MarkNow(asked));
  ForEachContent([&](NodeId id) {
    if (!live.Contains(id) && !asked_reach_.Contains(id)) {
      spared_.push_back({id, RootReason::kSpared});
    }
  });
  return absl::OkStatus();
}

}  // namespace reclaim::gc
