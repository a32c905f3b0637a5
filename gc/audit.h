// gc/audit.h — who hears of each deletion before it is done.
//
// I9: the record of a deletion is durable before the deed.  What cannot be
// recorded is not done: an error of Record() ends the run before the store is
// asked to move or free anything.

#ifndef RECLAIM_GC_AUDIT_H_
#define RECLAIM_GC_AUDIT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gc/plan.h"
#include "store/types.h"

namespace reclaim::gc {

enum class DeletionStep : uint8_t { kQuarantine = 1, kPurge = 2 };
const char* ToString(DeletionStep step);

// One batch of one run: what is about to go.
struct DeletionRecord {
  DeletionStep step = DeletionStep::kQuarantine;
  std::string store;
  std::string run_id;
  std::string plan_id;  // of a quarantine
  std::string actor;
  absl::Time restorable_until;  // of a quarantine
  struct Item {
    std::string subject;  // a removal or a named node, as messages call it
    DoomReason reason = DoomReason::kUnreferenced;
    store::Bytes bytes;
  };
  std::vector<Item> items;
};

// Thread-safe.
class DeletionAudit {
 public:
  virtual ~DeletionAudit() = default;
  // Durable when it returns OK.
  virtual absl::Status Record(const DeletionRecord& record) = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_AUDIT_H_
