#include "index/event.h"

namespace reclaim::index {

const char* ToString(EventKind kind) {
  switch (kind) {
    case EventKind::kAdded:
      return "added";
    case EventKind::kChanged:
      return "changed";
    case EventKind::kRemoved:
      return "removed";
    case EventKind::kTagMoved:
      return "tag-moved";
    case EventKind::kUsed:
      return "used";
    case EventKind::kQuarantined:
      return "quarantined";
    case EventKind::kRestored:
      return "restored";
    case EventKind::kPurged:
      return "purged";
    case EventKind::kProblem:
      return "problem";
  }
  return "unknown";
}

}  // namespace reclaim::index
