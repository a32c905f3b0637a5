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
  }
  return "unknown";
}

}  // namespace reclaim::gc
