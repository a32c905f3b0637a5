#include "tests/support/naive_collector.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reclaim::tests {
namespace {

using index::kNoNode;
using index::NodeFields;
using index::NodeId;
using index::NodeKind;
using index::NodeState;
using store::MembershipKind;
using Nodes = std::set<NodeId>;

class NaiveCollector {
 public:
  NaiveCollector(const index::GraphView& view, const NaiveRequest& request)
      : view_(view), request_(request) {
    for (NodeId id = 0; id < view_.node_count(); ++id) {
      if (view_.Exists(id) && view_.fields(id).store == request_.store) {
        all_.insert(id);
      }
    }
  }

  NaivePlan Run() {
    FindDoubt();
    if (request_.drops_unused_tags) DropUnusedTags();
    Nodes roots;
    for (const NodeId id : all_) {
      const bool is_tag = view_.kind(id) == NodeKind::kTag;
      if (is_tag ? plan_.tags.count(id) == 0 : IsRoot(id)) roots.insert(id);
    }
    live_ = Reach(roots, true);
    for (const NodeId id : all_) {
      if (live_.count(id) > 0) continue;
      if (IsBlob(id) && view_.state(id) == NodeState::kPresent) {
        plan_.content.insert(id);
      }
    }
    for (const NodeId id : all_) {
      if (view_.kind(id) == NodeKind::kUpload && live_.count(id) == 0) {
        plan_.uploads.insert(id);
      }
    }
    DropLinks();
    CountBytes();
    return plan_;
  }

 private:
  bool IsBlob(NodeId id) const {
    return IsContent(view_.kind(id)) && view_.kind(id) != NodeKind::kExtent;
  }
  bool IsYoung(absl::Time time) const {
    return time + request_.grace_period > request_.now;
  }

  // The repositories that link `content`.
  Nodes LinkedBy(NodeId content) const {
    Nodes repositories;
    for (const NodeId id : all_) {
      if (view_.kind(id) != NodeKind::kRepository) continue;
      for (const NaiveLink& link : LinksOf(id, false)) {
        if (link.content == content) repositories.insert(id);
      }
    }
    return repositories;
  }
  NodeId RepositoryOf(NodeId tag) const {
    for (const NodeId id : all_) {
      if (view_.kind(id) == NodeKind::kRepository &&
          view_.named_key(id).name == view_.named_key(tag).scope) {
        return id;
      }
    }
    return kNoNode;
  }

  // What an opaque manifest may reference: in a registry what the repositories
  // that link or tag it link, elsewhere all that lies beside it.  One that
  // nothing names casts no doubt; one that only something else names, on all.
  void FindDoubtOf(NodeId manifest) {
    const index::PlaceId place = view_.fields(manifest).place;
    if (view_.UnitOfDoubt(request_.store) == index::DoubtUnit::kPlace) {
      doubted_places_.insert(place);
      return;
    }
    Nodes repositories = LinkedBy(manifest);
    bool is_listed = false;
    for (const NodeId id : all_) {
      for (const NodeId kept : view_.Kept(id)) {
        if (kept != manifest) continue;
        is_listed = true;
        if (view_.kind(id) != NodeKind::kTag) continue;
        repositories.insert(RepositoryOf(id));
      }
    }
    const bool is_lost = repositories.erase(kNoNode) > 0;
    if (is_lost || (repositories.empty() && is_listed)) {
      doubted_places_.insert(place);
    }
    if (!repositories.empty()) touched_places_.insert(place);
    doubted_repositories_.insert(repositories.begin(), repositories.end());
  }
  void FindDoubt() {
    for (const NodeId id : all_) {
      if (IsBlob(id) && (view_.fields(id).flags & index::kOpaque) != 0) {
        FindDoubtOf(id);
      }
    }
  }
  bool IsInDoubt(NodeId id) const {
    if (!IsBlob(id)) return false;
    if (doubted_places_.count(view_.fields(id).place) > 0) return true;
    if (doubted_repositories_.empty()) return false;
    for (const NodeId repository : LinkedBy(id)) {
      if (doubted_repositories_.count(repository) > 0) return true;
    }
    return false;
  }
  // Kept, while what it references is not on its account.
  bool IsUnlinked(NodeId id) const {
    return IsBlob(id) && view_.state(id) == NodeState::kPresent &&
           touched_places_.count(view_.fields(id).place) > 0 &&
           LinkedBy(id).empty();
  }
  // Whether a repository's links, and a tag in it, stay.
  bool IsKeptWhole(NodeId repository) const {
    return doubted_repositories_.count(repository) > 0 ||
           doubted_places_.count(view_.fields(repository).place) > 0;
  }

  // Every root that is not a tag.
  bool IsRoot(NodeId id) const {
    const NodeFields f = view_.fields(id);
    const bool is_current = f.expires >= request_.now;
    switch (f.kind) {
      case NodeKind::kContainer:
      case NodeKind::kPin:
      case NodeKind::kVolume:
      case NodeKind::kNetwork:
      case NodeKind::kBuildCache:
        return true;
      case NodeKind::kLease:
        return is_current;
      case NodeKind::kUpload:
        return is_current &&
               f.recorded + request_.upload_lifetime > request_.now;
      default:
        break;
    }
    if (!IsBlob(id)) return false;
    if ((f.flags & (index::kOpaque | index::kOnlyName)) != 0) return true;
    if (IsInDoubt(id)) return true;
    return f.state == NodeState::kPresent && IsYoung(f.recorded);
  }

  Nodes Reach(const Nodes& roots, bool with_unlinked = false) const {
    Nodes reached = roots;
    Nodes flat;
    for (const NodeId id : all_) {
      if (with_unlinked && IsUnlinked(id)) flat.insert(id);
    }
    size_t before = 0;
    while (before != reached.size()) {
      before = reached.size();
      for (const NodeId id : all_) {
        if (reached.count(id) == 0) continue;
        const bool is_flat = view_.kind(id) == NodeKind::kLease &&
                             (view_.fields(id).flags & index::kFlat) != 0;
        for (const NodeId target : view_.Kept(id)) {
          const bool passes =
              !is_flat || view_.kind(target) == NodeKind::kSnapshot;
          (passes ? reached : flat).insert(target);
        }
        for (const NodeId id2 : view_.Referrers(id)) reached.insert(id2);
      }
    }
    reached.insert(flat.begin(), flat.end());
    return reached;
  }

  bool Touches(const Nodes& reached, NodeId image) const {
    if (reached.count(image) > 0) return true;
    if (view_.kind(image) != NodeKind::kImageIndex) return false;
    for (const NodeId child : view_.Kept(image)) {
      if (reached.count(child) > 0) return true;
    }
    return false;
  }

  void DropUnusedTags() {
    Nodes containers;
    Nodes others;
    for (const NodeId id : all_) {
      if (view_.kind(id) == NodeKind::kContainer) {
        containers.insert(id);
        continue;
      }
      const NodeFields f = view_.fields(id);
      const bool is_marked =
          (f.flags & (index::kOpaque | index::kOnlyName)) != 0 || IsInDoubt(id);
      const bool is_part = IsBlob(id) && !IsManifestLike(f.kind) && !is_marked;
      if (IsRoot(id) && !is_part) others.insert(id);
    }
    const Nodes used = Reach(containers);
    const Nodes held = Reach(others, true);
    std::map<NodeId, std::map<std::string, NodeId>> by_image;
    for (const NodeId tag : all_) {
      if (view_.kind(tag) != NodeKind::kTag) continue;
      const NodeId image = view_.Kept(tag)[0];
      if (view_.state(image) != NodeState::kPresent ||
          !IsManifestLike(view_.kind(image)) || held.count(tag) > 0 ||
          Touches(held, image) || IsYoung(view_.fields(tag).recorded) ||
          doubted_places_.count(view_.fields(tag).place) > 0 ||
          doubted_repositories_.count(RepositoryOf(tag)) > 0) {
        continue;
      }
      const index::NamedKey key = view_.named_key(tag);
      by_image[image][absl::StrCat(key.scope, ":", key.name)] = tag;
    }
    for (auto& [image, tags] : by_image) {
      // One name of a used image survives: the last in byte order.
      if (Touches(used, image)) tags.erase(std::prev(tags.end()));
      for (const auto& [name, tag] : tags) plan_.tags.insert(tag);
    }
  }

  std::vector<NaiveLink> LinksOf(NodeId repository, bool only_young) const {
    std::vector<NaiveLink> links;
    view_.ForEachMember(repository, [&](NodeId content, MembershipKind kind,
                                        absl::Time linked) {
      if (!only_young || IsYoung(linked)) {
        links.push_back({repository, content, kind});
      }
      return true;
    });
    return links;
  }

  Nodes StartsOf(NodeId repository) const {
    Nodes starts;
    for (const NodeId id : all_) {
      if (view_.kind(id) == NodeKind::kTag && plan_.tags.count(id) == 0 &&
          view_.named_key(id).scope == view_.named_key(repository).name) {
        starts.insert(id);
      }
    }
    for (const NaiveLink& link : LinksOf(repository, true)) {
      starts.insert(link.content);
    }
    return starts;
  }

  void DropLinks() {
    std::vector<NodeId> repositories;
    for (const NodeId id : all_) {
      if (view_.kind(id) == NodeKind::kRepository && !IsKeptWhole(id)) {
        repositories.push_back(id);
      }
    }
    // Manifests that some repository serves in its own right.
    Nodes served;
    for (const NodeId repository : repositories) {
      const Nodes own = Reach(StartsOf(repository));
      for (const NaiveLink& link : LinksOf(repository, false)) {
        if (link.kind == MembershipKind::kRevision &&
            own.count(link.content) > 0) {
          served.insert(link.content);
        }
      }
    }
    Nodes others;
    for (const NodeId id : all_) {
      if (view_.kind(id) != NodeKind::kTag && IsRoot(id)) others.insert(id);
    }
    const Nodes common = Reach(others, true);
    for (const NodeId repository : repositories) {
      Nodes starts = StartsOf(repository);
      for (const NaiveLink& link : LinksOf(repository, false)) {
        if (link.kind == MembershipKind::kRevision &&
            live_.count(link.content) > 0 && served.count(link.content) == 0) {
          starts.insert(link.content);
        }
      }
      const Nodes own = Reach(starts);
      for (const NaiveLink& link : LinksOf(repository, false)) {
        if (own.count(link.content) == 0 && common.count(link.content) == 0) {
          plan_.links.insert(link);
        }
      }
    }
  }

  // The union of what is present, by extent where a file has several names.
  store::Bytes Stored(bool after) const {
    store::Bytes sum;
    Nodes extents;
    for (const NodeId id : all_) {
      const bool goes =
          plan_.content.count(id) > 0 || plan_.uploads.count(id) > 0;
      const bool is_bytes = IsBlob(id) || view_.kind(id) == NodeKind::kUpload;
      if (!is_bytes || view_.state(id) != NodeState::kPresent) continue;
      if (after && goes) continue;
      sum += view_.fields(id).bytes;
      if (IsBlob(id) && view_.ExtentOf(id) != kNoNode) {
        extents.insert(view_.ExtentOf(id));
      }
    }
    for (const NodeId extent : extents) sum += view_.fields(extent).bytes;
    return sum;
  }

  void CountBytes() {
    const store::Bytes before = Stored(false);
    const store::Bytes after = Stored(true);
    plan_.bytes.logical_bytes = before.logical_bytes - after.logical_bytes;
    plan_.bytes.allocated_bytes =
        before.allocated_bytes - after.allocated_bytes;
  }

  const index::GraphView& view_;
  const NaiveRequest& request_;
  Nodes all_;
  std::set<index::PlaceId> doubted_places_;
  std::set<index::PlaceId> touched_places_;
  Nodes doubted_repositories_;
  Nodes live_;
  NaivePlan plan_;
};

}  // namespace

NaivePlan CollectNaively(const index::GraphView& view,
                         const NaiveRequest& request) {
  return NaiveCollector(view, request).Run();
}

}  // namespace reclaim::tests
