// gc/policy.h — every delay and limit that stands between a race and data loss.
//
// One struct, so that the whole of it can be read on one screen.

#ifndef RECLAIM_GC_POLICY_H_
#define RECLAIM_GC_POLICY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace reclaim::gc {

struct GcPolicy {
  // Content that was uploaded, linked or promised ("exists") less than this ago
  // is a root.  Default 24 h; 0 judges everything by references alone, which is
  // safe only where nobody writes.  Bounds 0 to 10 years.
  absl::Duration grace_period = absl::Hours(24);

  // How long quarantined bytes stay restorable before Purge() takes them on its
  // own.  Default 24 h, bounds 0 to 10 years.
  absl::Duration quarantine_period = absl::Hours(24);

  // A plan older than this is refused by Apply().  Default 24 h, 1 min to 30 d.
  absl::Duration plan_lifetime = absl::Hours(24);

  // Uploads whose last write is older than this are abandoned.  Default 168 h.
  absl::Duration upload_lifetime = absl::Hours(168);

  // Items quarantined under one guard.  Default 64, bounds 1 to 10,000.  A
  // writer waits at most for one batch (I10).
  uint32_t batch_item_count = 64;

  // Bytes a second that a sweep may move or free; 0 is unlimited.
  uint64_t pace_bytes_per_second = 0;

  // A plan that would take away more than this share of a store's bytes is
  // refused by Apply() unless the caller allows large plans.  1 to 100.
  int large_plan_percent = 50;

  // INVALID_ARGUMENT naming the field, its bound and its value.
  absl::Status Validate() const;
};

// For a store that nobody else writes to and a caller who wants all of it.
GcPolicy NoGrace();

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_POLICY_H_
