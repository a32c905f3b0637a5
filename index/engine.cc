#include "index/engine.h"

namespace reclaim::index {

const char* ToString(Family family) {
  switch (family) {
    case Family::kMeta:
      return "meta";
    case Family::kContent:
      return "content";
    case Family::kNamed:
      return "named";
    case Family::kMembership:
      return "membership";
    case Family::kEvent:
      return "event";
    case Family::kRequest:
      return "request";
    case Family::kPlan:
      return "plan";
    case Family::kRun:
      return "run";
    case Family::kQuarantine:
      return "quarantine";
    case Family::kPolicy:
      return "policy";
    case Family::kHistory:
      return "history";
  }
  return "unknown";
}

}  // namespace reclaim::index
