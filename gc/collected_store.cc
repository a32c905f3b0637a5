#include "gc/collected_store.h"

#include "gc/ongoing_run.h"

namespace reclaim::gc {

absl::Status Announce(const CollectedStore& site, DeletionStep step,
                      const Run& run,
                      absl::Span<const QuarantineRecord> records) {
  DeletionAudit* audit = site.audit == nullptr ? nullptr : site.audit->load();
  if (audit == nullptr) return absl::OkStatus();
  DeletionRecord out;
  out.step = step;
  out.store = site.name;
  out.run_id = run.id;
  out.plan_id = run.plan_id;
  out.actor = run.actor;
  out.restorable_until = run.restorable_until;
  for (const QuarantineRecord& record : records) {
    out.items.push_back(
        {SubjectOf(record.item), record.item.reason, record.item.bytes});
  }
  return audit->Record(out);
}

}  // namespace reclaim::gc
