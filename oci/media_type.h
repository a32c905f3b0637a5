// oci/media_type.h — what a media type says about the shape of a document.
//
// Pure.

#ifndef RECLAIM_OCI_MEDIA_TYPE_H_
#define RECLAIM_OCI_MEDIA_TYPE_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace reclaim::oci {

inline constexpr char kOciManifestType[] =
    "application/vnd.oci.image.manifest.v1+json";
inline constexpr char kOciIndexType[] =
    "application/vnd.oci.image.index.v1+json";
inline constexpr char kOciConfigType[] =
    "application/vnd.oci.image.config.v1+json";
inline constexpr char kOciArtifactType[] =
    "application/vnd.oci.artifact.manifest.v1+json";
inline constexpr char kDockerManifestType[] =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr char kDockerListType[] =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr char kDockerConfigType[] =
    "application/vnd.docker.container.image.v1+json";

enum class ManifestKind : uint8_t {
  kUnknown = 0,
  kImage = 1,     // config and layers (OCI, Docker schema 2)
  kIndex = 2,     // manifests (OCI image index, Docker manifest list)
  kArtifact = 3,  // OCI artifact manifest: blobs
  kSchema1 = 4,   // Docker schema 1: fsLayers, no config
};

// The type without parameters ("; charset=utf-8") and surrounding blanks.
absl::string_view WithoutParameters(absl::string_view media_type);

// kUnknown for everything that is not a manifest of a kind we know.
ManifestKind ClassifyMediaType(absl::string_view media_type);

// What an entry of an image index is, by the type that the index gives it.
enum class ChildRole : uint8_t {
  kManifest = 0,  // references more, or might: its bytes have to tell
  kLeaf = 1,      // a layer or a config: references nothing
  kUnknown = 2,   // no JSON by its type: a leaf, unless its bytes say otherwise
};
// Indexes of manifests are the rule; build caches and checkpoints list layers
// and configs as well.  A type that ends with "+json" and is no config that we
// know is kManifest.
ChildRole RoleOfIndexChild(absl::string_view media_type);

// An image config (OCI or Docker).
bool IsImageConfigType(absl::string_view media_type);

// Layers that registries do not hold ("foreign", "nondistributable").
bool IsForeignLayerType(absl::string_view media_type);

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_MEDIA_TYPE_H_
