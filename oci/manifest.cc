#include "oci/manifest.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::oci {
namespace {

constexpr size_t kChildCountMax = 100000;
constexpr size_t kNameBytesMax = 64 << 10;

absl::StatusOr<std::map<std::string, std::string>> Annotations(
    const Json& object) {
  std::map<std::string, std::string> annotations;
  RECLAIM_ASSIGN_OR_RETURN(const Json* member,
                           ObjectMember(object, "annotations"));
  if (member == nullptr) return annotations;
  for (const auto& [key, value] : member->items()) {
    if (!value.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("annotation \"", key, "\" is not a string"));
    }
    const auto& text = value.get_ref<const std::string&>();
    // Huge annotations are legal, but nothing here reads them.
    if (text.size() <= kNameBytesMax) annotations.emplace(key, text);
  }
  return annotations;
}

absl::StatusOr<std::string> Platform(const Json& object) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* member,
                           ObjectMember(object, "platform"));
  if (member == nullptr) return std::string();
  RECLAIM_ASSIGN_OR_RETURN(std::string os, StringMember(*member, "os"));
  RECLAIM_ASSIGN_OR_RETURN(const std::string architecture,
                           StringMember(*member, "architecture"));
  RECLAIM_ASSIGN_OR_RETURN(const std::string variant,
                           StringMember(*member, "variant"));
  std::string platform = absl::StrCat(os, "/", architecture);
  if (!variant.empty()) absl::StrAppend(&platform, "/", variant);
  return platform;
}

absl::Status AppendChildren(const Json& document, const char* name,
                            std::vector<Descriptor>* children) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* array, ArrayMember(document, name));
  if (array == nullptr) return absl::OkStatus();
  if (array->size() > kChildCountMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "a manifest with ", array->size(), " ", name, "; the limit is 100000"));
  }
  children->reserve(array->size());
  for (const Json& child : *array) {
    RECLAIM_ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(child));
    children->push_back(std::move(descriptor));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Descriptor>> OptionalDescriptor(
    const Json& document, const char* name) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* member, ObjectMember(document, name));
  if (member == nullptr) return std::optional<Descriptor>();
  RECLAIM_ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(*member));
  return std::optional<Descriptor>(std::move(descriptor));
}

bool Has(const Json& document, const char* name) {
  const auto it = document.find(name);
  return it != document.end() && !it->is_null();
}

ManifestKind KindOfShape(const Json& document) {
  if (Has(document, "manifests")) return ManifestKind::kIndex;
  if (Has(document, "config") || Has(document, "layers")) {
    return ManifestKind::kImage;
  }
  if (Has(document, "fsLayers")) return ManifestKind::kSchema1;
  return ManifestKind::kUnknown;
}

// What the document is: by its embedded media type, else by the declared one,
// else by its shape.  All that is said must agree.
absl::Status SetKind(const Json& document, absl::string_view declared,
                     Manifest* manifest) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string embedded,
                           StringMember(document, "mediaType"));
  manifest->media_type =
      embedded.empty() ? std::string(WithoutParameters(declared)) : embedded;
  const ManifestKind by_body = ClassifyMediaType(embedded);
  const ManifestKind by_name = ClassifyMediaType(declared);
  if (by_body != ManifestKind::kUnknown && by_name != ManifestKind::kUnknown &&
      by_body != by_name) {
    return absl::InvalidArgumentError(
        absl::StrCat("the manifest says that it is ", embedded,
                     ", but it is named as ", declared));
  }
  manifest->kind = by_body != ManifestKind::kUnknown ? by_body : by_name;
  const ManifestKind by_shape = KindOfShape(document);
  if (manifest->kind == ManifestKind::kUnknown) {
    if (!manifest->media_type.empty() || by_shape == ManifestKind::kUnknown) {
      return absl::UnimplementedError(absl::StrCat(
          "unknown manifest media type \"", manifest->media_type, "\""));
    }
    manifest->kind = by_shape;
  }
  const bool has_image_parts =
      Has(document, "config") || Has(document, "layers");
  if ((Has(document, "manifests") && has_image_parts) ||
      (Has(document, "manifests") && manifest->kind != ManifestKind::kIndex) ||
      (has_image_parts && manifest->kind == ManifestKind::kIndex)) {
    return absl::InvalidArgumentError(
        "the manifest can be read as an image and as an index");
  }
  return absl::OkStatus();
}

absl::Status ReadSchema1(const Json& document, Manifest* manifest) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* layers,
                           ArrayMember(document, "fsLayers"));
  if (layers == nullptr) {
    return absl::InvalidArgumentError("a schema 1 manifest without fsLayers");
  }
  for (const Json& layer : *layers) {
    if (!layer.is_object()) {
      return absl::InvalidArgumentError("an fsLayers entry is not an object");
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::string sum,
                             StringMember(layer, "blobSum"));
    Descriptor descriptor;
    RECLAIM_ASSIGN_OR_RETURN(descriptor.digest, Digest::Parse(sum));
    manifest->children.push_back(std::move(descriptor));
  }
  return absl::OkStatus();
}

// Schema 1 manifests are signed in a JWS frame that carries the fields at the
// top as well: nothing special is needed to read them.
absl::Status ReadBody(const Json& document, Manifest* manifest) {
  RECLAIM_ASSIGN_OR_RETURN(manifest->annotations, Annotations(document));
  RECLAIM_ASSIGN_OR_RETURN(manifest->artifact_type,
                           StringMember(document, "artifactType"));
  RECLAIM_ASSIGN_OR_RETURN(manifest->subject,
                           OptionalDescriptor(document, "subject"));
  switch (manifest->kind) {
    case ManifestKind::kImage: {
      RECLAIM_ASSIGN_OR_RETURN(manifest->config,
                               OptionalDescriptor(document, "config"));
      if (!manifest->config) {
        return absl::InvalidArgumentError("an image manifest without config");
      }
      return AppendChildren(document, "layers", &manifest->children);
    }
    case ManifestKind::kIndex:
      if (!Has(document, "manifests")) {
        return absl::InvalidArgumentError("an image index without manifests");
      }
      return AppendChildren(document, "manifests", &manifest->children);
    case ManifestKind::kArtifact:
      return AppendChildren(document, "blobs", &manifest->children);
    case ManifestKind::kSchema1:
      return ReadSchema1(document, manifest);
    case ManifestKind::kUnknown:
      break;
  }
  return absl::InternalError("a manifest of no kind");
}

}  // namespace

absl::StatusOr<Descriptor> ParseDescriptor(const Json& object) {
  if (!object.is_object()) {
    return absl::InvalidArgumentError("a descriptor is not a JSON object");
  }
  Descriptor descriptor;
  RECLAIM_ASSIGN_OR_RETURN(const std::string digest,
                           StringMember(object, "digest"));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.digest, Digest::Parse(digest));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.media_type,
                           StringMember(object, "mediaType"));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.artifact_type,
                           StringMember(object, "artifactType"));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.size_bytes,
                           IntegerMember(object, "size"));
  if (descriptor.size_bytes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", digest, " has a negative size"));
  }
  RECLAIM_ASSIGN_OR_RETURN(descriptor.annotations, Annotations(object));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.platform, Platform(object));
  RECLAIM_ASSIGN_OR_RETURN(const Json* urls, ArrayMember(object, "urls"));
  descriptor.is_foreign = (urls != nullptr && !urls->empty()) ||
                          IsForeignLayerType(descriptor.media_type);
  return descriptor;
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view bytes,
                                       absl::string_view declared_media_type) {
  RECLAIM_ASSIGN_OR_RETURN(const Json document, ReadJsonObject(bytes));
  Manifest manifest;
  RECLAIM_RETURN_IF_ERROR(SetKind(document, declared_media_type, &manifest));
  RECLAIM_RETURN_IF_ERROR(ReadBody(document, &manifest));
  return manifest;
}

}  // namespace reclaim::oci
