// gc/observer.h — events that the collector reports; metrics and logs listen.

#ifndef RECLAIM_GC_OBSERVER_H_
#define RECLAIM_GC_OBSERVER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gc/plan.h"
#include "gc/run.h"

namespace reclaim::gc {

// Called from several threads; must be quick and must not call back.
class CollectorObserver {
 public:
  virtual ~CollectorObserver() = default;
  virtual void OnRunBegin(const Run&) {}
  virtual void OnRunEnd(const Run&) {}
  virtual void OnMarked(const std::string& store, absl::Duration took) {}
  virtual void OnPlanned(const Plan&) {}
  virtual void OnItemQuarantined(const std::string& store, const PlanItem&) {}
  virtual void OnBytesPurged(const std::string& store, const store::Bytes&) {}
  virtual void OnItemRestored(const std::string& store, const PlanItem&) {}
  virtual void OnItemFailed(const std::string& store, const absl::Status&) {}
  // How long a batch of a sweep or a purge held the write order for one of its
  // two commits (I10).
  virtual void OnBatchHeld(const std::string& store, absl::Duration) {}
  // How long a writer was held up: what he names lay in quarantine, until it
  // was back (I4), or could not be looked at before a batch was over.
  virtual void OnWriterWaited(const std::string& store, absl::Duration) {}
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_OBSERVER_H_
