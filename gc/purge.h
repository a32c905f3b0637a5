// gc/purge.h — private to gc: freeing quarantined bytes for good.
//
// Bytes leave the disk only here (I2): after the quarantine period or when
// asked, and in a store that others write to only once
//   a scan has found no new reference that began after the move, by at least
//     the time that a writer may take between his look and his name for it
//     (index::WriterTerms), and
//   nobody remembers it (gc/cache_proof.h).
// What lacks the scan is scanned first.  Oldest first, until enough is freed.

#ifndef RECLAIM_GC_PURGE_H_
#define RECLAIM_GC_PURGE_H_

#include <cstdint>
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
  bool NeedsProof(const QuarantineRecord& record) const;
  bool LacksScan(const QuarantineRecord& record,
                 const index::StoreRecord& store) const;
  // The instant from which a scan proves that nobody names it.
  absl::Time ProvableFrom(const QuarantineRecord& record,
                          const index::StoreRecord& store) const;
  absl::Status WaitForWriters(const std::vector<QuarantineRecord>& records,
                              const index::StoreRecord& store);
  absl::Status ScanForProof();
  // Those that may go; says of the others why not.
  absl::StatusOr<std::vector<QuarantineRecord>> Proven(
      std::vector<QuarantineRecord> records, const index::StoreRecord& store);
  absl::StatusOr<index::StoreRecord> Registered() const;
  absl::Status FreeAll(std::vector<QuarantineRecord> records);
  absl::Status FreeBatch(std::vector<QuarantineRecord> records);
  // Adds to `staying` what the store kept, and is to be present again.
  void Settle(const QuarantineRecord& record,
              const store::RemovalOutcome& outcome, QuarantineChanges* settled,
              std::vector<QuarantineRecord>* staying);
  absl::Status CommitOutcomes(absl::Span<const QuarantineRecord> records,
                              absl::Span<const store::RemovalOutcome> outcomes);
  GuardTerms Terms(const index::StoreRecord& store) const;
  bool IsEnough() const;

  CollectedStore* site_;
  const PurgeRequest& request_;
  OngoingRun* run_;
  GuardTerms terms_;
  uint64_t came_back_count_ = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PURGE_H_
