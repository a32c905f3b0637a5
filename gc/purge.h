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

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gc/adopted_return.h"
#include "gc/cache_proof.h"
#include "gc/collected_store.h"
#include "gc/collector.h"
#include "gc/deletion_guard.h"
#include "gc/link_return.h"
#include "gc/ongoing_run.h"
#include "gc/policy.h"
#include "gc/quarantine_index.h"
#include "gc/records.h"
#include "gc/run_store.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::gc {

class Purge {
 public:
  // None is owned.
  Purge(CollectedStore* site, const PurgeRequest* request, OngoingRun* run)
      : site_(site), request_(*request), run_(run) {}

  // CANCELLED at a boundary of batches.  A failed item is a problem of the run
  // and stays in quarantine; of one that is partly gone the next purge frees
  // the rest.
  absl::Status Run();

  // Finishes what a crash interrupted: entries whose purge is on record, and of
  // which something has gone.
  absl::Status FinishInterrupted();

 private:
  // Whether the request means it, now.
  bool IsMeant(const QuarantineRecord& record, absl::Time now) const;
  // What the request means, oldest first.
  absl::StatusOr<QuarantineKeys> Select() const;
  // Scans for proof where something that is meant has none yet, or where a
  // registry has lost its memory, and notes what is known then.
  absl::Status SeekProof();
  // Why to scan, and when, as of `now`.
  struct Lacking {
    bool scan = false;
    absl::Time writers_are_done = absl::InfinitePast();
    // Those of a registry that has lost its memory.
    absl::Time lost_writers_are_done = absl::InfinitePast();
  };
  absl::StatusOr<Lacking> FindLacking(absl::Time now) const;
  bool NeedsProof(const QuarantineRecord& record) const;
  bool LacksScan(const QuarantineRecord& record) const;
  // "" or what is not proven of it.
  std::string LackOfProof(const QuarantineRecord& record) const;
  // The instant from which a scan proves that nobody names it.
  absl::Time ProvableFrom(const QuarantineRecord& record) const;
  absl::Status WaitUntil(absl::Time writers_are_done);
  absl::Status ScanForProof();
  // Keeps those that may go and adds them to the run's total; says of the
  // others why not.  This and what is about proofs is in purge_proof.cc.
  absl::Status KeepProven(QuarantineKeys* keys);
  absl::StatusOr<index::StoreRecord> Registered() const;
  // Entries [begin, end) in their order.
  absl::Status FreeAll(const QuarantineKeys& keys, size_t begin, size_t end);
  absl::Status FreeBatch(absl::Span<const QuarantineKey> keys);
  // Of those of a batch of which the store has its own copy again, that this
  // one is whole: reads it all, without any lock.  Of the others says why they
  // stay.
  absl::Status CheckSecondCopies(std::vector<QuarantineKey>* batch);
  absl::StatusOr<bool> MayFreeSecond(const QuarantineKey& key);
  // Whether the graph knows the first one of its bytes as that.
  bool IsFirst(const QuarantineRecord& record, index::NodeState state) const;
  // Whether the store has, or may have, a copy of its own beside this one.
  bool IsSecondCopy(const QuarantineRecord& record) const;
  // Of one whose first copy was collected too: whether that one is whole as it
  // lies in quarantine.  Says why not.
  absl::StatusOr<bool> MayGoBeforeFirst(const QuarantineRecord& second);
  // Gives back the links that are needed, and notes which of them can't.  True
  // if a scan has to tell of one that is meant whether it is needed.
  absl::StatusOr<bool> ReturnNeededLinks();
  absl::Status SkipUnproven(const QuarantineKeys& keys, size_t begin);
  // nullopt if it was settled meanwhile.
  absl::StatusOr<std::optional<QuarantineRecord>> Load(
      const QuarantineKey& key) const;
  // Those that are still what was judged; says of the others why not.
  // REQUIRES: site_->deed is held.
  absl::StatusOr<std::vector<QuarantineRecord>> LoadBatch(
      absl::Span<const QuarantineKey> keys);

  // All of one run, from its intent to its outcome.
  struct Batch {
    std::vector<QuarantineRecord> records;  // kPurging from the intent on
    std::vector<QuarantineState> before;    // what each of them was
    // Absent once the bytes are gone.  Until then they are quarantined: who
    // names one waits for the outcome (I4), which may be that it is here still.
    std::set<index::NodeId> leaving;
  };
  // What became of them.
  struct Outcomes {
    QuarantineChanges settled;
    std::vector<QuarantineRecord> staying;  // the store kept it: present again
    std::vector<QuarantineRecord> gone;     // as they were before the batch
    std::vector<size_t> failed;             // by number in the batch
  };
  // Whether no other bytes of its content would be left in quarantine.
  bool IsLast(const QuarantineRecord& record,
              const index::GraphView& view) const;
  absl::Status Intend(std::vector<QuarantineRecord> records,
                      DeletionGuard* guard, Batch* batch);
  absl::StatusOr<std::vector<store::RemovalOutcome>> Free(
      const DeletionGuard& guard, const Batch& batch);
  // What follows is in purge_outcome.cc.
  void Settle(const Batch& batch, size_t number,
              const store::RemovalOutcome& outcome, Outcomes* out);
  // What is whole is in quarantine as before.
  void SettleFailed(const Batch& batch, Outcomes* out);
  absl::Status CommitOutcomes(const Batch& batch,
                              absl::Span<const store::RemovalOutcome> outcomes);
  // Whose purge is on record, and which is whole nevertheless: nothing was
  // freed, nobody knows what has happened since, and it has to be judged and
  // proven again.  REQUIRES: site_->deed is held.
  absl::Status ReturnUntouched();
  // What one of these is in quarantine from now on.
  absl::Status PutBack(const index::GraphReader& graph,
                       QuarantineRecord* record) const;
  GuardTerms Terms(const index::StoreRecord& store) const;
  bool IsEnough() const;

  CollectedStore* site_;
  const PurgeRequest& request_;
  OngoingRun* run_;
  index::StoreRecord store_;
  Forgetting forgetting_;
  GuardTerms terms_;
  AdoptedBlobs adopted_;
  HeldLinks held_links_;
  bool has_scanned_ = false;
  // Blobs that the store has again, and those of them whose other copy is
  // whole.
  std::set<QuarantineKey> second_copies_;
  std::set<QuarantineKey> verified_;
  uint64_t came_back_count_ = 0;
  uint64_t failed_batch_count_ = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PURGE_H_
