// The graph's edges against the bytes of the manifests, and what these say of
// their parts with what is here.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/verifier.h"
#include "oci/manifest.h"
#include "oci/media_type.h"

namespace reclaim::index {
namespace {

constexpr uint64_t kManifestBytesMax = 4u << 20;
// Of so many manifests that list a lost blob it is asked whether they embed it.
constexpr size_t kEmbeddersMax = 16;
constexpr size_t kYieldInterval = 4096;

std::set<oci::Digest> DigestsOf(const oci::Manifest& manifest) {
  std::set<oci::Digest> digests;
  if (manifest.config) digests.insert(manifest.config->digest);
  for (const oci::Descriptor& child : manifest.children) {
    digests.insert(child.digest);
  }
  return digests;
}

// The subject is named as well.
std::vector<const oci::Descriptor*> DescriptorsOf(
    const oci::Manifest& manifest) {
  std::vector<const oci::Descriptor*> all;
  if (manifest.config) all.push_back(&*manifest.config);
  for (const oci::Descriptor& child : manifest.children) all.push_back(&child);
  if (manifest.subject) all.push_back(&*manifest.subject);
  return all;
}

// As they are counted: of a file with several names its extent has them.
uint64_t StoredBytes(const GraphView& view, NodeId id) {
  const NodeId extent = view.ExtentOf(id);
  return view.bytes(extent == kNoNode ? id : extent).logical_bytes;
}

}  // namespace

NodeId Verifier::SubjectOf(const GraphView& view, NodeId id) const {
  NodeId subject = kNoNode;
  view.ForEachKeeper(id, [&](NodeId keeper) {
    if (referrers_.Has(view, keeper, id)) subject = keeper;
    return subject == kNoNode;
  });
  return subject;
}

std::string Verifier::CompareEdges(const FileNode& file,
                                   const oci::Manifest& manifest) const {
  const std::set<oci::Digest> expected = DigestsOf(manifest);
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  std::set<oci::Digest> kept;
  for (const NodeId child : view.Kept(file.id)) {
    kept.insert(view.digest(child));
  }
  if (kept != expected) {
    return absl::StrCat("the manifest names ", expected.size(),
                        " things, the graph has edges to ", kept.size());
  }
  oci::Digest said;
  if (manifest.subject) said = manifest.subject->digest;
  if (said == file.digest) said = oci::Digest();  // nobody's own
  const auto known_subject = [&] {
    const NodeId subject = SubjectOf(view, file.id);
    return subject == kNoNode ? oci::Digest() : view.digest(subject);
  };
  if (known_subject() == said) return "";
  referrers_.Forget();
  const oci::Digest known = known_subject();
  if (known == said) return "";
  return absl::StrCat(
      "the manifest's subject is ", said.empty() ? "none" : said.ToString(),
      ", the graph's is ", known.empty() ? "none" : known.ToString());
}

void Verifier::CheckEdges(const FileNode& file) {
  const auto bytes = content_->Read(file.place, file.digest, kManifestBytesMax);
  if (!bytes.ok()) return;  // CheckFile() tells that
  const auto manifest = oci::ParseManifest(*bytes, "");
  const std::string difference = manifest.ok()
                                     ? CompareEdges(file, *manifest)
                                     : std::string(manifest.status().message());
  if (!manifest.ok() || !difference.empty()) {
    Report({"edge-mismatch", FindingSeverity::kDamage,
            NameOf(file.place, file.digest), difference,
            "scan from nothing: `reclaim scan --from-nothing`"});
    return;
  }
  CheckDeclaredSizes(file, *manifest);
  NoteEmbedded(file, *bytes);
}

// What is counted is what is stored, so this is no damage to us; but who pulls
// compares them, and refuses (SEMANTICS, case 70).
void Verifier::CheckDeclaredSizes(const FileNode& file,
                                  const oci::Manifest& manifest) {
  // Their manifests are written by their stores, which know no sizes.
  const store::StoreKind kind = content_->traits().kind;
  if (kind == store::StoreKind::kDocker || kind == store::StoreKind::kPodman) {
    return;
  }
  std::map<oci::Digest, std::string> wrong;
  {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    const PlaceId place = view.FindPlace(store_.id, file.place);
    size_t step = 0;
    for (const oci::Descriptor* part : DescriptorsOf(manifest)) {
      if (++step % kYieldInterval == 0) view.Yield();
      if (!part->size_bytes) continue;
      const NodeId id = view.FindContent(place, part->digest);
      if (id == kNoNode || view.state(id) != NodeState::kPresent) continue;
      const uint64_t declared = static_cast<uint64_t>(*part->size_bytes);
      const uint64_t stored = StoredBytes(view, id);
      if (declared == stored) continue;
      wrong[part->digest] =
          absl::StrCat("its descriptor in ", file.digest.ToString(), " says ",
                       declared, " bytes, it has ", stored);
    }
  }
  for (auto& [digest, detail] : wrong) {
    Remark({"declared-size", FindingSeverity::kWarning,
            NameOf(file.place, digest), std::move(detail),
            "a pull of it may fail: have the manifest made and pushed anew"});
  }
}

// Not lost, for who has the manifest has it (SEMANTICS, case 69).
void Verifier::NoteEmbedded(const FileNode& file, absl::string_view manifest) {
  std::set<oci::Digest> absent;
  {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    for (const NodeId child : view.Kept(file.id)) {
      if (view.state(child) == NodeState::kAbsent) {
        absent.insert(view.digest(child));
      }
    }
  }
  if (absent.empty()) return;
  for (const oci::Digest& digest : oci::EmbeddedContent(manifest)) {
    if (absent.count(digest) == 0) continue;
    Remark({"embedded-data", FindingSeverity::kNote, NameOf(file.place, digest),
            absl::StrCat("it is not here, and its descriptor in ",
                         file.digest.ToString(), " has all of it"),
            "nothing, unless somebody asks for it by its digest: then push "
            "it"});
  }
}

// Of one that does not embed it, it is lost.
bool Verifier::IsEmbedded(const FileNode& file) const {
  std::vector<oci::Digest> manifests;
  {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    if (!view.Exists(file.id)) return false;
    view.ForEachKeeper(file.id, [&](NodeId keeper) {
      if (view.Exists(keeper) && IsManifestLike(view.kind(keeper)) &&
          view.state(keeper) == NodeState::kPresent) {
        manifests.push_back(view.digest(keeper));
      }
      return manifests.size() <= kEmbeddersMax;
    });
  }
  if (manifests.size() > kEmbeddersMax) return false;
  for (const oci::Digest& manifest : manifests) {
    const auto bytes = content_->Read(file.place, manifest, kManifestBytesMax);
    if (!bytes.ok()) return false;
    const std::vector<oci::Digest> embedded = oci::EmbeddedContent(*bytes);
    if (!std::binary_search(embedded.begin(), embedded.end(), file.digest)) {
      return false;
    }
  }
  return !manifests.empty();
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
