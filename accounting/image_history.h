// accounting/image_history.h — the layers of an image with what made them.
//
// `docker history`: the config's history entries, newest first, each non-empty
// one matched in order with a layer of the manifest.  A config without history
// (schema 1, artifacts) gives one entry a layer.
//
// Pure; the caller reads the bytes.

#ifndef RECLAIM_ACCOUNTING_IMAGE_HISTORY_H_
#define RECLAIM_ACCOUNTING_IMAGE_HISTORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "oci/digest.h"
#include "oci/image_config.h"
#include "oci/manifest.h"

namespace reclaim::accounting {

struct HistoryEntry {
  std::optional<absl::Time> created;
  std::string created_by;
  std::string comment;
  bool is_empty_layer = false;
  std::optional<oci::Digest> layer;  // unset for empty layers
};

// Newest first.  INVALID_ARGUMENT if the config names more non-empty layers
// than the manifest has.
absl::StatusOr<std::vector<HistoryEntry>> MakeHistory(
    const oci::Manifest& manifest, const oci::ImageConfig& config);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_IMAGE_HISTORY_H_
