#include "oci/image_layout_index.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
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
  return annotations == entry.end() ? "" : NameOfAnnotations(*annotations);
}

bool HasDigest(const Json& entry, const Digest& digest) {
  if (!entry.is_object()) return false;
  const auto found = entry.find("digest");
  return found != entry.end() && found->is_string() &&
         found->get<std::string>() == digest.ToString();
}

bool IsEntry(const Json& entry, const LayoutEdit& edit) {
  return HasDigest(entry, edit.digest) && NameOf(entry) == edit.name;
}

const Json* FindEntry(const Json& entries, const LayoutEdit& edit) {
  for (const Json& entry : entries) {
    if (IsEntry(entry, edit)) return &entry;
  }
  return nullptr;
}

void DropName(Json* entry) {
  Json& annotations = (*entry)["annotations"];
  annotations.erase(kRefNameAnnotation);
  annotations.erase(kContainerdNameAnnotation);
  if (annotations.empty()) entry->erase("annotations");
}

// Some writers list an entry twice, or once for each platform: all that has the
// name loses it.
bool ApplyEdit(Json* entries, const LayoutEdit& edit) {
  bool found = false;
  for (size_t i = 0; i < entries->size();) {
    if (!IsEntry((*entries)[i], edit)) {
      ++i;
      continue;
    }
    found = true;
    if (edit.name.empty() ||
        FindEntry(*entries, {"", edit.digest}) != nullptr) {
      entries->erase(i);
    } else {
      DropName(&(*entries)[i]);
      ++i;
    }
  }
  return found;
}

// Where the entry stands that `edit` left without its name, nullptr if it left
// none: the file had one without a name before it.
Json* LeftWithoutName(Json* entries, const Json& before,
                      const LayoutEdit& edit) {
  const LayoutEdit nameless = {"", edit.digest};
  if (edit.name.empty() || FindEntry(before, nameless) != nullptr) {
    return nullptr;
  }
  for (Json& entry : *entries) {
    if (IsEntry(entry, nameless)) return &entry;
  }
  return nullptr;
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

absl::StatusOr<std::vector<Descriptor>> ParseLayoutIndex(
    absl::string_view bytes) {
  RECLAIM_ASSIGN_OR_RETURN(Manifest index, ParseManifest(bytes, kOciIndexType));
  return std::move(index.children);
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

absl::StatusOr<std::string> RestoreLayoutEntry(absl::string_view now,
                                               absl::string_view before,
                                               const LayoutEdit& edit) {
  RECLAIM_ASSIGN_OR_RETURN(Json document, ReadJsonObject(now));
  RECLAIM_ASSIGN_OR_RETURN(Json * entries, Entries(&document));
  RECLAIM_ASSIGN_OR_RETURN(Json old, ReadJsonObject(before));
  RECLAIM_ASSIGN_OR_RETURN(Json * old_entries, Entries(&old));
  if (FindEntry(*entries, edit) != nullptr) return std::string(now);
  for (const Json& entry : *entries) {
    if (edit.name.empty() || NameOf(entry) != edit.name) continue;
    return absl::AlreadyExistsError(
        absl::StrCat(edit.name, " names something else by now"));
  }
  if (FindEntry(*old_entries, edit) == nullptr) {
    return absl::DataLossError(absl::StrCat(
        "the note of ", edit.digest.ToString(), " does not hold its entry"));
  }
  Json* left = LeftWithoutName(entries, *old_entries, edit);
  for (const Json& gone : *old_entries) {
    if (!IsEntry(gone, edit)) continue;
    if (left != nullptr) {
      *left = gone;
      left = nullptr;
    } else {
      entries->push_back(gone);
    }
  }
  return document.dump();
}

absl::StatusOr<std::string> MergeLayoutIndexes(absl::string_view index,
                                               absl::string_view other) {
  RECLAIM_ASSIGN_OR_RETURN(Json document, ReadJsonObject(index));
  RECLAIM_ASSIGN_OR_RETURN(Json * entries, Entries(&document));
  RECLAIM_ASSIGN_OR_RETURN(Json second, ReadJsonObject(other));
  RECLAIM_ASSIGN_OR_RETURN(const Json* more, Entries(&second));
  bool lacks_any = false;
  for (const Json& entry : *more) {
    if (std::find(entries->begin(), entries->end(), entry) != entries->end()) {
      continue;
    }
    entries->push_back(entry);
    lacks_any = true;
  }
  return lacks_any ? document.dump() : std::string(index);
}

}  // namespace reclaim::oci
