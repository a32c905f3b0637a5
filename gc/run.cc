#include "gc/run.h"

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

}  // namespace reclaim::gc
