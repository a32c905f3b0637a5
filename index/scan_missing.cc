// Manifests that something names and that are not there.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "index/graph_scan.h"

namespace reclaim::index {

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
