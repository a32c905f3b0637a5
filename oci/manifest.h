// oci/manifest.h — a manifest, image index or artifact, parsed.
//
// Sources: OCI image specification 1.1 (manifest, image index, descriptor),
// Docker Image Manifest V2 schema 2 and schema 1.  What a document references
// depends on its bytes alone: its own media type, or else its shape, says what
// it is, and whoever names it can at most be contradicted.  A body that could
// be read as two kinds is refused (CVE-2021-41190), and so is one with a member
// that only some readers take for one that we know.  Pure; hostile input is
// expected (oci/json_reader.h).

#ifndef RECLAIM_OCI_MANIFEST_H_
#define RECLAIM_OCI_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "oci/digest.h"
#include "oci/json_reader.h"
#include "oci/media_type.h"

namespace reclaim::oci {

// What image layouts name an entry by.
inline constexpr char kRefNameAnnotation[] =
    "org.opencontainers.image.ref.name";
// What containerd and Docker name an image by; most of their entries have both.
inline constexpr char kContainerdNameAnnotation[] = "io.containerd.image.name";

struct Descriptor {
  std::string media_type;
  Digest digest;
  // As declared, never trusted for accounting; unset if it says none.
  std::optional<int64_t> size_bytes;
  // Its ref.name annotation, else the one of containerd; "" without either.
  std::string name;
  std::string artifact_type;
  std::string platform;     // "linux/arm64/v8"; "" if none
  bool is_foreign = false;  // bytes live elsewhere: absence is no fault
};

struct Manifest {
  ManifestKind kind = ManifestKind::kUnknown;
  std::string media_type;  // the embedded one, else the declared one
  std::string artifact_type;
  std::optional<Descriptor> config;
  // Layers of an image, manifests of an index, blobs of an artifact; in order.
  std::vector<Descriptor> children;
  std::optional<Descriptor> subject;
};

// `declared_media_type` is what names the document (Content-Type, descriptor);
// "" if unknown; it never changes what an accepted document references.
// Errors: INVALID_ARGUMENT (malformed, ambiguous, or media types and shape
// differ in kind), UNIMPLEMENTED (a media type, shape or digest algorithm that
// we don't know: what it references can't be known), RESOURCE_EXHAUSTED.
absl::StatusOr<Manifest> ParseManifest(absl::string_view bytes,
                                       absl::string_view declared_media_type);

// Whether bytes that nobody calls a manifest may be one: an object that says
// its media type or schema version, or that can be read as one; and an object
// that can't be read.
bool MayBeManifest(absl::string_view bytes);

// The name that the annotations of an entry give it, as Descriptor::name; what
// is no object, or no text in it, gives none.
std::string NameOfAnnotations(const Json& annotations);

// The digests of what the descriptors of a manifest embed (`data`), ascending:
// only what has the digest and the size that its descriptor says.  Such content
// is not lost where its blob is.  Reads the document anew; of what can't be
// read there is none.
std::vector<Digest> EmbeddedContent(absl::string_view bytes);

// One descriptor object.
absl::StatusOr<Descriptor> ParseDescriptor(const Json& object);

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_MANIFEST_H_
