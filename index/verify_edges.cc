// The graph's edges against the bytes of the manifests.

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/verifier.h"
#include "oci/manifest.h"
#include "oci/media_type.h"

namespace reclaim::index {
namespace {

constexpr uint64_t kManifestBytesMax = 4u << 20;

std::set<oci::Digest> DigestsOf(const oci::Manifest& manifest) {
  std::set<oci::Digest> digests;
  if (manifest.config) digests.insert(manifest.config->digest);
  for (const oci::Descriptor& child : manifest.children) {
    digests.insert(child.digest);
  }
  return digests;
}

}  // namespace

void Verifier::CheckEdges(const FileNode& file) {
  const auto bytes = content_->Read(file.place, file.digest, kManifestBytesMax);
  if (!bytes.ok()) return;  // CheckFile() tells that
  const auto manifest = oci::ParseManifest(*bytes, "");
  std::string difference;
  if (!manifest.ok()) {
    difference = std::string(manifest.status().message());
  } else {
    const std::set<oci::Digest> expected = DigestsOf(*manifest);
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    std::set<oci::Digest> kept;
    for (const NodeId child : view.Kept(file.id)) {
      kept.insert(view.digest(child));
    }
    if (kept == expected) return;
    difference = absl::StrCat("the manifest names ", expected.size(),
                              " things, the graph has edges to ", kept.size());
  }
  Report({"edge-mismatch", FindingSeverity::kDamage,
          NameOf(file.place, file.digest), difference,
          "scan from nothing: `reclaim scan --from-nothing`"});
}

// Whether some child that is here is no manifest to the graph.
bool Verifier::HasPlainChild(NodeId index) const {
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  if (!view.Exists(index)) return false;
  for (const NodeId child : view.Kept(index)) {
    if (view.state(child) == NodeState::kPresent &&
        !IsManifestLike(view.kind(child))) {
      return true;
    }
  }
  return false;
}

// A manifest that came after the index that lists it, and was never read, holds
// nothing of what it references.
void Verifier::CheckChildren(const FileNode& file) {
  if (file.kind != NodeKind::kImageIndex || file.is_opaque ||
      !HasPlainChild(file.id)) {
    return;
  }
  const auto bytes = content_->Read(file.place, file.digest, kManifestBytesMax);
  if (!bytes.ok()) return;  // CheckFile() tells that
  const auto manifest = oci::ParseManifest(*bytes, "");
  if (!manifest.ok()) return;  // CheckEdges() tells that
  for (const oci::Descriptor& child : manifest->children) {
    if (oci::RoleOfIndexChild(child.media_type) != oci::ChildRole::kManifest ||
        !IsUnread(file.place, child.digest)) {
      continue;
    }
    Report({"unread-manifest", FindingSeverity::kDamage,
            NameOf(file.place, child.digest),
            absl::StrCat("the index ", file.digest.ToString(),
                         " lists it as a manifest, and the graph does not know "
                         "what it references"),
            "scan the store: `reclaim scan`"});
  }
}

bool Verifier::IsUnread(const store::Place& place,
                        const oci::Digest& digest) const {
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  const PlaceId id = view.FindPlace(store_.id, place);
  const NodeId child = id == kNoPlace ? kNoNode : view.FindContent(id, digest);
  return child != kNoNode && view.state(child) == NodeState::kPresent &&
         !IsManifestLike(view.kind(child)) &&
         (view.fields(child).flags & kOpaque) == 0;
}

}  // namespace reclaim::index
