// rpc/scheduled_collection.h — what schedules start, done as calls do it.
//
// Scans first where others write to the store, makes plans, and applies them on
// the run board, so that they are watched and cancelled like any run.
// Thread-safe.

#ifndef RECLAIM_RPC_SCHEDULED_COLLECTION_H_
#define RECLAIM_RPC_SCHEDULED_COLLECTION_H_

#include <atomic>
#include <string>
#include <vector>

#include "gc/scheduler.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

class ScheduledCollection final : public gc::ScheduledWork {
 public:
  // Copied but for what it points to.
  explicit ScheduledCollection(const ServiceParts& parts) : parts_(parts) {}

  absl::StatusOr<Plans> MakePlans(const gc::Schedule& schedule) override;
  absl::StatusOr<Deed> Act(const gc::Schedule& schedule,
                           const std::string& plan_id,
                           absl::Time until) override;

  // Ends what goes on at an item boundary; what is begun later is refused.
  void Stop() { is_stopped_ = true; }

 private:
  std::vector<std::string> StoresOf(const gc::Schedule& schedule) const;
  Caller CallerFor(const gc::Schedule& schedule) const;
  absl::StatusOr<gc::Plan> PlanOne(const gc::Schedule& schedule,
                                   const std::string& store);
  absl::StatusOr<Deed> Await(const absl::StatusOr<gc::Run>& begun,
                             const Caller& caller);
  absl::StatusOr<Deed> ApplyOne(const gc::Schedule& schedule,
                                const std::string& plan_id, absl::Time until);
  absl::StatusOr<Deed> ActOnStore(const gc::Schedule& schedule,
                                  const std::string& store, absl::Time until);
  bool IsPurgeDue(const std::string& store) const;

  const ServiceParts parts_;
  std::atomic<bool> is_stopped_{false};
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_SCHEDULED_COLLECTION_H_
