#include "gc/image_configs.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"

namespace reclaim::gc {

absl::StatusOr<std::vector<index::PutImageConfig>> ConfigsOf(
    const index::GraphView& view, const DetailSource& details,
    index::NodeId image) {
  std::vector<index::PutImageConfig> configs;
  // An index may list an index: all of its platforms count.
  std::vector<index::NodeId> manifests = {image};
  absl::flat_hash_set<index::NodeId> seen = {image};
  while (!manifests.empty()) {
    const index::NodeId manifest = manifests.back();
    manifests.pop_back();
    for (const index::NodeId child : view.Kept(manifest)) {
      if (IsManifestLike(view.kind(child)) && seen.insert(child).second) {
        manifests.push_back(child);
      }
      if (view.kind(child) != index::NodeKind::kConfig) continue;
      RECLAIM_ASSIGN_OR_RETURN(auto config, details.GetImageConfig(child));
      if (!config || config->os == "unknown") continue;
      configs.push_back(*std::move(config));
    }
  }
  return configs;
}

}  // namespace reclaim::gc
