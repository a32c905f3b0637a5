// Reading what names lead to: manifests, once, and the configs of images.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_scan.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "oci/media_type.h"

namespace reclaim::index {
namespace {

constexpr uint64_t kManifestBytesMax = uint64_t{4} << 20;
constexpr uint64_t kConfigBytesMax = uint64_t{4} << 20;

// Operations that wait hold their manifests' bytes.
constexpr size_t kPendingMax = 1024;

using ParsedManifest = absl::StatusOr<oci::Manifest>;

// What the bytes say when whoever names them says something else: that name is
// wrong, and can't make of the manifest what it is not.
bool IsMisnamed(const ParsedManifest& manifest, absl::string_view bytes,
                absl::string_view declared) {
  return !manifest.ok() &&
         oci::ClassifyMediaType(declared) != oci::ManifestKind::kUnknown &&
         oci::ParseManifest(bytes, "").ok();
}

bool IsWhole(absl::string_view bytes, const oci::Digest& digest) {
  oci::Hasher hasher(digest.algorithm());
  hasher.Update(bytes);
  return hasher.Finish() == digest;
}

}  // namespace

void GraphScan::PutUnreadable(const ManifestName& name,
                              const std::string& why) {
  Add(MarkUnreadable{{record_.name, name.place, name.digest}, why, false});
}

// The manifests that name a config which can't be read: its labels might keep
// the images (I5).  Opaque, they are read again.
void GraphScan::PutUnreadableKeepers(const store::Place& place,
                                     const oci::Digest& config,
                                     const std::string& why) {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const PlaceId id = view.FindPlace(record_.id, place);
  const NodeId node = id == kNoPlace ? kNoNode : view.FindContent(id, config);
  if (node == kNoNode) return;
  view.ForEachKeeper(node, [&](NodeId keeper) {
    if (view.Exists(keeper) && view.kind(keeper) == NodeKind::kManifest) {
      PutUnreadable({place, view.digest(keeper), ""}, why);
    }
    return true;
  });
}

// A layer or config that something else explains is no manifest because it says
// a media type; what nothing explains may be one that we don't understand.
bool GraphScan::IsGuessWrong(const ManifestName& name,
                             absl::string_view bytes) const {
  if (!name.is_guess) return false;
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const PlaceId place = view.FindPlace(record_.id, name.place);
  const NodeId id =
      place == kNoPlace ? kNoNode : view.FindContent(place, name.digest);
  const bool is_explained = id != kNoNode && view.kind(id) != NodeKind::kBlob;
  return is_explained ? !oci::ParseManifest(bytes, "").ok()
                      : !oci::MayBeManifest(bytes);
}

bool GraphScan::IsOpaque(const ManifestName& name) const {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  const PlaceId place = view.FindPlace(record_.id, name.place);
  const NodeId id =
      place == kNoPlace ? kNoNode : view.FindContent(place, name.digest);
  return id != kNoNode && (view.fields(id).flags & kOpaque) != 0;
}

void GraphScan::ReadManifest(const ManifestName& name,
                             std::vector<ManifestName>* more) {
  const absl::StatusOr<store::BlobStat> stat =
      store_->Stat(name.place, name.digest);
  if (absl::IsNotFound(stat.status())) {  // referenced, but not here
    missing_.push_back(name);
    return;
  }
  if (name.is_guess && stat.ok() &&
      stat->bytes.logical_bytes > kManifestBytesMax) {
    return;  // no registry takes such a manifest
  }
  const absl::StatusOr<std::string> bytes =
      store_->Read(name.place, name.digest, kManifestBytesMax);
  if (absl::IsNotFound(bytes.status())) {
    missing_.push_back(name);
    return;
  }
  // An engine keeps layers without their bytes.
  if (name.is_guess && absl::IsFailedPrecondition(bytes.status())) return;
  if (!stat.ok() || !bytes.ok()) {
    const absl::Status& status = stat.ok() ? bytes.status() : stat.status();
    PutUnreadable(name, std::string(status.message()));
    return;
  }
  const bool is_whole = IsWhole(*bytes, name.digest);
  if (IsGuessWrong(name, *bytes)) {
    if (is_whole && IsOpaque(name)) {
      Add(MarkUnreadable{
          {record_.name, name.place, name.digest}, "", /*is_mistaken=*/true});
    }
    return;
  }
  if (!is_whole) {
    PutUnreadable(name,
                  "the file holds other bytes than its name says; push "
                  "the image again");
    return;
  }
  ++report_.seen.manifest_count;
  AddManifest(name, *bytes, *stat, more);
}

void GraphScan::AddManifest(const ManifestName& name, std::string bytes,
                            const store::BlobStat& stat,
                            std::vector<ManifestName>* more) {
  std::string declared = name.media_type;
  ParsedManifest manifest = oci::ParseManifest(bytes, declared);
  if (IsMisnamed(manifest, bytes, declared)) {
    AddProblem(name.place, name.digest.ToString(),
               absl::StrCat("something names it wrongly: ",
                            manifest.status().message()));
    declared.clear();
    manifest = oci::ParseManifest(bytes, declared);
  }
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
  put.bytes = std::move(bytes);
  put.media_type = declared;
  put.stat = PutBlob{put.name, stat.bytes,    stat.extent,
                     "",       stat.modified, stat.link_count};
  Add(std::move(put));
  if (!manifest.ok()) return;  // becomes opaque
  if (image_config) Add(*std::move(image_config));
  if (manifest->config) FollowChild(name, *manifest, *manifest->config, more);
  for (const oci::Descriptor& child : manifest->children) {
    FollowChild(name, *manifest, child, more);
  }
}

// An artifact may have manifests for its layers; what only says so is a layer.
void GraphScan::FollowChild(const ManifestName& name,
                            const oci::Manifest& manifest,
                            const oci::Descriptor& child,
                            std::vector<ManifestName>* more) {
  oci::ChildRole role = oci::RoleOfIndexChild(child.media_type);
  if (manifest.kind != oci::ManifestKind::kIndex) {
    const bool is_plain =
        oci::ClassifyMediaType(child.media_type) == oci::ManifestKind::kUnknown;
    role = is_plain ? oci::ChildRole::kLeaf : oci::ChildRole::kUnknown;
  }
  if (role == oci::ChildRole::kLeaf) return;
  more->push_back({name.place, child.digest, child.media_type,
                   role == oci::ChildRole::kUnknown});
}

absl::StatusOr<std::optional<PutImageConfig>> GraphScan::ReadConfig(
    const store::Place& place, const oci::Digest& digest) {
  std::optional<PutImageConfig> put;
  if (!read_configs_.insert({place, digest}).second) return put;
  const absl::StatusOr<std::string> bytes =
      store_->Read(place, digest, kConfigBytesMax);
  // What did not come of it is tried again for the next one that names it.
  if (!bytes.ok()) read_configs_.erase({place, digest});
  if (absl::IsNotFound(bytes.status())) return put;
  if (!bytes.ok()) {
    return absl::Status(bytes.status().code(),
                        absl::StrCat("the image config ", digest.ToString(),
                                     ": ", bytes.status().message()));
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
    const std::pair<store::Place, oci::Digest> key(name.place, name.digest);
    if (read_.contains(key) || !NeedsReading(name)) continue;
    if ((name.is_guess ? guessed_ : read_).insert(key).second) {
      ReadManifest(name, &names);
    }
    if (pending_.size() >= kPendingMax) {
      RECLAIM_RETURN_IF_ERROR(Flush());
    }
  }
  for (const auto& [place, digest] : late_configs_) {
    absl::StatusOr<std::optional<PutImageConfig>> config =
        ReadConfig(place, digest);
    if (!config.ok()) {
      PutUnreadableKeepers(place, digest,
                           std::string(config.status().message()));
    } else if (config->has_value()) {
      Add(**std::move(config));
    }
  }
  late_configs_.clear();
  return Flush();
}

}  // namespace reclaim::index
