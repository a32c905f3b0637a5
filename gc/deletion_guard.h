// gc/deletion_guard.h — the only maker of deletion permits.
//
// A guard holds the write order from its birth until Record(): what it judges
// stays true until what it decided is durable, for no other write comes between
// (I1).  Then the order is free again, so that no writer waits for store I/O
// (I10), and the permit is valid until the guard dies.
//
//   DeletionGuard guard(graph);
//   const auto verdicts = guard.Judge(items, terms);
//   guard.Record(changes, operations, records, actor);   // I3
//   store->Quarantine(guard.permit(), run_id, removals);
//
// What happens between Record() and the move: a writer that references one of
// the items finds it quarantined and waits for its restore (I4).
//
// Not thread-safe: one guard, one thread, one batch.

#ifndef RECLAIM_GC_DELETION_GUARD_H_
#define RECLAIM_GC_DELETION_GUARD_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gc/keeper_search.h"
#include "gc/plan.h"
#include "gc/records.h"
#include "gc/run.h"
#include "index/reference_graph.h"
#include "store/deletion_permit.h"

namespace reclaim::gc {

// What the checks compare with.
struct GuardTerms {
  index::StoreId store = index::kNoStore;
  KeeperTerms keeper;
  // Names with a later file time stay; see Plan::names_seen.
  absl::Time names_seen = absl::InfiniteFuture();
  // Scopes that the last scan could not read whole (I5).
  std::vector<index::UnreadableScope> unreadable_scopes;
  // See DeletionPermit::is_forced().
  bool is_forced = false;
};

// kNone: the item may go.
struct Verdict {
  SkipReason reason = SkipReason::kNone;
  std::string detail;
  bool may_go() const { return reason == SkipReason::kNone; }
};

class DeletionGuard {
 public:
  // Waits for the write order.  `graph` is not owned.
  explicit DeletionGuard(index::ReferenceGraph* graph);
  DeletionGuard(const DeletionGuard&) = delete;
  DeletionGuard& operator=(const DeletionGuard&) = delete;

  // Whether each item of a plan may still be quarantined; one verdict an item,
  // in order.  An item that may go counts as gone for those after it.
  // `vetoes`, one an item or none at all, is what the store itself says against
  // it: such an item stays, and goes on keeping what it keeps.
  // REQUIRES: before Record().
  std::vector<Verdict> Judge(absl::Span<const PlanItem> items,
                             const GuardTerms& terms,
                             absl::Span<const Verdict> vetoes = {});

  // Whether quarantined items may be freed: nothing reaches them, their scope
  // can be judged.  The proof by a scan is the caller's (gc/purge.h).
  std::vector<Verdict> JudgePurge(absl::Span<const QuarantineRecord> records,
                                  const GuardTerms& terms);

  // The graph as it is while the order is held.  REQUIRES: before Record().
  const index::GraphReader& reader() const;

  // Commits durably, and lets the write order go.  Once, also if it fails.
  absl::Status Record(absl::Span<const index::StateChange> changes,
                      absl::Span<const index::Operation> operations,
                      absl::Span<const index::RecordWrite> records,
                      absl::string_view actor);

  // REQUIRES: Record() returned OK.
  const store::DeletionPermit& permit() const;

 private:
  void BeginTerms(const GuardTerms& terms);
  Verdict JudgeItem(const PlanItem& item, KeeperSearch* search) const;
  Verdict JudgeBlob(const PlanItem& item, KeeperSearch* search) const;
  Verdict JudgeTag(const PlanItem& item, KeeperSearch* search) const;
  Verdict JudgeLink(const PlanItem& item, KeeperSearch* search) const;
  Verdict JudgeUpload(const PlanItem& item) const;
  Verdict JudgeNamed(const PlanItem& item, KeeperSearch* search) const;
  // Of what is in quarantine and has a removal.
  Verdict JudgeContentPurge(const PlanItem& item, KeeperSearch* search) const;
  Verdict JudgeScope(const store::Removal& removal) const;
  Verdict JudgeLinks(const PlanItem& item, index::NodeId node) const;
  bool IsInDoubt(const std::string& repository) const;
  bool WasTouched(index::NodeId node) const;
  const index::GraphView& view() const { return order_->reader().view(); }

  std::unique_ptr<index::WriteOrder> order_;
  GuardTerms terms_;
  bool is_store_kept_ = false;
  std::set<std::string> kept_repositories_;
  std::set<index::PlaceId> kept_places_;
  bool is_recorded_ = false;
  store::DeletionPermit permit_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_DELETION_GUARD_H_
