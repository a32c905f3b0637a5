// oci/image_config.h — what an image's config says (OCI image specification,
// "Image configuration"; Docker's container image JSON has the same members).
//
// Pure; hostile input is expected.

#ifndef RECLAIM_OCI_IMAGE_CONFIG_H_
#define RECLAIM_OCI_IMAGE_CONFIG_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace reclaim::oci {

struct ImageHistory {
  std::optional<absl::Time> created;
  std::string created_by;
  std::string comment;
  bool is_empty_layer = false;
};

struct ImageConfig {
  std::optional<absl::Time> created;
  std::string os;
  std::string architecture;
  std::string variant;
  std::map<std::string, std::string> labels;
  std::vector<std::string> diff_ids;
  std::vector<ImageHistory> history;  // oldest first
};

// Members that are absent are empty; a time that cannot be read is unset.
// INVALID_ARGUMENT, RESOURCE_EXHAUSTED as oci/json_reader.h.
absl::StatusOr<ImageConfig> ParseImageConfig(absl::string_view bytes);

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_IMAGE_CONFIG_H_
