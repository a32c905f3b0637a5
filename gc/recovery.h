// gc/recovery.h — private to gc: making records and store agree after a crash.
//
// The records say what was meant, the store's quarantine folder what happened
// (I3).  An intent without an outcome is undone; an entry that is not in
// quarantine any more came back; a purge on record is finished if something has
// gone, and undone if nothing has; bytes in quarantine that no record knows
// (the database was lost) get one, so that they can be restored, also by what
// names them (gc/adopted_return.h), and are freed in time.

#ifndef RECLAIM_GC_RECOVERY_H_
#define RECLAIM_GC_RECOVERY_H_

#include <vector>

#include "absl/status/status.h"
#include "gc/collected_store.h"
#include "gc/records.h"

namespace reclaim::gc {

// Idempotent.  While no run is at work on the store.  ALREADY_EXISTS: something
// lies in the way of what was to come back, which stays in quarantine as
// anything there; all else is done.
absl::Status RecoverStore(CollectedStore* site);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RECOVERY_H_
