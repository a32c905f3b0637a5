#include "oci/image_config.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/rfc3339.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "oci/json_reader.h"

namespace reclaim::oci {
namespace {

// Of labels, steps of history and layers.  Images have a few; with more, what
// is read of a config would take as much memory again as its JSON
// (json_reader.h).
constexpr size_t kCountMax = 65536;

absl::Status CheckCount(const Json& values, const char* name) {
  if (values.size() <= kCountMax) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("an image config with ", values.size(), " ", name,
                   "; the limit is ", kCountMax));
}

absl::StatusOr<std::optional<absl::Time>> TimeMember(const Json& object,
                                                     const char* name) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string text, StringMember(object, name));
  return base::ParseRfc3339(text);
}

absl::StatusOr<ImageHistory> ParseHistory(const Json& entry) {
  if (!entry.is_object()) {
    return absl::InvalidArgumentError("a history entry is not an object");
  }
  ImageHistory history;
  RECLAIM_ASSIGN_OR_RETURN(history.created, TimeMember(entry, "created"));
  RECLAIM_ASSIGN_OR_RETURN(history.created_by,
                           StringMember(entry, "created_by"));
  RECLAIM_ASSIGN_OR_RETURN(history.comment, StringMember(entry, "comment"));
  const auto empty = entry.find("empty_layer");
  history.is_empty_layer =
      empty != entry.end() && empty->is_boolean() && empty->get<bool>();
  return history;
}

absl::Status ReadLabels(const Json& document, ImageConfig* config) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* inner, ObjectMember(document, "config"));
  if (inner == nullptr) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const Json* labels, ObjectMember(*inner, "Labels"));
  if (labels == nullptr) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(CheckCount(*labels, "labels"));
  for (const auto& [key, value] : labels->items()) {
    if (value.is_string()) {
      config->labels.emplace(key, value.get_ref<const std::string&>());
    }
  }
  return absl::OkStatus();
}

absl::Status ReadDiffIds(const Json& document, ImageConfig* config) {
  RECLAIM_ASSIGN_OR_RETURN(const Json* rootfs,
                           ObjectMember(document, "rootfs"));
  if (rootfs == nullptr) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const Json* ids, ArrayMember(*rootfs, "diff_ids"));
  if (ids == nullptr) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(CheckCount(*ids, "diff_ids"));
  config->diff_ids.reserve(ids->size());
  for (const Json& id : *ids) {
    if (!id.is_string()) {
      return absl::InvalidArgumentError("a diff_id is not a string");
    }
    config->diff_ids.push_back(id.get_ref<const std::string&>());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ImageConfig> ParseImageConfig(absl::string_view bytes) {
  RECLAIM_ASSIGN_OR_RETURN(const Json document, ReadJsonObject(bytes));
  ImageConfig config;
  RECLAIM_ASSIGN_OR_RETURN(config.created, TimeMember(document, "created"));
  RECLAIM_ASSIGN_OR_RETURN(config.os, StringMember(document, "os"));
  RECLAIM_ASSIGN_OR_RETURN(config.architecture,
                           StringMember(document, "architecture"));
  RECLAIM_ASSIGN_OR_RETURN(config.variant, StringMember(document, "variant"));
  RECLAIM_RETURN_IF_ERROR(ReadLabels(document, &config));
  RECLAIM_RETURN_IF_ERROR(ReadDiffIds(document, &config));
  RECLAIM_ASSIGN_OR_RETURN(const Json* history,
                           ArrayMember(document, "history"));
  if (history != nullptr) {
    RECLAIM_RETURN_IF_ERROR(CheckCount(*history, "steps of history"));
    config.history.reserve(history->size());
    for (const Json& entry : *history) {
      RECLAIM_ASSIGN_OR_RETURN(ImageHistory parsed, ParseHistory(entry));
      config.history.push_back(std::move(parsed));
    }
  }
  return config;
}

}  // namespace reclaim::oci
