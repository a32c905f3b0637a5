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
    if (request_.drops_unused_tags) DropUnusedTags();
    Nodes roots;
    for (const NodeId id : all_) {
      const bool is_tag = view_.kind(id) == NodeKind::kTag;
      if (is_tag ? plan_.tags.count(id) == 0 : IsRoot(id)) roots.insert(id);
    }
    live_ = Reach(roots);
    for (const NodeId id : all_) {
      if (IsOpaque(view_.fields(id).place) || live_.count(id) > 0) continue;
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
  bool IsOpaque(index::PlaceId place) const {
    for (const NodeId id : all_) {
      if (IsBlob(id) && view_.fields(id).place == place &&
          (view_.fields(id).flags & index::kOpaque) != 0) {
        return true;
      }
    }
    return false;
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
    return f.state == NodeState::kPresent && IsYoung(f.recorded);
  }

  Nodes Reach(const Nodes& roots) const {
    Nodes reached = roots;
    Nodes flat;
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
          (f.flags & (index::kOpaque | index::kOnlyName)) != 0;
      const bool is_part = IsBlob(id) && !IsManifestLike(f.kind) && !is_marked;
      if (IsRoot(id) && !is_part) others.insert(id);
    }
    const Nodes used = Reach(containers);
    const Nodes held = Reach(others);
    std::map<NodeId, std::map<std::string, NodeId>> by_image;
    for (const NodeId tag : all_) {
      if (view_.kind(tag) != NodeKind::kTag) continue;
      const NodeId image = view_.Kept(tag)[0];
      if (view_.state(image) != NodeState::kPresent ||
          !IsManifestLike(view_.kind(image)) || held.count(tag) > 0 ||
          Touches(held, image) || IsYoung(view_.fields(tag).recorded) ||
          IsOpaque(view_.fields(tag).place)) {
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
      if (view_.kind(id) == NodeKind::kRepository &&
          !IsOpaque(view_.fields(id).place)) {
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
    const Nodes common = Reach(others);
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
  Nodes live_;
  NaivePlan plan_;
};

}  // namespace

NaivePlan CollectNaively(const index::GraphView& view,
                         const NaiveRequest& request) {
  return NaiveCollector(view, request).Run();
}

}  // namespace reclaim::tests
