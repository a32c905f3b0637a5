// gc/sweep.h — private to gc: quarantines the items of a plan, batch by batch.
//
// Each batch: the guard repeats every check in the write order (I1), the intent
// is durable together with the graph's change (I3), the store moves, the
// outcome is recorded.  What the store refuses is put back into the graph.
// Nothing that is not in the plan is touched (I7).
//
// A batch is of one stage (containers, then names, links, content): a container
// that the engine refuses to give, or a tag that a writer has just written, is
// a keeper again before anything that it keeps is judged.
//
// The run's record is part of both commits, so that a run which a crash
// interrupts goes on at its first unsettled batch.

#ifndef RECLAIM_GC_SWEEP_H_
#define RECLAIM_GC_SWEEP_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gc/cache_proof.h"
#include "gc/collected_store.h"
#include "gc/deletion_guard.h"
#include "gc/graph_changes.h"
#include "gc/ongoing_run.h"
#include "gc/plan.h"
#include "index/hints.h"

namespace reclaim::gc {

class Sweep {
 public:
  // None is owned.
  Sweep(CollectedStore* site, const Plan* plan, OngoingRun* run)
      : site_(site), plan_(*plan), run_(run) {}

  // From the run's next item to the plan's last.  CANCELLED at a boundary of
  // batches; any other error ends the run with what is settled settled.
  absl::Status Run();

 private:
  struct Batch {
    uint64_t first = 0;  // number of the first item
    std::vector<PlanItem> items;
    std::vector<Verdict> verdicts;
    std::vector<QuarantineRecord> accepted;
    QuarantineChanges settled;
    GraphChanges changes;
    // What the store left where it was.
    std::vector<QuarantineRecord> refused;
    bool has_failed = false;  // some items' intents stand and must be undone
  };

  // FAILED_PRECONDITION if the store as a whole is not known as it is now: then
  // every item would be kept, and the run would have done nothing.
  absl::Status CheckKnown(const std::vector<PlanItem>& items) const;
  absl::Status RunBatches(CanaryWatch* canaries);
  absl::Status RunBatch(Batch* batch, CanaryWatch* canaries);
  // Files that a foreign writer has written since the scan (registries write a
  // blob anew when it is pushed anew).  `links` gets what the graph does not
  // know of the names that the others have, by which `df` counts them.
  std::vector<Verdict> CheckFiles(const std::vector<PlanItem>& items,
                                  std::vector<index::Operation>* links) const;
  // Links and tags that a foreign writer has made or written anew since the
  // plan go into the graph, where they count; a tag that still names the same
  // is vetoed.
  absl::Status FollowNames(const std::vector<PlanItem>& items,
                           std::vector<Verdict>* vetoes) const;
  // A name that the store has otherwise than the plan has seen it.
  struct SeenName {
    size_t item = 0;  // by number in the batch
    index::Hint hint;
  };
  // ALREADY_EXISTS: what one of them leads to cannot be given back.
  absl::Status Follow(const std::vector<PlanItem>& items,
                      absl::Span<const SeenName> seen) const;
  // What a link leads to stays, though not all that it is made of is here.
  absl::Status KeepLinked(const PlanItem& item) const;
  // What a crash has left of a batch and a recovery could not undo lies in
  // quarantine, on record under its number.
  absl::Status VetoMoved(const Batch& batch,
                         std::vector<Verdict>* vetoes) const;
  bool IsAnotherWrite(const PlanItem& item, absl::Time modified) const;
  absl::StatusOr<std::optional<index::Hint>> LookAtLink(
      const PlanItem& item) const;
  absl::StatusOr<std::optional<index::Hint>> LookAtTag(const PlanItem& item,
                                                       Verdict* veto) const;
  absl::Status Intend(DeletionGuard* guard, Batch* batch,
                      const std::vector<Verdict>& vetoes);
  absl::StatusOr<QuarantineRecord> RecordOf(const index::GraphView& view,
                                            const PlanItem& item,
                                            uint64_t number) const;
  absl::Status Move(const DeletionGuard& guard, Batch* batch);
  void SettleOutcomes(const std::vector<store::RemovalOutcome>& outcomes,
                      const store::RemovalBytes& measured, Batch* batch);
  void SettleOne(const store::RemovalOutcome& outcome, QuarantineRecord record,
                 Batch* batch);
  absl::Status CommitOutcomes(Batch* batch);
  void Undo();
  // Unset for what is no link.
  static std::optional<store::MembershipKind> LinkKindOf(const PlanItem& item);
  // Whether the plan may have seen another file than the one of this time.
  bool IsSincePlan(absl::Time modified) const {
    return absl::ToUnixMicros(modified) > absl::ToUnixMicros(plan_.names_seen);
  }
  // The file time beyond which the plan has not seen what items of one stage
  // are.
  absl::Time SeenUntil(const std::vector<PlanItem>& items) const;
  GuardTerms Terms() const;
  index::StoreRecord Registered() const;

  CollectedStore* site_;
  const Plan& plan_;
  OngoingRun* run_;
  GuardTerms terms_;
  uint64_t first_item_ = 0;  // with which this start of the run began
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_SWEEP_H_
