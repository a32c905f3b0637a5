#include "gc/image_configs.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"

namespace reclaim::gc {

absl::StatusOr<std::vector<index::PutImageConfig>> ConfigsOf(
    const index::GraphView& view, const DetailSource& details,
    index::NodeId image) {
  std::vector<index::PutImageConfig> configs;
  const auto listed = view.Kept(image);
  std::vector<index::NodeId> manifests(listed.begin(), listed.end());
  manifests.push_back(image);
  for (const index::NodeId manifest : manifests) {
    if (!IsManifestLike(view.kind(manifest))) continue;
    for (const index::NodeId child : view.Kept(manifest)) {
      if (view.kind(child) != index::NodeKind::kConfig) continue;
      RECLAIM_ASSIGN_OR_RETURN(auto config, details.GetImageConfig(child));
      if (!config || config->os == "unknown") continue;
      configs.push_back(*std::move(config));
    }
  }
  return configs;
}

std::optional<absl::Time> CreatedOf(
    const std::vector<index::PutImageConfig>& configs) {
  std::optional<absl::Time> created;
  for (const index::PutImageConfig& config : configs) {
    const absl::Time time = config.created.value_or(absl::InfiniteFuture());
    created = std::max(created.value_or(time), time);
  }
  return created;
}

}  // namespace reclaim::gc
