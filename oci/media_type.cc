#include "oci/media_type.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace reclaim::oci {

absl::string_view WithoutParameters(absl::string_view media_type) {
  return absl::StripAsciiWhitespace(media_type.substr(0, media_type.find(';')));
}

ManifestKind ClassifyMediaType(absl::string_view media_type) {
  const absl::string_view type = WithoutParameters(media_type);
  if (type == kOciManifestType || type == kDockerManifestType) {
    return ManifestKind::kImage;
  }
  if (type == kOciIndexType || type == kDockerListType) {
    return ManifestKind::kIndex;
  }
  if (type == kOciArtifactType) return ManifestKind::kArtifact;
  if (absl::StartsWith(type,
                       "application/vnd.docker.distribution.manifest.v1+")) {
    return ManifestKind::kSchema1;
  }
  return ManifestKind::kUnknown;
}

ChildRole RoleOfIndexChild(absl::string_view media_type) {
  const absl::string_view type = WithoutParameters(media_type);
  if (type.empty() || ClassifyMediaType(type) != ManifestKind::kUnknown) {
    return ChildRole::kManifest;
  }
  // What the writers of indexes list besides manifests: images' configs, the
  // empty object, the record of a BuildKit cache.
  if (IsImageConfigType(type) || type == "application/vnd.oci.empty.v1+json" ||
      type == "application/vnd.buildkit.cacheconfig.v0") {
    return ChildRole::kLeaf;
  }
  if (absl::EndsWithIgnoreCase(type, "+json") ||
      absl::EndsWithIgnoreCase(type, "/json") ||
      absl::StrContains(absl::AsciiStrToLower(type), "manifest") ||
      absl::StrContains(absl::AsciiStrToLower(type), "index")) {
    return ChildRole::kManifest;
  }
  if (absl::StartsWith(type, "application/vnd.oci.image.layer.") ||
      absl::StartsWith(type, "application/vnd.docker.image.rootfs.")) {
    return ChildRole::kLeaf;
  }
  return ChildRole::kUnknown;
}

bool IsImageConfigType(absl::string_view media_type) {
  const absl::string_view type = WithoutParameters(media_type);
  return type == kOciConfigType || type == kDockerConfigType;
}

bool IsForeignLayerType(absl::string_view media_type) {
  const absl::string_view type = WithoutParameters(media_type);
  return absl::StartsWith(
             type, "application/vnd.oci.image.layer.nondistributable.v1.") ||
         absl::StartsWith(type,
                          "application/vnd.docker.image.rootfs.foreign.diff.");
}

}  // namespace reclaim::oci
