#include "gc/audit.h"

namespace reclaim::gc {

const char* ToString(DeletionStep step) {
  return step == DeletionStep::kQuarantine ? "quarantine" : "purge";
}

}  // namespace reclaim::gc
