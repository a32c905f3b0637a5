// Manifests that something names and that are not there.

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "index/graph_scan.h"

namespace reclaim::index {
namespace {

constexpr NodeId kYieldInterval = 4096;

}  // namespace

// What is not here and was never read might reference what one can reference
// that is not understood, so it is in doubt like that (I5,
// docs/decisions/0009-doubt.md).  A registry serves an image by the link to its
// manifest: where that is gone as well the image was deleted, and its tag is
// what older registries leave behind.
//
// Puts all that is so on record; returns what was, from an earlier scan, and is
// not any more.
std::vector<ContentName> GraphScan::FindMissing() {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const bool is_registry = record_.kind == store::StoreKind::kRegistry;
  const auto name_of = [&](NodeId content) {
    return ContentName{record_.name, view.PlaceName(view.fields(content).place),
                       view.digest(content)};
  };
  absl::flat_hash_set<NodeId> missing;
  const auto doubt = [&](NodeId repository, NodeId content,
                         const std::string& tag) {
    if (!IsContent(view.kind(content)) ||
        view.state(content) != NodeState::kAbsent ||
        !view.Kept(content).empty() || repository == kNoNode) {
      return;
    }
    if (is_registry &&
        !view.LinkedAt(repository, content, store::MembershipKind::kRevision)) {
      return;
    }
    missing.insert(content);
    Add(MarkUnreadable{
        name_of(content),
        absl::StrCat(view.named_key(repository).name, tag,
                     " names it, and it is not there, so what it references is "
                     "unknown; push the image again, or delete it from the "
                     "index and the tags"),
        false});
  };
  view.ForEachNamed(NodeKind::kTag, record_.id, [&](NodeId tag) {
    for (const NodeId target : view.Kept(tag)) {
      if (view.state(target) == NodeState::kPresent) continue;
      const NamedKey key = view.named_key(tag);
      doubt(view.FindNamed({NodeKind::kRepository, record_.id, "", key.scope}),
            target, absl::StrCat(":", key.name));
    }
    return true;
  });
  if (!is_registry) {
    view.ForEachNamed(
        NodeKind::kRepository, record_.id, [&](NodeId repository) {
          view.ForEachMember(
              repository,
              [&](NodeId content, store::MembershipKind, absl::Time) {
                if ((view.fields(content).flags & kOnlyName) != 0) {
                  doubt(repository, content, "");
                }
                return true;
              });
          return true;
        });
  }
  std::vector<ContentName> settled;
  for (const NodeId id : absent_doubts_) {
    if (view.state(id) == NodeState::kAbsent && missing.count(id) == 0) {
      settled.push_back(name_of(id));
    }
  }
  return settled;
}

// An index of which single platforms were copied lacks the others, and no more.
bool GraphScan::IsLacking(const GraphView& view, NodeId id) const {
  bool is_named = false;
  view.ForEachRepositoryOf(id, [&](NodeId) {
    is_named = true;
    return false;
  });
  view.ForEachKeeper(id, [&](NodeId keeper) {
    if (is_named || !view.Exists(keeper)) return !is_named;
    const absl::Span<const NodeId> kept = view.Kept(keeper);
    if (std::find(kept.begin(), kept.end(), id) == kept.end()) return true;
    const NodeKind kind = view.kind(keeper);
    const bool is_here = view.state(keeper) == NodeState::kPresent;
    is_named = kind == NodeKind::kTag ||
               (is_here && kind == NodeKind::kManifest) ||
               (is_here && kind == NodeKind::kImageIndex &&
                std::none_of(kept.begin(), kept.end(), [&](NodeId child) {
                  return view.state(child) == NodeState::kPresent;
                }));
    return !is_named;
  });
  return is_named;
}

std::vector<GraphScan::Lacking> GraphScan::FindLacking() const {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const auto visit = [&](const auto& see) {
    for (NodeId id = 0; id < view.node_count(); ++id) {
      if (id % kYieldInterval == kYieldInterval - 1) view.Yield();
      if (!view.Exists(id) || !IsContent(view.kind(id)) ||
          view.kind(id) == NodeKind::kExtent) {
        continue;
      }
      const NodeFields fields = view.fields(id);
      if (fields.store == record_.id) see(id, fields);
    }
  };
  absl::flat_hash_map<oci::Digest, std::vector<store::Place>> lacking;
  visit([&](NodeId id, const NodeFields& fields) {
    if (fields.state == NodeState::kAbsent && IsLacking(view, id)) {
      lacking[view.digest(id)].push_back(view.PlaceName(fields.place));
    }
  });
  std::vector<Lacking> found;
  if (lacking.empty()) return found;
  visit([&](NodeId id, const NodeFields& fields) {
    const auto it = lacking.find(view.digest(id));
    if (fields.state == NodeState::kAbsent || it == lacking.end()) return;
    for (const store::Place& place : it->second) {
      found.push_back(
          {{record_.name, place, it->first}, view.PlaceName(fields.place)});
    }
  });
  return found;
}

// Tools can be told to put the blobs of several layouts into one folder
// (skopeo's shared blob directory).  If that is the folder of another layout,
// nothing there says what the names of this one need; and no name says what of
// it is in which folder.
void GraphScan::KeepShared() {
  if (record_.kind != store::StoreKind::kImageLayout) return;
  const auto shown = [](const store::Place& place) {
    return place.empty() ? std::string("the store's own folder") : place;
  };
  std::set<std::pair<store::Place, store::Place>> told;
  for (const Lacking& lacking : FindLacking()) {
    const store::Place& place = lacking.name.place;
    if (told.count({place, lacking.found_in}) > 0) continue;
    // It may have come since its folder was listed.
    if (store_->Stat(place, lacking.name.digest).ok()) continue;
    told.insert({place, lacking.found_in});
    const std::string why = absl::StrCat(
        "the image layout ", shown(place), " names ",
        lacking.name.digest.ToString(),
        ", which is not among its blobs, and among those of ",
        shown(lacking.found_in),
        ": they may share a folder of blobs, where nothing says what the first "
        "one needs, so nothing of this store is collected; copy what is "
        "missing to the blobs of ",
        shown(place), ", or take what names it out of its index.json");
    AddProblem("", place, why);
    KeepScope("", why);
  }
}

void GraphScan::DoubtMissing() {
  if (record_.kind != store::StoreKind::kRegistry &&
      record_.kind != store::StoreKind::kImageLayout) {
    return;
  }
  for (ContentName& name : FindMissing()) {
    // Only what is not there is missing: the rest can't be read, and may be
    // named by a link alone.
    const absl::Status status = store_->Stat(name.place, name.digest).status();
    if (!absl::IsNotFound(status)) continue;
    Add(MarkUnreadable{std::move(name), "", /*is_mistaken=*/true});
  }
}

}  // namespace reclaim::index
