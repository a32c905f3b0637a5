// Reading what names lead to: manifests, once, and the configs of images.

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_scan.h"
#include "oci/image_config.h"
#include "oci/media_type.h"

namespace reclaim::index {
namespace {

constexpr uint64_t kManifestBytesMax = uint64_t{4} << 20;
constexpr uint64_t kConfigBytesMax = uint64_t{4} << 20;

// Whether an entry of an image index may reference more.  Build caches list
// layers in indexes: these are read by nobody.
bool MayBeManifest(absl::string_view media_type) {
  return media_type.empty() ||
         oci::ClassifyMediaType(media_type) != oci::ManifestKind::kUnknown ||
         absl::StrContains(media_type, "manifest") ||
         absl::StrContains(media_type, "index");
}

}  // namespace

bool GraphScan::NeedsReading(const ManifestName& name) const {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const PlaceId place = view.FindPlace(record_.id, name.place);
  return NeedsReading(
      view, place == kNoPlace ? kNoNode : view.FindContent(place, name.digest));
}

bool GraphScan::NeedsReading(const GraphView& view, NodeId id) const {
  if (id == kNoNode || !IsManifestLike(view.kind(id))) return true;
  const NodeFields fields = view.fields(id);
  if ((fields.flags & kOpaque) != 0) return true;
  // A child of an image index that came later has not been read yet.
  if (fields.kind != NodeKind::kImageIndex) return false;
  for (const NodeId child : view.Kept(id)) {
    if (view.kind(child) == NodeKind::kBlob &&
        view.state(child) == NodeState::kPresent) {
      return true;
    }
  }
  return false;
}

std::vector<NodeId> GraphScan::NamesOfUnchanged() const {
  std::vector<NodeId> names;
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  if (!unchanged_tags_.empty()) {
    view.ForEachNamed(NodeKind::kTag, record_.id, [&](NodeId tag) {
      if (unchanged_tags_.count(view.named_key(tag).scope) > 0) {
        for (const NodeId target : view.Kept(tag)) names.push_back(target);
      }
      return true;
    });
  }
  for (const std::string& repository : unchanged_revisions_) {
    const NodeId id =
        view.FindNamed({NodeKind::kRepository, record_.id, "", repository});
    if (id == kNoNode) continue;
    view.ForEachMember(
        id, [&](NodeId content, store::MembershipKind kind, absl::Time) {
          if (kind == store::MembershipKind::kRevision) {
            names.push_back(content);
          }
          return true;
        });
  }
  return names;
}

std::vector<GraphScan::ManifestName> GraphScan::UnreadOfUnchanged() const {
  std::vector<ManifestName> unread;
  std::vector<NodeId> nodes;
  {
    const std::vector<NodeId> names = NamesOfUnchanged();
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    const GraphView& view = reader->view();
    for (const NodeId id : names) {
      // What is not here has nothing to read.
      if (!view.Exists(id) || view.state(id) == NodeState::kAbsent ||
          !NeedsReading(view, id)) {
        continue;
      }
      nodes.push_back(id);
      unread.push_back(
          {view.PlaceName(view.fields(id).place), view.digest(id), ""});
    }
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    // Without its type the bytes have to tell what they are.
    unread[i].media_type = graph_->GetMediaType(nodes[i]).value_or("");
  }
  return unread;
}

void GraphScan::PutUnreadable(const ManifestName& name,
                              const std::string& why) {
  Add(MarkUnreadable{{record_.name, name.place, name.digest}, why});
}

void GraphScan::ReadManifest(const ManifestName& name,
                             std::vector<ManifestName>* more) {
  const absl::StatusOr<store::BlobStat> stat =
      store_->Stat(name.place, name.digest);
  if (absl::IsNotFound(stat.status())) return;  // referenced, but not here
  const absl::StatusOr<std::string> bytes =
      store_->Read(name.place, name.digest, kManifestBytesMax);
  if (absl::IsNotFound(bytes.status())) return;
  if (!stat.ok() || !bytes.ok()) {
    const absl::Status& status = stat.ok() ? bytes.status() : stat.status();
    PutUnreadable(name, std::string(status.message()));
    return;
  }
  oci::Hasher hasher(name.digest.algorithm());
  hasher.Update(*bytes);
  if (hasher.Finish() != name.digest) {
    PutUnreadable(name,
                  "the file holds other bytes than its name says; push "
                  "the image again");
    return;
  }
  ++report_.seen.manifest_count;
  const absl::StatusOr<oci::Manifest> manifest =
      oci::ParseManifest(*bytes, name.media_type);
  std::optional<PutImageConfig> image_config;
  if (manifest.ok() && manifest->config &&
      oci::IsImageConfigType(manifest->config->media_type)) {
    absl::StatusOr<std::optional<PutImageConfig>> config =
        ReadConfig(name.place, manifest->config->digest);
    if (!config.ok()) {
      // Its labels might keep the image (I5); opaque, it is read again.
      PutUnreadable(name, std::string(config.status().message()));
      return;
    }
    image_config = *std::move(config);
  }
  PutManifest put;
  put.name = {record_.name, name.place, name.digest};
  put.bytes = *bytes;
  put.media_type = name.media_type;
  put.stat = PutBlob{put.name, stat->bytes, stat->extent, "", stat->modified};
  Add(std::move(put));
  if (!manifest.ok()) return;  // becomes opaque
  if (image_config) Add(*std::move(image_config));
  if (manifest->kind == oci::ManifestKind::kIndex) {
    for (const oci::Descriptor& child : manifest->children) {
      if (!MayBeManifest(child.media_type)) continue;
      more->push_back({name.place, child.digest, child.media_type});
    }
  }
}

absl::StatusOr<std::optional<PutImageConfig>> GraphScan::ReadConfig(
    const store::Place& place, const oci::Digest& digest) {
  std::optional<PutImageConfig> put;
  if (!read_.insert({place, digest}).second) return put;
  const absl::StatusOr<std::string> bytes =
      store_->Read(place, digest, kConfigBytesMax);
  if (absl::IsNotFound(bytes.status())) return put;
  if (!bytes.ok()) {
    const std::string why = absl::StrCat("the image config ", digest.ToString(),
                                         ": ", bytes.status().message());
    AddProblem(place, digest.ToString(), why);
    KeepScope(place, why);
    read_.erase({place, digest});
    return absl::Status(bytes.status().code(), why);
  }
  absl::StatusOr<oci::ImageConfig> config = oci::ParseImageConfig(*bytes);
  if (!config.ok()) {
    AddProblem(place, digest.ToString(),
               absl::StrCat("the image config has no labels to read: ",
                            config.status().message()));
    return put;
  }
  put.emplace();
  put->name = {record_.name, place, digest};
  put->created = config->created;
  put->os = config->os;
  put->architecture = config->architecture;
  put->variant = config->variant;
  put->labels = std::move(config->labels);
  return put;
}

absl::Status GraphScan::ReadManifests(std::vector<ManifestName> names) {
  // Iterative: an image index may list image indexes.
  while (!names.empty()) {
    if (IsCancelled()) return absl::CancelledError("the scan was cancelled");
    const ManifestName name = std::move(names.back());
    names.pop_back();
    if (!read_.insert({name.place, name.digest}).second) continue;
    if (NeedsReading(name)) ReadManifest(name, &names);
  }
  for (const auto& [place, digest] : late_configs_) {
    absl::StatusOr<std::optional<PutImageConfig>> config =
        ReadConfig(place, digest);
    // Unreadable: its place is kept, and said to be, by ReadConfig().
    if (config.ok() && config->has_value()) Add(**std::move(config));
  }
  late_configs_.clear();
  return Flush();
}

}  // namespace reclaim::index
