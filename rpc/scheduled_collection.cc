#include "rpc/scheduled_collection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "gc/filter.h"
#include "rpc/run_starter.h"
#include "store/content_store.h"

namespace reclaim::rpc {
namespace {

// The run's control that also ends at `until`.
gc::RunControl EndingAt(const gc::RunControl& control, const base::Clock* clock,
                        absl::Time until) {
  gc::RunControl ending = control;
  ending.is_cancelled = [is_cancelled = control.is_cancelled, clock, until] {
    return clock->Now() >= until || (is_cancelled && is_cancelled());
  };
  return ending;
}

void AppendTo(absl::string_view one, std::string* all) {
  if (!one.empty()) absl::StrAppend(all, all->empty() ? "" : "; ", one);
}

void Merge(const gc::ScheduledWork::Deed& one, gc::ScheduledWork::Deed* all) {
  all->run_ids.insert(all->run_ids.end(), one.run_ids.begin(),
                      one.run_ids.end());
  all->is_partial |= one.is_partial;
  AppendTo(one.message, &all->message);
}

// What a person should know of a plan that does not reach its target.
void NoteTarget(const gc::Plan& plan, std::string* problem) {
  const gc::TargetOutcome& outcome = plan.target_outcome;
  for (const std::string& warning : outcome.warnings) {
    AppendTo(absl::StrCat("store ", plan.store, ": ", warning), problem);
  }
  if (outcome.short_by_bytes == 0) return;
  AppendTo(
      absl::StrCat("store ", plan.store, ": short by ", outcome.short_by_bytes,
                   " of ", outcome.needed_bytes, " bytes: nothing else may go"),
      problem);
}

}  // namespace

std::vector<std::string> ScheduledCollection::StoresOf(
    const gc::Schedule& schedule) const {
  if (!schedule.request.store.empty()) return {schedule.request.store};
  std::vector<std::string> stores;
  for (const index::StoreRecord& store : parts_.graph->Stores()) {
    const auto content = parts_.stores->Content(store.name);
    // One that can't be opened is tried, so that it is said.
    const bool can_delete =
        !store.is_read_only &&
        (!content.ok() || ((*content)->traits().has_quarantine &&
                           !(*content)->traits().is_read_only));
    if (can_delete || schedule.action == gc::ScheduleAction::kScan) {
      stores.push_back(store.name);
    }
  }
  return stores;
}

Caller ScheduledCollection::CallerFor(const gc::Schedule& schedule) const {
  Caller caller;
  caller.actor = absl::StrCat("schedule:", schedule.name);
  caller.is_cancelled = [this] { return is_stopped_.load(); };
  return caller;
}

absl::StatusOr<gc::Plan> ScheduledCollection::PlanOne(
    const gc::Schedule& schedule, const std::string& store) {
  const Caller caller = CallerFor(schedule);
  RECLAIM_RETURN_IF_ERROR(parts_.stores->Open(store));
  RECLAIM_ASSIGN_OR_RETURN(store::ContentStore * content,
                           parts_.stores->Content(store));
  if (content->traits().has_foreign_writers) {
    RECLAIM_ASSIGN_OR_RETURN(const gc::Run scan,
                             StartScan(parts_, store, false, caller));
    RECLAIM_RETURN_IF_ERROR(AwaitRun(parts_, scan.id, caller));
  }
  gc::PruneRequest request = schedule.request;
  // As `image prune --all` has it.
  if (request.verb == gc::PruneVerb::kImages && request.all_images) {
    request.verb = gc::PruneVerb::kAllImages;
  }
  request.store = store;
  request.actor = caller.actor;
  request.schedule = schedule.name;
  request.needs_approval = schedule.needs_approval;
  request.policy = parts_.policy;
  // "24h" in a filter counts from now.
  RECLAIM_ASSIGN_OR_RETURN(
      request.filter,
      gc::ParseFilter(schedule.filters, {}, gc::TargetOf(request.verb),
                      parts_.clock->Now(), parts_.zone));
  gc::RunControl control;
  control.is_cancelled = caller.is_cancelled;
  return parts_.collector->MakePlan(request, control);
}

absl::StatusOr<gc::ScheduledWork::Plans> ScheduledCollection::MakePlans(
    const gc::Schedule& schedule) {
  Plans plans;
  if (is_stopped_) return absl::CancelledError("the daemon stops");
  // Plans that wait for a person are made all the same.
  if (!schedule.needs_approval) {
    RECLAIM_RETURN_IF_ERROR(parts_.collector->CheckConfirmed());
  }
  absl::Status status;
  for (const std::string& store : StoresOf(schedule)) {
    const absl::StatusOr<gc::Plan> plan = PlanOne(schedule, store);
    if (!plan.ok()) {
      // One store that is away does not stop the others.
      status.Update(absl::Status(
          plan.status().code(),
          absl::StrCat("store ", store, ": ", plan.status().message())));
      continue;
    }
    NoteTarget(*plan, &plans.problem);
    if (plan->totals.item_count == 0 && plan->target_outcome.purge_bytes == 0) {
      // Nobody needs an empty plan; one that stays expires by itself.
      (void)parts_.collector->DeletePlan(plan->id);
    } else {
      plans.ids.push_back(plan->id);
    }
  }
  if (!status.ok() && plans.ids.empty()) return status;
  AppendTo(status.message(), &plans.problem);
  return plans;
}

absl::StatusOr<gc::ScheduledWork::Deed> ScheduledCollection::Await(
    const absl::StatusOr<gc::Run>& begun, const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(begun.status());
  gc::Run last;
  RECLAIM_RETURN_IF_ERROR(
      WatchRun(parts_, begun->id, caller, [&last](const gc::Run& run) {
        last = run;
        return true;
      }));
  if (is_stopped_) return absl::CancelledError("the daemon stops");
  if (last.phase == gc::RunPhase::kFailed) {
    return absl::UnknownError(absl::StrCat(
        "run ", last.id, " failed: ",
        last.problems.empty() ? "it says nothing" : last.problems.back()));
  }
  Deed deed;
  deed.run_ids = {last.id};
  deed.is_partial = last.phase != gc::RunPhase::kSucceeded;
  if (deed.is_partial) {
    deed.message = absl::StrCat("run ", last.id, " ", gc::ToString(last.phase),
                                ", ", last.item_count, " items done");
  }
  return deed;
}

absl::StatusOr<gc::ScheduledWork::Deed> ScheduledCollection::ApplyOne(
    const gc::Schedule& schedule, const std::string& plan_id,
    absl::Time until) {
  const Caller caller = CallerFor(schedule);
  gc::ApplyRequest apply;
  apply.plan_id = plan_id;
  apply.actor = caller.actor;
  // It may have waited for its window, or for who approves it.
  RECLAIM_RETURN_IF_ERROR(LookAgain(parts_, plan_id, caller));
  return Await(
      parts_.runs->Start([collector = parts_.collector, clock = parts_.clock,
                          apply, until](const gc::RunControl& control) {
        return collector->Apply(apply, EndingAt(control, clock, until));
      }),
      caller);
}

bool ScheduledCollection::IsPurgeDue(const std::string& store) const {
  // Not open: nothing can be freed there.
  return parts_.collector->IsPurgeDue(store).value_or(false);
}

absl::StatusOr<gc::ScheduledWork::Deed> ScheduledCollection::ActOnStore(
    const gc::Schedule& schedule, const std::string& store, absl::Time until) {
  const Caller caller = CallerFor(schedule);
  if (schedule.action == gc::ScheduleAction::kScan) {
    return Await(StartScan(parts_, store, false, caller), caller);
  }
  if (!IsPurgeDue(store)) return Deed();
  gc::PurgeRequest purge;
  purge.store = store;
  purge.actor = caller.actor;
  return Await(
      parts_.runs->Start([collector = parts_.collector, clock = parts_.clock,
                          purge, until](const gc::RunControl& control) {
        return collector->Purge(purge, EndingAt(control, clock, until));
      }),
      caller);
}

absl::StatusOr<gc::ScheduledWork::Deed> ScheduledCollection::Act(
    const gc::Schedule& schedule, const std::string& plan_id,
    absl::Time until) {
  if (is_stopped_) return absl::CancelledError("the daemon stops");
  if (schedule.action != gc::ScheduleAction::kScan) {
    RECLAIM_RETURN_IF_ERROR(parts_.collector->CheckConfirmed());
  }
  if (!plan_id.empty()) return ApplyOne(schedule, plan_id, until);
  Deed all;
  absl::Status status;
  for (const std::string& store : StoresOf(schedule)) {
    const absl::StatusOr<Deed> one = ActOnStore(schedule, store, until);
    if (one.ok()) {
      Merge(*one, &all);
    } else {
      status.Update(absl::Status(
          one.status().code(),
          absl::StrCat("store ", store, ": ", one.status().message())));
    }
  }
  if (!status.ok() && all.run_ids.empty()) return status;
  if (!status.ok()) Merge({{}, true, std::string(status.message())}, &all);
  return all;
}

}  // namespace reclaim::rpc
