// The calls of PolicyService about schedules.

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/scheduler.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/page_bytes.h"
#include "rpc/policy_convert.h"
#include "rpc/policy_service.h"

namespace reclaim::rpc {

absl::StatusOr<v1::Schedule> PolicyService::ScheduleByName(
    const std::string& name) const {
  RECLAIM_ASSIGN_OR_RETURN(const gc::Schedule schedule,
                           parts_.policies->GetSchedule(name));
  RECLAIM_ASSIGN_OR_RETURN(const gc::ScheduleState state,
                           parts_.scheduler->State(name));
  RECLAIM_ASSIGN_OR_RETURN(const absl::Time next,
                           parts_.scheduler->NextTime(name));
  return ToProto(schedule, state, next);
}

absl::StatusOr<v1::Schedule> PolicyService::PutSchedule(
    const v1::SetScheduleRequest& request, const Caller& caller) {
  RECLAIM_ASSIGN_OR_RETURN(gc::Schedule schedule,
                           FromProto(request.schedule()));
  schedule.actor = caller.actor;
  if (schedule.time_zone.empty()) schedule.time_zone = parts_.zone.name();
  if (!schedule.request.store.empty()) {
    RECLAIM_RETURN_IF_ERROR(
        parts_.stores->Find(schedule.request.store).status());
  }
  const auto put = [&]() -> absl::StatusOr<std::string> {
    RECLAIM_RETURN_IF_ERROR(
        parts_.policies->PutSchedule(schedule, request.etag()).status());
    RECLAIM_RETURN_IF_ERROR(parts_.scheduler->Reload());
    return schedule.name;
  };
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string name,
      memory_.Once(caller.actor, request.request_id(), put));
  return ScheduleByName(name);
}

grpc::Status PolicyService::SetSchedule(grpc::ServerContext* context,
                                        const v1::SetScheduleRequest* request,
                                        v1::Schedule* response) {
  return CallFor(
      parts_, context, {"PolicyService/SetSchedule", *request}, response,
      [&](const Caller& caller) { return PutSchedule(*request, caller); });
}

grpc::Status PolicyService::GetSchedule(grpc::ServerContext* context,
                                        const v1::GetScheduleRequest* request,
                                        v1::Schedule* response) {
  return CallFor(
      parts_, context, "PolicyService/GetSchedule", response,
      [&](const Caller&) { return ScheduleByName(request->name()); });
}

grpc::Status PolicyService::ListSchedules(
    grpc::ServerContext* context, const v1::ListSchedulesRequest* request,
    v1::ListSchedulesResponse* response) {
  return CallFor(
      parts_, context, "PolicyService/ListSchedules", response,
      [&](const Caller&) -> absl::StatusOr<v1::ListSchedulesResponse> {
        RECLAIM_ASSIGN_OR_RETURN(const int size,
                                 PageSize(request->page_size()));
        const std::string arguments = TokenArguments(*request);
        RECLAIM_ASSIGN_OR_RETURN(
            const std::string after,
            parts_.tokens->Read(arguments, request->page_token()));
        v1::ListSchedulesResponse page;
        PageBytes bytes;
        for (const gc::Schedule& schedule : parts_.policies->Schedules()) {
          if (schedule.name <= after && !after.empty()) continue;
          auto one = ScheduleByName(schedule.name);
          if (absl::IsNotFound(one.status())) continue;  // deleted meanwhile
          RECLAIM_RETURN_IF_ERROR(one.status());
          if (page.schedules_size() == size || !bytes.Take(*one)) {
            page.set_next_page_token(parts_.tokens->Make(
                arguments, page.schedules().rbegin()->name()));
            break;
          }
          *page.add_schedules() = *std::move(one);
        }
        return page;
      });
}

grpc::Status PolicyService::DeleteSchedule(
    grpc::ServerContext* context, const v1::DeleteScheduleRequest* request,
    v1::DeleteScheduleResponse*) {
  const auto erase = [&]() -> absl::StatusOr<std::string> {
    RECLAIM_RETURN_IF_ERROR(
        parts_.policies->DeleteSchedule(request->name(), request->etag()));
    RECLAIM_RETURN_IF_ERROR(parts_.scheduler->Reload());
    return request->name();
  };
  return Call(parts_, context, {"PolicyService/DeleteSchedule", *request},
              [&](const Caller& caller) {
                return memory_.Once(caller.actor, request->request_id(), erase)
                    .status();
              });
}

grpc::Status PolicyService::RunSchedule(grpc::ServerContext* context,
                                        const v1::RunScheduleRequest* request,
                                        v1::Schedule* response) {
  return CallFor(
      parts_, context, {"PolicyService/RunSchedule", *request}, response,
      [&](const Caller& caller) -> absl::StatusOr<v1::Schedule> {
        const auto run = [&]() -> absl::StatusOr<std::string> {
          RECLAIM_RETURN_IF_ERROR(
              parts_.scheduler->RunNow(request->name(), caller.actor));
          return request->name();
        };
        RECLAIM_RETURN_IF_ERROR(
            memory_.Once(caller.actor, request->request_id(), run).status());
        return ScheduleByName(request->name());
      });
}

grpc::Status PolicyService::PauseSchedule(
    grpc::ServerContext* context, const v1::PauseScheduleRequest* request,
    v1::Schedule* response) {
  return CallFor(
      parts_, context, {"PolicyService/PauseSchedule", *request}, response,
      [&](const Caller&) -> absl::StatusOr<v1::Schedule> {
        RECLAIM_RETURN_IF_ERROR(parts_.scheduler->Pause(request->name()));
        return ScheduleByName(request->name());
      });
}

grpc::Status PolicyService::ResumeSchedule(
    grpc::ServerContext* context, const v1::ResumeScheduleRequest* request,
    v1::Schedule* response) {
  return CallFor(
      parts_, context, {"PolicyService/ResumeSchedule", *request}, response,
      [&](const Caller&) -> absl::StatusOr<v1::Schedule> {
        RECLAIM_RETURN_IF_ERROR(parts_.scheduler->Resume(request->name()));
        return ScheduleByName(request->name());
      });
}

}  // namespace reclaim::rpc
