#include "rpc/run_starter.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "gc/plan.h"
#include "index/reference_graph.h"
#include "store/content_store.h"

namespace reclaim::rpc {
namespace {

constexpr absl::Duration kShortestInterval = absl::Milliseconds(100);
// How often a waiting call looks whether its caller is still there.
constexpr absl::Duration kPatience = absl::Milliseconds(500);
// A plan that is applied at once rests on a scan of this moment.
constexpr absl::Duration kFreshScan = absl::Minutes(1);

}  // namespace

absl::StatusOr<gc::Run> StartScan(const ServiceParts& parts,
                                  const std::string& store, bool from_nothing,
                                  const Caller& caller) {
  RECLAIM_RETURN_IF_ERROR(parts.stores->Open(store));
  gc::Collector* collector = parts.collector;
  return parts.runs->Start([collector, store, from_nothing,
                            actor = caller.actor](const gc::RunControl& run) {
    return collector->Scan(store, from_nothing, actor, run);
  });
}

absl::StatusOr<gc::Run> FindRun(const ServiceParts& parts,
                                const std::string& id) {
  const auto live = parts.runs->Find(id);
  if (live && !live->has_ended) return live->run;
  return parts.collector->GetRun(id);
}

absl::Status WatchRun(const ServiceParts& parts, const std::string& id,
                      const Caller& caller,
                      absl::FunctionRef<bool(const gc::Run&)> visit) {
  uint64_t version = 0;
  absl::Duration last = -absl::InfiniteDuration();
  for (;;) {
    if (caller.is_cancelled()) {
      return absl::CancelledError("the caller went away; the run goes on");
    }
    std::optional<RunBoard::Snapshot> now =
        parts.runs->WaitForChange(id, version, kPatience);
    if (!now || now->has_ended) {
      RECLAIM_ASSIGN_OR_RETURN(const gc::Run run, parts.collector->GetRun(id));
      visit(run);
      return absl::OkStatus();
    }
    if (now->version == version) continue;
    const absl::Duration at = parts.clock->Monotonic();
    if (at - last < kShortestInterval) {
      // Waits for the end of the interval, or of the run.
      now = parts.runs->WaitForChange(id, UINT64_MAX,
                                      kShortestInterval - (at - last));
      if (!now || now->has_ended) continue;
    }
    last = parts.clock->Monotonic();
    version = now->version;
    if (!visit(now->run)) return absl::OkStatus();
  }
}

absl::Status AwaitRun(const ServiceParts& parts, const std::string& id,
                      const Caller& caller) {
  gc::Run last;
  const absl::Status watched =
      WatchRun(parts, id, caller, [&last](const gc::Run& run) {
        last = run;
        return true;
      });
  if (!watched.ok()) {
    parts.runs->Cancel(id);
    return watched;
  }
  if (last.phase == gc::RunPhase::kSucceeded ||
      last.phase == gc::RunPhase::kPartial) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the ", gc::ToString(last.kind), " ", id, " ",
                   gc::ToString(last.phase), last.problems.empty() ? "" : ": ",
                   last.problems.empty() ? "" : last.problems.back()));
}

absl::Status LookAgain(const ServiceParts& parts, const std::string& plan_id,
                       const Caller& caller) {
  const absl::StatusOr<gc::PlanPage> page =
      parts.collector->GetPlan(plan_id, 0, 0);
  if (absl::IsNotFound(page.status())) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(page.status());
  const gc::Plan& plan = page->plan;
  const absl::Time now = parts.clock->Now();
  if (plan.expires <= now) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts.stores->Find(plan.store));
  const absl::Duration age = now - store.last_scan_begin;
  if (age >= absl::ZeroDuration() && age < kFreshScan) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(parts.stores->Open(store.name));
  RECLAIM_ASSIGN_OR_RETURN(store::ContentStore * content,
                           parts.stores->Content(store.name));
  if (!content->traits().has_foreign_writers) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const gc::Run scan,
                           StartScan(parts, store.name, false, caller));
  return AwaitRun(parts, scan.id, caller);
}

}  // namespace reclaim::rpc
