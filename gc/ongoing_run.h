// gc/ongoing_run.h — private to gc: a run while it runs.
//
// Collects counts, skipped items and problems; tells callers and observers; and
// gives the durable record that goes along with each commit.  Not thread-safe.

#ifndef RECLAIM_GC_ONGOING_RUN_H_
#define RECLAIM_GC_ONGOING_RUN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gc/collected_store.h"
#include "gc/collector.h"
#include "gc/records.h"
#include "gc/run.h"

namespace reclaim::gc {

class OngoingRun {
 public:
  // None is owned.
  OngoingRun(StoredRun stored, CollectedStore* site, const RunControl* control)
      : stored_(std::move(stored)), site_(site), control_(control) {}

  StoredRun& stored() { return stored_; }
  Run& run() { return stored_.run; }
  bool IsCancelled() const;

  // Keep the first thousand skipped items and the first hundred problems.
  void Skip(std::string subject, SkipReason reason, std::string detail);
  void AddProblem(std::string problem);
  // An item failed in the store: skipped, a problem, and the observer hears.
  void Fail(std::string subject, const absl::Status& status);
  // One more item is settled.
  void Count(const PlanItem& item, const store::RemovalBytes& bytes);

  void Begin();   // tells the observer and the caller
  void Report();  // tells the caller
  // Ends the run, durably: cancelled, failed, partial or succeeded.  Partial: a
  // problem, or an item that was left though nothing needs it.
  absl::StatusOr<Run> End(const absl::Status& status);

 private:
  StoredRun stored_;
  CollectedStore* site_;
  const RunControl* control_;
  bool has_left_ = false;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_ONGOING_RUN_H_
