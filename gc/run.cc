#include "gc/run.h"

#include "gc/plan.h"
#include "gc/prune_request.h"

namespace reclaim::gc {

const char* ToString(RunKind kind) {
  switch (kind) {
    case RunKind::kScan:
      return "scan";
    case RunKind::kApply:
      return "apply";
    case RunKind::kRestore:
      return "restore";
    case RunKind::kPurge:
      return "purge";
    case RunKind::kVerify:
      return "verify";
  }
  return "unknown";
}

const char* ToString(RunPhase phase) {
  switch (phase) {
    case RunPhase::kRunning:
      return "running";
    case RunPhase::kSucceeded:
      return "succeeded";
    case RunPhase::kPartial:
      return "partial";
    case RunPhase::kFailed:
      return "failed";
    case RunPhase::kCancelled:
      return "cancelled";
    case RunPhase::kInterrupted:
      return "interrupted";
  }
  return "unknown";
}

const char* ToString(SkipReason reason) {
  switch (reason) {
    case SkipReason::kNone:
      return "none";
    case SkipReason::kBecameLive:
      return "became-live";
    case SkipReason::kTouched:
      return "touched";
    case SkipReason::kLeased:
      return "leased";
    case SkipReason::kInUse:
      return "in-use";
    case SkipReason::kGone:
      return "gone";
    case SkipReason::kChanged:
      return "changed";
    case SkipReason::kScopeKept:
      return "scope-kept";
    case SkipReason::kFailed:
      return "failed";
    case SkipReason::kProofMissing:
      return "proof-missing";
  }
  return "unknown";
}

const char* ToString(DoomReason reason) {
  switch (reason) {
    case DoomReason::kUnreferenced:
      return "unreferenced";
    case DoomReason::kDangling:
      return "dangling";
    case DoomReason::kUnused:
      return "unused";
    case DoomReason::kStopped:
      return "stopped";
    case DoomReason::kNoContainer:
      return "no-container";
    case DoomReason::kCacheUnused:
      return "cache-unused";
    case DoomReason::kUntaggedLink:
      return "untagged-link";
    case DoomReason::kUnusedLayerLink:
      return "unused-layer-link";
    case DoomReason::kAbandonedUpload:
      return "abandoned-upload";
    case DoomReason::kSubjectGone:
      return "subject-gone";
    case DoomReason::kNamed:
      return "named";
  }
  return "unknown";
}

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
