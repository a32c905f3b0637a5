#include "rpc/collection_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "oci/digest.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/event_feed.h"
#include "rpc/page_bytes.h"
#include "rpc/prune_terms.h"
#include "rpc/run_starter.h"

namespace reclaim::rpc {
namespace {

// "" for a run that only the quarantine of a store knows: then the store must
// be the only one, or be named.
std::string StoreOfRun(const ServiceParts& parts, const std::string& id) {
  const auto run = parts.collector->GetRun(id);
  return run.ok() ? run->store : "";
}

v1::Plan Finish(v1::Plan plan, const ServiceParts& parts) {
  const auto content = parts.stores->Content(plan.store());
  plan.set_is_restorable(content.ok() && (*content)->traits().has_quarantine);
  return plan;
}

}  // namespace

grpc::Status CollectionService::CreatePlan(grpc::ServerContext* context,
                                           const v1::CreatePlanRequest* request,
                                           v1::Plan* response) {
  return CallFor(
      parts_, context, "CollectionService/CreatePlan", response,
      [&](const Caller& caller) { return MakePlan(*request, caller); });
}

absl::StatusOr<v1::Plan> CollectionService::MakePlan(
    const v1::CreatePlanRequest& request, const Caller& caller) {
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.store()));
  // Before the scan, which may take long: a wrong term is told at once.
  RECLAIM_RETURN_IF_ERROR(
      MakePruneRequest(request, parts_, store.name, caller).status());
  const auto begin = [&]() -> absl::StatusOr<std::string> {
    RECLAIM_RETURN_IF_ERROR(parts_.stores->Open(store.name));
    RECLAIM_ASSIGN_OR_RETURN(store::ContentStore * content,
                             parts_.stores->Content(store.name));
    // Whatever `skip_scan` says: what others wrote meanwhile nobody has told.
    if (content->traits().has_foreign_writers) {
      RECLAIM_ASSIGN_OR_RETURN(const gc::Run scan,
                               StartScan(parts_, store.name, false, caller));
      RECLAIM_RETURN_IF_ERROR(AwaitRun(parts_, scan.id, caller));
    }
    // Instants are resolved after the scan: what it saw is not in the future.
    RECLAIM_ASSIGN_OR_RETURN(
        const gc::PruneRequest prune,
        MakePruneRequest(request, parts_, store.name, caller));
    gc::RunControl control;
    control.is_cancelled = caller.is_cancelled;
    RECLAIM_ASSIGN_OR_RETURN(const gc::Plan plan,
                             parts_.collector->MakePlan(prune, control));
    return plan.id;
  };
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string id,
      memory_.Once(caller.actor, request.request_id(), begin));
  return PlanById(id);
}

absl::StatusOr<v1::Plan> CollectionService::PlanById(
    const std::string& id) const {
  RECLAIM_ASSIGN_OR_RETURN(const gc::PlanPage page,
                           parts_.collector->GetPlan(id, 0, 0));
  return Finish(ToProto(page.plan), parts_);
}

grpc::Status CollectionService::GetPlan(grpc::ServerContext* context,
                                        const v1::GetPlanRequest* request,
                                        v1::Plan* response) {
  return CallFor(parts_, context, "CollectionService/GetPlan", response,
                 [&](const Caller&) { return PlanById(request->id()); });
}

grpc::Status CollectionService::ListPlans(grpc::ServerContext* context,
                                          const v1::ListPlansRequest* request,
                                          v1::ListPlansResponse* response) {
  return CallFor(parts_, context, "CollectionService/ListPlans", response,
                 [&](const Caller&) { return Plans(*request); });
}

absl::StatusOr<v1::ListPlansResponse> CollectionService::Plans(
    const v1::ListPlansRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string after,
      parts_.tokens->Read(arguments, request.page_token()));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<gc::Plan> plans,
                           parts_.collector->ListPlans());
  v1::ListPlansResponse response;
  PageBytes bytes;
  bool is_past = after.empty();
  for (const gc::Plan& plan : plans) {
    if (!request.store().empty() && plan.store != request.store()) continue;
    if (!is_past) {
      is_past = plan.id == after;
      continue;
    }
    v1::Plan row = Finish(ToProto(plan), parts_);
    if (response.plans_size() == size || !bytes.Take(row)) {
      response.set_next_page_token(
          parts_.tokens->Make(arguments, response.plans().rbegin()->id()));
      break;
    }
    *response.add_plans() = std::move(row);
  }
  return response;
}

grpc::Status CollectionService::ListPlanItems(
    grpc::ServerContext* context, const v1::ListPlanItemsRequest* request,
    v1::ListPlanItemsResponse* response) {
  return CallFor(parts_, context, "CollectionService/ListPlanItems", response,
                 [&](const Caller&) { return Items(*request); });
}

grpc::Status CollectionService::DeletePlan(grpc::ServerContext* context,
                                           const v1::DeletePlanRequest* request,
                                           v1::DeletePlanResponse*) {
  return Call(parts_, context, {"CollectionService/DeletePlan", *request},
              [&](const Caller&) {
                return parts_.collector->DeletePlan(request->id());
              });
}

absl::StatusOr<v1::Run> CollectionService::StartOnce(
    const std::string& request_id, const Caller& caller, RunBoard::Work work,
    const std::function<absl::Status()>& before) {
  const auto begin = [&]() -> absl::StatusOr<std::string> {
    if (before) RECLAIM_RETURN_IF_ERROR(before());
    RECLAIM_ASSIGN_OR_RETURN(const gc::Run run, parts_.runs->Start(work));
    return run.id;
  };
  RECLAIM_ASSIGN_OR_RETURN(const std::string id,
                           memory_.Once(caller.actor, request_id, begin));
  return RunById(id);
}

grpc::Status CollectionService::ApplyPlan(grpc::ServerContext* context,
                                          const v1::ApplyPlanRequest* request,
                                          v1::Run* response) {
  return CallFor(
      parts_, context, {"CollectionService/ApplyPlan", *request}, response,
      [&](const Caller& caller) {
        gc::ApplyRequest apply;
        apply.plan_id = request->plan_id();
        apply.allow_large = request->allow_large();
        apply.purge_immediately = request->purge();
        apply.actor = caller.actor;
        return StartOnce(
            request->request_id(), caller,
            [collector = parts_.collector,
             apply](const gc::RunControl& control) {
              return collector->Apply(apply, control);
            },
            [&] { return LookAgain(parts_, apply.plan_id, caller); });
      });
}

grpc::Status CollectionService::Restore(grpc::ServerContext* context,
                                        const v1::RestoreRequest* request,
                                        v1::Run* response) {
  return CallFor(
      parts_, context, {"CollectionService/Restore", *request}, response,
      [&](const Caller& caller) -> absl::StatusOr<v1::Run> {
        gc::RestoreRequest restore;
        restore.actor = caller.actor;
        restore.run_id = request->run_id();
        restore.reference = request->reference();
        if (request->has_digest()) {
          RECLAIM_ASSIGN_OR_RETURN(const oci::Digest digest,
                                   oci::Digest::Parse(request->digest()));
          restore.digest = digest;
        }
        restore.store = request->store();
        // A run knows its store.
        if (restore.store.empty() && request->has_run_id()) {
          restore.store = StoreOfRun(parts_, request->run_id());
        }
        RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                                 parts_.stores->Find(restore.store));
        restore.store = store.name;
        return StartOnce(request->request_id(), caller,
                         [collector = parts_.collector,
                          restore](const gc::RunControl& control) {
                           return collector->Restore(restore, control);
                         });
      });
}

grpc::Status CollectionService::Purge(grpc::ServerContext* context,
                                      const v1::PurgeRequest* request,
                                      v1::Run* response) {
  return CallFor(parts_, context, {"CollectionService/Purge", *request},
                 response,
                 [&](const Caller& caller) -> absl::StatusOr<v1::Run> {
                   gc::PurgeRequest purge;
                   purge.actor = caller.actor;
                   purge.run_id = request->run_id();
                   purge.before_period_ends = request->now();
                   purge.may_wait = true;
                   purge.free_bytes = request->free_bytes();
                   purge.store = request->store();
                   if (purge.store.empty() && !purge.run_id.empty()) {
                     purge.store = StoreOfRun(parts_, purge.run_id);
                   }
                   RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                                            parts_.stores->Find(purge.store));
                   purge.store = store.name;
                   return StartOnce(request->request_id(), caller,
                                    [collector = parts_.collector,
                                     purge](const gc::RunControl& control) {
                                      return collector->Purge(purge, control);
                                    });
                 });
}

absl::StatusOr<v1::Run> CollectionService::RunById(
    const std::string& id) const {
  RECLAIM_ASSIGN_OR_RETURN(const gc::Run run, FindRun(parts_, id));
  return ToProto(run);
}

grpc::Status CollectionService::GetRun(grpc::ServerContext* context,
                                       const v1::GetRunRequest* request,
                                       v1::Run* response) {
  return CallFor(parts_, context, "CollectionService/GetRun", response,
                 [&](const Caller&) { return RunById(request->id()); });
}

grpc::Status CollectionService::ListRuns(grpc::ServerContext* context,
                                         const v1::ListRunsRequest* request,
                                         v1::ListRunsResponse* response) {
  return CallFor(parts_, context, "CollectionService/ListRuns", response,
                 [&](const Caller&) { return Runs(*request); });
}

grpc::Status CollectionService::WatchRun(
    grpc::ServerContext* context, const v1::WatchRunRequest* request,
    grpc::ServerWriter<v1::Run>* responses) {
  return Call(parts_, context, "CollectionService/WatchRun",
              [&](const Caller& caller) {
                return rpc::WatchRun(
                    parts_, request->id(), caller, [&](const gc::Run& run) {
                      v1::Run out = ToProto(run);
                      if (run.phase == gc::RunPhase::kRunning) {
                        out.clear_skipped();
                      }
                      return responses->Write(out);
                    });
              });
}

grpc::Status CollectionService::CancelRun(grpc::ServerContext* context,
                                          const v1::CancelRunRequest* request,
                                          v1::Run* response) {
  return CallFor(parts_, context, {"CollectionService/CancelRun", *request},
                 response, [&](const Caller&) {
                   // One that has ended stays as it is.
                   parts_.runs->Cancel(request->id());
                   return RunById(request->id());
                 });
}

grpc::Status CollectionService::ListQuarantine(
    grpc::ServerContext* context, const v1::ListQuarantineRequest* request,
    v1::ListQuarantineResponse* response) {
  return CallFor(parts_, context, "CollectionService/ListQuarantine", response,
                 [&](const Caller&) { return Quarantine(*request); });
}

grpc::Status CollectionService::WatchEvents(
    grpc::ServerContext* context, const v1::WatchEventsRequest* request,
    grpc::ServerWriter<v1::WatchEventsResponse>* responses) {
  return Call(parts_, context, "CollectionService/WatchEvents",
              [&](const Caller& caller) {
                return SendEvents(parts_, *request, caller,
                                  [&](const v1::WatchEventsResponse& batch) {
                                    return responses->Write(batch);
                                  });
              });
}

}  // namespace reclaim::rpc
