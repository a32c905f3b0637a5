#include "accounting/image_history.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace reclaim::accounting {
namespace {

// Oldest first, one entry a layer: for images that tell nothing of their
// making.
std::vector<HistoryEntry> LayersAlone(
    const std::vector<oci::Descriptor>& layers) {
  std::vector<HistoryEntry> entries;
  for (const oci::Descriptor& layer : layers) {
    HistoryEntry entry;
    entry.layer = layer.digest;
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace

absl::StatusOr<std::vector<HistoryEntry>> MakeHistory(
    const oci::Manifest& manifest, const oci::ImageConfig& config) {
  std::vector<HistoryEntry> entries;
  size_t next_layer = 0;
  for (const oci::ImageHistory& step : config.history) {
    HistoryEntry entry;
    entry.created = step.created;
    entry.created_by = step.created_by;
    entry.comment = step.comment;
    entry.is_empty_layer = step.is_empty_layer;
    if (!step.is_empty_layer) {
      if (next_layer == manifest.children.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("the config's history names more layers than the ",
                         manifest.children.size(), " that the manifest has"));
      }
      entry.layer = manifest.children[next_layer++].digest;
    }
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) entries = LayersAlone(manifest.children);
  std::reverse(entries.begin(), entries.end());
  return entries;
}

}  // namespace reclaim::accounting
