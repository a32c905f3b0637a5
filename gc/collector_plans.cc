// How a plan that was decided is measured and stored.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/plan.h"
#include "gc/plan_draft.h"
#include "gc/run_store.h"
#include "gc/shared_files.h"
#include "gc/store_collector.h"
#include "store/content_store.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

constexpr uint64_t kRowsAtOnce = 1024;

// What a client has recorded by a name that the store cannot have: there is
// nothing of it to free.
void PromiseNothingOfNoName(const store::ContentStore& store,
                            std::vector<PlanItem>* rows, PlanTotals* totals) {
  for (PlanItem& row : *rows) {
    if (!row.removal) continue;
    const absl::Status named = store.CheckRemoval(*row.removal);
    if (named.ok()) continue;
    store::Bytes* content = &totals->bytes.content;
    content->logical_bytes -= row.bytes.logical_bytes;
    content->allocated_bytes -= row.bytes.allocated_bytes;
    row.bytes = store::Bytes();
    absl::StrAppend(&row.detail, row.detail.empty() ? "" : "; ",
                    named.message());
  }
}

void WarnOfHeld(Plan* plan) {
  const store::Bytes& held = plan->totals.bytes.held;
  if (!plan->request.target.is_set() || held == store::Bytes()) return;
  plan->target_outcome.warnings.push_back(absl::StrCat(
      held.allocated_bytes,
      " bytes of what goes stay on the disk, for their files have other names; "
      "scan, then plan again, and something else is chosen"));
}

}  // namespace

// A page at a time: the rows of all items may be more than memory holds.  No
// writer waits while the store is asked or the database written: of the locks
// the gate to a sync alone is held.
absl::Status StoreCollector::ForEachPage(
    const DraftItems& items, const RunControl& control, PlanTotals* totals,
    absl::FunctionRef<absl::Status(uint64_t, std::vector<PlanItem>)> visit)
    const {
  for (uint64_t at = 0; at < items.size(); at += kRowsAtOnce) {
    if (control.is_cancelled && control.is_cancelled()) {
      return absl::CancelledError("the plan was cancelled");
    }
    std::vector<PlanItem> rows;
    {
      const auto reader = graph_->Read();
      RECLAIM_ASSIGN_OR_RETURN(
          rows, items.Rows(reader->view(), at, kRowsAtOnce, totals));
    }
    RECLAIM_RETURN_IF_ERROR(visit(at, std::move(rows)));
  }
  return absl::OkStatus();
}

absl::Status StoreCollector::StorePlan(const CollectedStore& site,
                                       const DraftItems& items,
                                       const RunControl& control,
                                       Plan* plan) const {
  std::unique_ptr<PlanWriter> writer = runs_->NewPlan(plan->id);
  const std::unique_ptr<store::RemovalMeter> meter = site.store->NewMeter();
  SharedFiles shared;
  RECLAIM_RETURN_IF_ERROR(
      ForEachPage(items, control, &plan->totals,
                  [&](uint64_t at, std::vector<PlanItem> rows) -> absl::Status {
                    PromiseNothingOfNoName(*site.store, &rows, &plan->totals);
                    std::vector<store::Removal> removals;
                    std::vector<size_t> numbers;  // of them in `rows`
                    for (size_t i = 0; i < rows.size(); ++i) {
                      if (!rows[i].removal) continue;
                      removals.push_back(*rows[i].removal);
                      numbers.push_back(i);
                    }
                    std::vector<store::SharedFile> found;
                    RECLAIM_RETURN_IF_ERROR(meter->Add(removals, &found));
                    for (const store::SharedFile& name : found) {
                      const size_t row = numbers[name.removal];
                      shared.Add(name, at + row, rows[row]);
                    }
                    return writer->Add(std::move(rows));
                  }));
  RECLAIM_ASSIGN_OR_RETURN(const store::RemovalBytes measured, meter->Finish());
  if (!shared.empty()) {
    // Whose these bytes are is known only now.  What was stored goes first.
    shared.Settle(graph_->Read()->view());
    writer.reset();
    writer = runs_->NewPlan(plan->id);
    plan->totals = PlanTotals();
    store::RemovalBytes promised;
    RECLAIM_RETURN_IF_ERROR(ForEachPage(
        items, control, &plan->totals,
        [&](uint64_t at, std::vector<PlanItem> rows) -> absl::Status {
          PromiseNothingOfNoName(*site.store, &rows, &plan->totals);
          shared.Charge(at, &rows);
          for (const PlanItem& row : rows) {
            promised.content += row.bytes;
            promised.held += row.held;
          }
          return writer->Add(std::move(rows));
        }));
    plan->totals.bytes = promised;
    WarnOfHeld(plan);
  }
  plan->totals.bytes.metadata = measured.metadata;
  return writer->Finish(*plan);
}

// Whoever may read may have plans made.  Those of schedules, which may wait for
// somebody to approve them, go last.
absl::Status StoreCollector::DropSurplusPlans() {
  base::MutexLock lock(&approval_);  // none of them is applied meanwhile
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<StoredPlan> newest_first,
                           runs_->ListPlans());
  std::vector<const StoredPlan*> surplus;  // in the order in which they go
  for (const bool is_scheduled : {false, true}) {
    for (auto it = newest_first.rbegin(); it != newest_first.rend(); ++it) {
      const bool has_schedule = !it->plan.request.schedule.empty();
      if (it->run_id.empty() && has_schedule == is_scheduled) {
        surplus.push_back(&*it);
      }
    }
  }
  // One more is about to be stored.
  const uint64_t kept = retention_.plan_count_max - 1;
  surplus.resize(surplus.size() > kept ? surplus.size() - kept : 0);
  for (const StoredPlan* plan : surplus) {
    RECLAIM_RETURN_IF_ERROR(runs_->DeletePlan(plan->plan.id));
  }
  return absl::OkStatus();
}

}  // namespace reclaim::gc
