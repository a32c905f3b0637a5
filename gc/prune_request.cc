#include "gc/prune_request.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

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

absl::Status PruneRequest::CheckTarget() const {
  RECLAIM_RETURN_IF_ERROR(target.Validate());
  if (!target.is_set()) return absl::OkStatus();
  if (verb == PruneVerb::kBuildCache) {
    if (target.kind == TargetKind::kKeepUnder) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "target: of the build cache it is under how many bytes to keep it "
        "(keep_under_bytes), and no other");
  }
  const FilterTarget what = TargetOf(verb);
  if ((what != FilterTarget::kImages && what != FilterTarget::kSystem) ||
      with_volumes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "target: it is about images and other content, or build cache; ",
        ToString(verb), with_volumes ? " --volumes" : "", " takes none"));
  }
  if (!only_references.empty()) {
    return absl::InvalidArgumentError(
        "target: it chooses what goes by itself; leave the references out");
  }
  return absl::OkStatus();
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
