#include "oci/manifest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace reclaim::oci {
namespace {

constexpr size_t kChildCountMax = 100000;
constexpr size_t kNameBytesMax = 64 << 10;

constexpr absl::string_view kManifestMembers[] = {
    "mediaType", "artifactType", "config",  "layers",      "manifests",
    "blobs",     "fsLayers",     "subject", "annotations",
};
constexpr absl::string_view kDescriptorMembers[] = {
    "mediaType", "artifactType", "digest",   "size",
    "urls",      "annotations",  "platform",
};

// That they are texts; what they say is read by name.
absl::StatusOr<const Json*> Annotations(const Json& object) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* member,
                           ObjectMember(object, "annotations"));
  if (member == nullptr) return member;
  for (const auto& [key, value] : member->items()) {
    if (!value.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat("annotation \"", key, "\" is not a string"));
    }
  }
  return member;
}

absl::StatusOr<std::string> Name(const Json& object) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* annotations, Annotations(object));
  if (annotations == nullptr) return std::string();
  std::string name = NameOfAnnotations(*annotations);
  // Without it the entry would be one that nobody has named.
  if (name.size() > kNameBytesMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "a name of ", name.size(), " bytes; the limit is ", kNameBytesMax));
  }
  return name;
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

absl::Status CheckCount(const Json& array, const char* name) {
  if (array.size() <= kChildCountMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "a manifest with ", array.size(), " ", name, "; the limit is 100000"));
}

// What has been read of `document` is dropped on the way: at its largest a
// document takes half of what there is for both.
absl::Status TakeChildren(const char* name, Json* document,
                          std::vector<Descriptor>* children) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* array, ArrayMember(*document, name));
  if (array == nullptr) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(CheckCount(*array, name));
  children->reserve(array->size());
  for (Json& child : document->at(name)) {
    RECLAIM_ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(child));
    children->push_back(std::move(descriptor));
    child = nullptr;
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

struct Shape {
  const char* member;
  ManifestKind kind;
  const char* name;
};
constexpr Shape kShapes[] = {
    {"config", ManifestKind::kImage, "an image"},
    {"layers", ManifestKind::kImage, "an image"},
    {"manifests", ManifestKind::kIndex, "an index"},
    {"blobs", ManifestKind::kArtifact, "an artifact"},
    {"fsLayers", ManifestKind::kSchema1, "an image of schema 1"},
};

// What the members say; kUnknown if none of them references anything.
absl::StatusOr<ManifestKind> KindOfShape(const Json& document) {
  const Shape* found = nullptr;
  for (const Shape& shape : kShapes) {
    if (!Has(document, shape.member)) continue;
    if (found != nullptr && found->kind != shape.kind) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the manifest can be read as ", found->name, " and as ", shape.name));
    }
    found = &shape;
  }
  return found == nullptr ? ManifestKind::kUnknown : found->kind;
}

// What the document is: by its embedded media type, else by its shape.  All
// that is said must agree: the type that somebody else gives it never decides.
absl::Status SetKind(const Json& document, absl::string_view declared,
                     Manifest* manifest) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string embedded,
                           StringMember(document, "mediaType"));
  manifest->media_type =
      embedded.empty() ? std::string(WithoutParameters(declared)) : embedded;
  const ManifestKind by_body = ClassifyMediaType(embedded);
  const ManifestKind by_name = ClassifyMediaType(declared);
  RECLAIM_ASSIGN_OR_RETURN(const ManifestKind by_shape, KindOfShape(document));
  manifest->kind = embedded.empty() ? by_shape : by_body;
  const bool is_unknown_name =
      !WithoutParameters(declared).empty() && by_name == ManifestKind::kUnknown;
  if (manifest->kind == ManifestKind::kUnknown ||
      (embedded.empty() && is_unknown_name)) {
    return absl::UnimplementedError(absl::StrCat(
        "unknown manifest media type \"", manifest->media_type, "\""));
  }
  if (by_shape != ManifestKind::kUnknown && by_shape != manifest->kind) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the manifest says that it is ", embedded, ", but has other members"));
  }
  if (by_name != ManifestKind::kUnknown && by_name != manifest->kind) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the manifest is ", embedded.empty() ? "something else" : embedded,
        ", but it is named as ", declared));
  }
  return absl::OkStatus();
}

absl::Status ReadSchema1(const Json& document, Manifest* manifest) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* layers,
                           ArrayMember(document, "fsLayers"));
  if (layers == nullptr) {
    return absl::InvalidArgumentError("a schema 1 manifest without fsLayers");
  }
  RECLAIM_RETURN_IF_ERROR(CheckCount(*layers, "fsLayers"));
  manifest->children.reserve(layers->size());
  for (const Json& layer : *layers) {
    if (!layer.is_object()) {
      return absl::InvalidArgumentError("an fsLayers entry is not an object");
    }
    RECLAIM_RETURN_IF_ERROR(RefuseOtherCase(layer, {"blobSum"}));
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
absl::Status TakeBody(Json* whole, Manifest* manifest) {
  const Json& document = *whole;
  RECLAIM_RETURN_IF_ERROR(Annotations(document).status());
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
      return TakeChildren("layers", whole, &manifest->children);
    }
    case ManifestKind::kIndex:
      if (!Has(document, "manifests")) {
        return absl::InvalidArgumentError("an image index without manifests");
      }
      return TakeChildren("manifests", whole, &manifest->children);
    case ManifestKind::kArtifact:
      return TakeChildren("blobs", whole, &manifest->children);
    case ManifestKind::kSchema1:
      return ReadSchema1(document, manifest);
    case ManifestKind::kUnknown:
      break;
  }
  return absl::InternalError("a manifest of no kind");
}

// A member of another type embeds nothing: it says nothing of what is kept.
bool EmbedsContent(const Json& object, const Descriptor& descriptor) {
  const auto data = object.find("data");
  if (data == object.end() || !data->is_string()) return false;
  std::string content;
  if (!absl::Base64Unescape(data->get_ref<const std::string&>(), &content) ||
      descriptor.size_bytes != static_cast<int64_t>(content.size())) {
    return false;
  }
  Hasher hasher(descriptor.digest.algorithm());
  hasher.Update(content);
  return hasher.Finish() == descriptor.digest;
}

}  // namespace

std::string NameOfAnnotations(const Json& annotations) {
  if (!annotations.is_object()) return "";
  for (const char* annotation :
       {kRefNameAnnotation, kContainerdNameAnnotation}) {
    const auto name = annotations.find(annotation);
    if (name == annotations.end() || !name->is_string()) continue;
    const auto& text = name->get_ref<const std::string&>();
    if (!text.empty()) return text;
  }
  return "";
}

absl::StatusOr<Descriptor> ParseDescriptor(const Json& object) {
  if (!object.is_object()) {
    return absl::InvalidArgumentError("a descriptor is not a JSON object");
  }
  RECLAIM_RETURN_IF_ERROR(RefuseOtherCase(object, kDescriptorMembers));
  Descriptor descriptor;
  RECLAIM_ASSIGN_OR_RETURN(const std::string digest,
                           StringMember(object, "digest"));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.digest, Digest::Parse(digest));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.media_type,
                           StringMember(object, "mediaType"));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.artifact_type,
                           StringMember(object, "artifactType"));
  RECLAIM_ASSIGN_OR_RETURN(const int64_t size, IntegerMember(object, "size"));
  if (size < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", digest, " has a negative size"));
  }
  if (Has(object, "size")) descriptor.size_bytes = size;
  RECLAIM_ASSIGN_OR_RETURN(descriptor.name, Name(object));
  RECLAIM_ASSIGN_OR_RETURN(descriptor.platform, Platform(object));
  RECLAIM_ASSIGN_OR_RETURN(const Json* urls, ArrayMember(object, "urls"));
  descriptor.is_foreign = (urls != nullptr && !urls->empty()) ||
                          IsForeignLayerType(descriptor.media_type);
  return descriptor;
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view bytes,
                                       absl::string_view declared_media_type) {
  RECLAIM_ASSIGN_OR_RETURN(Json document, ReadJsonObject(bytes));
  RECLAIM_RETURN_IF_ERROR(RefuseOtherCase(document, kManifestMembers));
  Manifest manifest;
  RECLAIM_RETURN_IF_ERROR(SetKind(document, declared_media_type, &manifest));
  RECLAIM_RETURN_IF_ERROR(TakeBody(&document, &manifest));
  return manifest;
}

std::vector<Digest> EmbeddedContent(absl::string_view bytes) {
  std::vector<Digest> embedded;
  const absl::StatusOr<Json> document = ReadJsonObject(bytes);
  if (!document.ok()) return embedded;
  const auto look = [&embedded](const Json& object) {
    const absl::StatusOr<Descriptor> descriptor = ParseDescriptor(object);
    if (descriptor.ok() && EmbedsContent(object, *descriptor)) {
      embedded.push_back(descriptor->digest);
    }
  };
  for (const char* name :
       {"config", "subject", "layers", "manifests", "blobs"}) {
    const auto member = document->find(name);
    if (member == document->end()) continue;
    if (!member->is_array()) {
      look(*member);
      continue;
    }
    for (const Json& part : *member) look(part);
  }
  std::sort(embedded.begin(), embedded.end());
  embedded.erase(std::unique(embedded.begin(), embedded.end()), embedded.end());
  return embedded;
}

bool MayBeManifest(absl::string_view bytes) {
  const absl::string_view text = absl::StripLeadingAsciiWhitespace(bytes);
  if (!absl::StartsWith(text, "{")) return false;
  const absl::StatusOr<Json> document = ReadJsonObject(bytes);
  if (!document.ok()) return true;
  return Has(*document, "mediaType") || Has(*document, "schemaVersion") ||
         !RefuseOtherCase(*document, {"mediaType", "schemaVersion"}).ok() ||
         ParseManifest(bytes, "").ok();
}

}  // namespace reclaim::oci
