#include "gc/prune_request.h"

namespace reclaim::gc {

const char* ToString(PruneVerb verb) {
  switch (verb) {
    case PruneVerb::kImages:
      return "image prune";
    case PruneVerb::kAllImages:
      return "image prune --all";
    case PruneVerb::kContainers:
      return "container prune";
    case PruneVerb::kVolumes:
      return "volume prune";
    case PruneVerb::kNetworks:
      return "network prune";
    case PruneVerb::kBuildCache:
      return "builder prune";
    case PruneVerb::kSystem:
      return "system prune";
    case PruneVerb::kRetention:
      return "prune";
  }
  return "unknown";
}

FilterTarget TargetOf(PruneVerb verb) {
  switch (verb) {
    case PruneVerb::kImages:
    case PruneVerb::kAllImages:
      return FilterTarget::kImages;
    case PruneVerb::kContainers:
      return FilterTarget::kContainers;
    case PruneVerb::kVolumes:
      return FilterTarget::kVolumes;
    case PruneVerb::kNetworks:
      return FilterTarget::kNetworks;
    case PruneVerb::kBuildCache:
      return FilterTarget::kBuildCache;
    case PruneVerb::kSystem:
    case PruneVerb::kRetention:
      return FilterTarget::kSystem;
  }
  return FilterTarget::kSystem;
}

}  // namespace reclaim::gc
