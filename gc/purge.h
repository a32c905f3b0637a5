// gc/purge.h — private to gc: freeing quarantined bytes for good.
//
// Bytes leave the disk only here (I2): after the quarantine period or when
// asked, and in a store that others write to only once a scan that began after
// the move has found no new reference.  What lacks that proof is scanned first.
// Oldest first, until enough is freed.

#ifndef RECLAIM_GC_PURGE_H_
#define RECLAIM_GC_PURGE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gc/collected_store.h"
#include "gc/collector.h"
#include "gc/deletion_guard.h"
#include "gc/graph_changes.h"
#include "gc/ongoing_run.h"
#include "gc/policy.h"

namespace reclaim::gc {

class Purge {
 public:
  // None is owned.
  Purge(CollectedStore* site, const PurgeRequest* request, OngoingRun* run)
      : site_(site), request_(*request), run_(run) {}

  // CANCELLED at a boundary of batches.  A failed item is a problem of the run
  // and stays to be freed by the next purge.
  absl::Status Run();

  // Finishes what a crash interrupted: entries whose purge is on record.
  absl::Status FinishInterrupted();

 private:
  // What the request means, oldest first.
  absl::StatusOr<std::vector<QuarantineRecord>> Select() const;
  bool LacksProof(const QuarantineRecord& record,
                  index::Epoch scan_epoch) const;
  absl::Status ScanForProof();
  absl::StatusOr<index::StoreRecord> Registered() const;
  absl::Status FreeAll(std::vector<QuarantineRecord> records);
  absl::Status FreeBatch(std::vector<QuarantineRecord> records);
  void Settle(const QuarantineRecord& record,
              const store::RemovalOutcome& outcome, QuarantineChanges* settled,
              GraphChanges* returned);
  GuardTerms Terms(const index::StoreRecord& store) const;
  bool IsEnough() const;

  CollectedStore* site_;
  const PurgeRequest& request_;
  OngoingRun* run_;
  GuardTerms terms_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PURGE_H_
