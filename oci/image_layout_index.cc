#include "oci/image_layout_index.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "oci/json_reader.h"

namespace reclaim::oci {
namespace {

absl::StatusOr<Json*> Entries(Json* document) {
  const auto it = document->find("manifests");
  if (it == document->end() || !it->is_array()) {
    return absl::InvalidArgumentError("index.json has no array \"manifests\"");
  }
  return &*it;
}

// The name of a raw entry, "" for none; malformed entries have no name.
std::string NameOf(const Json& entry) {
  if (!entry.is_object()) return "";
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || !annotations->is_object()) return "";
  const auto name = annotations->find(kRefNameAnnotation);
  return name == annotations->end() || !name->is_string()
             ? ""
             : name->get<std::string>();
}

bool IsEntry(const Json& entry, const LayoutEdit& edit) {
  if (!entry.is_object() || NameOf(entry) != edit.name) return false;
  const auto digest = entry.find("digest");
  return digest != entry.end() && digest->is_string() &&
         digest->get<std::string>() == edit.digest.ToString();
}

bool HasEntry(const Json& entries, const LayoutEdit& edit) {
  for (const Json& entry : entries) {
    if (IsEntry(entry, edit)) return true;
  }
  return false;
}

void DropName(Json* entry) {
  Json& annotations = (*entry)["annotations"];
  annotations.erase(kRefNameAnnotation);
  if (annotations.empty()) entry->erase("annotations");
}

bool ApplyEdit(Json* entries, const LayoutEdit& edit) {
  for (size_t i = 0; i < entries->size(); ++i) {
    if (!IsEntry((*entries)[i], edit)) continue;
    if (edit.name.empty() || HasEntry(*entries, {"", edit.digest})) {
      entries->erase(i);
    } else {
      DropName(&(*entries)[i]);
    }
    return true;
  }
  return false;
}

}  // namespace

absl::Status CheckLayoutVersion(absl::string_view bytes) {
  RECLAIM_ASSIGN_OR_RETURN(const Json document, ReadJsonObject(bytes));
  RECLAIM_ASSIGN_OR_RETURN(const std::string version,
                           StringMember(document, "imageLayoutVersion"));
  if (!absl::StartsWith(version, "1.")) {
    return absl::UnimplementedError(absl::StrCat(
        "image layout version \"", version, "\"; versions 1.x are understood"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<LayoutEntry>> ParseLayoutIndex(
    absl::string_view bytes) {
  RECLAIM_ASSIGN_OR_RETURN(Manifest index, ParseManifest(bytes, kOciIndexType));
  std::vector<LayoutEntry> entries;
  entries.reserve(index.children.size());
  for (Descriptor& descriptor : index.children) {
    LayoutEntry entry;
    const auto name = descriptor.annotations.find(kRefNameAnnotation);
    if (name != descriptor.annotations.end()) entry.name = name->second;
    entry.descriptor = std::move(descriptor);
    entries.push_back(std::move(entry));
  }
  return entries;
}

absl::StatusOr<EditedLayoutIndex> EditLayoutIndex(
    absl::string_view bytes, const std::vector<LayoutEdit>& edits) {
  RECLAIM_ASSIGN_OR_RETURN(Json document, ReadJsonObject(bytes));
  RECLAIM_ASSIGN_OR_RETURN(Json * entries, Entries(&document));
  EditedLayoutIndex edited;
  for (const LayoutEdit& edit : edits) {
    edited.was_found.push_back(ApplyEdit(entries, edit));
  }
  edited.bytes = document.dump();
  return edited;
}

}  // namespace reclaim::oci
