// gc/collected_store.h — private to gc: a store under collection.

#ifndef RECLAIM_GC_COLLECTED_STORE_H_
#define RECLAIM_GC_COLLECTED_STORE_H_

#include <atomic>
#include <shared_mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "gc/audit.h"
#include "gc/observer.h"
#include "gc/records.h"
#include "gc/registry_witness.h"
#include "gc/run_store.h"
#include "index/reference_graph.h"
#include "store/content_store.h"

namespace reclaim::gc {

// What every acting step needs; nothing is owned.
struct CollectedStore {
  index::ReferenceGraph* graph = nullptr;
  const base::Clock* clock = nullptr;
  const base::Clock* period_clock = nullptr;  // Collector::SetPeriodClock()
  RunStore* runs = nullptr;
  CollectorObserver* observer = nullptr;
  // The collector's; holds null where nobody keeps an audit.
  const std::atomic<DeletionAudit*>* audit = nullptr;
  RegistryWitness* witness = nullptr;  // nullptr: nobody can be asked
  // Of what is found in quarantine without a record.
  absl::Duration quarantine_period;
  std::string name;
  index::StoreId id = index::kNoStore;
  store::ContentStore* store = nullptr;
  // Held while a batch of a sweep moves names and while single names are
  // looked up: a name is here or gone, never on its way.  Taken before `deed`,
  // for a reference that comes in by such a look may have to restore.
  base::Mutex names;
  // Held from the intent of a batch to its outcome, so that a restore finds
  // each item either here or there.  Taken before the write order, never while
  // it is held, and never across batches.
  base::Mutex deed;
  // The run at work on the store; "" if none.  Guarded by the collector.
  std::string acting_run;
  // Why its recovery did not come to its end; "" if it did.  Guarded by the
  // collector.
  std::string unrecovered;
  // Whether some of its interrupted runs have not been taken up: it could not
  // be recovered at the start, and may have been since, or the database failed.
  // Guarded by the collector.
  bool has_runs_to_take_up = false;
  // Held alone by a sync, shared by who plans: between two states of a store
  // nothing there may be judged.  Taken before everything else.
  std::shared_mutex sync_gate;
};

// Tells the audit what is about to go.  An error: it must not go (I9).
absl::Status Announce(const CollectedStore& site, DeletionStep step,
                      const Run& run,
                      absl::Span<const QuarantineRecord> records);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_COLLECTED_STORE_H_
