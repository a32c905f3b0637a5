// schedule.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/message_file.h"
#include "cli/policy_file.h"
#include "cli/prune_flags.h"
#include "cli/row_printer.h"
#include "cli/units.h"
#include "reclaim/v1/policy.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::PolicyService::Stub;

// The words of the configuration; kept for good.
const std::map<std::string, v1::PruneVerb>& Verbs() {
  static const auto* const verbs = new std::map<std::string, v1::PruneVerb>{
      {"retention", v1::PRUNE_VERB_RETENTION},
      {"system", v1::PRUNE_VERB_SYSTEM},
      {"images", v1::PRUNE_VERB_IMAGES},
      {"containers", v1::PRUNE_VERB_CONTAINERS},
      {"volumes", v1::PRUNE_VERB_VOLUMES},
      {"networks", v1::PRUNE_VERB_NETWORKS},
      {"build-cache", v1::PRUNE_VERB_BUILD_CACHE}};
  return *verbs;
}

const std::map<std::string, v1::ScheduleAction>& Actions() {
  static const auto* const actions =
      new std::map<std::string, v1::ScheduleAction>{
          {"prune", v1::SCHEDULE_ACTION_PRUNE},
          {"purge", v1::SCHEDULE_ACTION_PURGE},
          {"scan", v1::SCHEDULE_ACTION_SCAN}};
  return *actions;
}

struct ScheduleFlags {
  std::string name;  // of `set` without flags: a file
  std::string cron;
  std::string every;
  std::string time_zone;
  std::string jitter;
  std::vector<std::string> windows;
  bool approve = false;
  std::string action = "prune";
  std::string verb = "retention";
  PruneFlags prune;
  std::string etag;
  std::string format;
  const Parser* set = nullptr;
};

std::unique_ptr<Stub> NewStub(Session* session) {
  return v1::PolicyService::NewStub(session->channel());
}

std::string WhenOf(const v1::Schedule& schedule) {
  const std::string when =
      schedule.cron().empty()
          ? absl::StrCat(
                "every ",
                absl::FormatDuration(absl::Seconds(schedule.every().seconds())))
          : schedule.cron();
  return absl::StrCat(when, " ", schedule.time_zone());
}

std::string WhatOf(const v1::Schedule& schedule) {
  switch (schedule.action()) {
    case v1::SCHEDULE_ACTION_PURGE:
      return "purge";
    case v1::SCHEDULE_ACTION_SCAN:
      return "scan";
    default:
      return schedule.approve() ? "plan" : "prune";
  }
}

int ListSchedules(Session* session, const ScheduleFlags& flags) {
  RowPrinter rows(session, "schedule", flags.format,
                  {{"NAME", "Name"},
                   {"WHEN", "When"},
                   {"WHAT", "What"},
                   {"STORE", "Store"},
                   {"NEXT", "Next"},
                   {"LAST", "Last"},
                   {"OUTCOME", "Outcome"},
                   {"MESSAGE", "Message"}});
  v1::ListSchedulesRequest request;
  const auto stub = NewStub(session);
  do {
    v1::ListSchedulesResponse page;
    const int code =
        session->Ask(&Stub::ListSchedules, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::Schedule& schedule : page.schedules()) {
      const v1::ScheduleState& state = schedule.state();
      rows.Add(schedule, [&]() -> Row {
        return {
            {"Name", schedule.name()},
            {"When", WhenOf(schedule)},
            {"What", WhatOf(schedule)},
            {"Store", schedule.store().empty() ? "all" : schedule.store()},
            {"Next", state.is_paused()       ? "paused"
                     : state.has_next_time() ? Moment(state.next_time())
                                             : "never"},
            {"Last", state.has_last_start_time()
                         ? Moment(state.last_start_time())
                         : "never"},
            {"Outcome", state.is_running() ? "running" : state.last_outcome()},
            {"Message", state.last_message()},
            {"Runs", absl::StrCat(state.run_count())},
            {"Missed", absl::StrCat(state.missed_count())},
            {"Plans", absl::StrJoin(state.last_plan_ids(), " ")}};
      });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

int GetSchedule(Session* session, const ScheduleFlags& flags) {
  v1::GetScheduleRequest request;
  request.set_name(flags.name);
  v1::Schedule schedule;
  const int code = session->Ask(&Stub::GetSchedule, NewStub(session).get(),
                                request, &schedule);
  return code == kDone ? PrintMessage(session, schedule) : code;
}

// What the flags of `set` say.
absl::StatusOr<v1::Schedule> FromFlags(const Session& session,
                                       const ScheduleFlags& flags) {
  v1::Schedule schedule;
  schedule.set_name(flags.name);
  schedule.set_cron(flags.cron);
  if (!flags.every.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const absl::Duration every,
                             ParseSpan(flags.every));
    *schedule.mutable_every() = ToProto(every);
  }
  schedule.set_time_zone(flags.time_zone);
  if (!flags.jitter.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const absl::Duration jitter,
                             ParseSpan(flags.jitter));
    *schedule.mutable_jitter() = ToProto(jitter);
  }
  for (const std::string& window : flags.windows) schedule.add_windows(window);
  schedule.set_approve(flags.approve);
  schedule.set_action(Actions().at(flags.action));
  // The rest is that of a prune by hand.
  v1::CreatePlanRequest plan;
  RECLAIM_RETURN_IF_ERROR(flags.prune.Fill(session, &plan));
  schedule.set_store(plan.store());
  schedule.set_verb(Verbs().at(flags.verb));
  schedule.set_all_images(flags.prune.all);
  schedule.set_with_volumes(plan.with_volumes());
  schedule.set_containers_are_complete(plan.containers_are_complete());
  *schedule.mutable_filters() = plan.filters();
  if (plan.has_target()) *schedule.mutable_target() = plan.target();
  return schedule;
}

absl::StatusOr<v1::Schedule> ScheduleToStore(Session* session,
                                             const ScheduleFlags& flags) {
  if (!flags.cron.empty() || !flags.every.empty()) {
    return FromFlags(*session, flags);
  }
  for (const std::string& given : flags.set->GivenFlags()) {
    if (given == "--etag" || given == "--store") continue;
    return absl::InvalidArgumentError(
        absl::StrCat(given,
                     ": say when it runs as well, with --cron or --every; or "
                     "give a file and no flags"));
  }
  const auto text = ReadText(session, flags.name);
  if (!text.ok()) {
    return absl::NotFoundError(
        absl::StrCat(text.status().message(),
                     "; for a schedule of this name say when it runs, with "
                     "--cron or --every"));
  }
  v1::Schedule schedule;
  RECLAIM_RETURN_IF_ERROR(ParseSchedule(*text, flags.name, &schedule));
  return schedule;
}

int SetSchedule(Session* session, const ScheduleFlags& flags) {
  v1::SetScheduleRequest request;
  const auto schedule = ScheduleToStore(session, flags);
  if (!schedule.ok()) return session->Fail(schedule.status());
  *request.mutable_schedule() = *schedule;
  request.set_etag(flags.etag);
  v1::Schedule stored;
  const int code = session->Ask(&Stub::SetSchedule, NewStub(session).get(),
                                request, &stored);
  if (code != kDone) return code;
  session->out() << Safe(stored.name()) << " runs next at "
                 << Moment(stored.state().next_time()) << '\n';
  return kDone;
}

int RemoveSchedule(Session* session, const ScheduleFlags& flags) {
  v1::DeleteScheduleRequest request;
  request.set_name(flags.name);
  request.set_etag(flags.etag);
  v1::DeleteScheduleResponse none;
  return session->Ask(&Stub::DeleteSchedule, NewStub(session).get(), request,
                      &none);
}

// One of the three calls that name a schedule and answer with it.
template <typename Request>
int Tell(Session* session, const ScheduleFlags& flags,
         grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                      v1::Schedule*),
         const char* did) {
  Request request;
  request.set_name(flags.name);
  v1::Schedule schedule;
  const int code =
      session->Ask(method, NewStub(session).get(), request, &schedule);
  if (code == kDone) session->out() << Safe(schedule.name()) << did << '\n';
  return code;
}

using Command = int (*)(Session*, const ScheduleFlags&);

Parser* AddCommand(Parser* group, Session* session, const char* name,
                   const char* help,
                   const std::shared_ptr<ScheduleFlags>& flags,
                   Command command) {
  Parser* sub = group->AddCommand(name, help);
  sub->OnChosen(
      [=] { session->chosen = [=] { return command(session, *flags); }; });
  return sub;
}

void DeclareSet(Parser* set, Session* session, ScheduleFlags* flags) {
  flags->set = set;
  set->AddOption("schedule", flags->name,
                 "Name, with --cron or --every; without them a TOML or JSON "
                 "file, - for standard input")
      ->Required();
  auto* cron = set->AddOption("--cron", flags->cron,
                              "Five fields as in crontab(5), or @daily");
  set->AddOption("--every", flags->every, "Or how often, e.g. 6h")
      ->Excludes(cron);
  set->AddOption("--time-zone", flags->time_zone,
                 "Of cron and windows, e.g. Europe/Berlin");
  set->AddOption("--jitter", flags->jitter, "Late by a part of this, e.g. 20m");
  set->AddOption("--window", flags->windows,
                 "When deletion is allowed, e.g. 22:00-06:00; repeatable")
      ->OneEachTime();
  set->AddFlag("--approve", flags->approve,
               "Plans wait for `reclaim plans approve` by somebody else");
  set->AddOption("--action", flags->action, "prune, purge or scan")
      ->OneOf({"prune", "purge", "scan"});
  set->AddOption("--verb", flags->verb,
                 "retention, system, images, containers, volumes, networks "
                 "or build-cache")
      ->OneOf({"retention", "system", "images", "containers", "volumes",
               "networks", "build-cache"});
  PruneFlags& prune = flags->prune;
  set->AddOption("--store", session->store, "Store; empty for each");
  set->AddFlag("-a,--all", prune.all, "Images that no container uses as well");
  set->AddFlag("--volumes", prune.volumes, "Anonymous volumes as well");
  set->AddFlag("--containers-are-complete", prune.containers_are_complete,
               "The recorded containers are all that use the store");
  set->AddOption("--filter", prune.filters,
                 "Only what matches, e.g. until=24h: from the run")
      ->OneEachTime();
  prune.DeclareTarget(set);
  set->AddOption("--etag", flags->etag, "Only if it stands as it was read");
}

}  // namespace

void AddScheduleCommands(Parser* app, Session* session) {
  Parser* group = app->Group("schedule", "What is done by itself");
  auto flags = std::make_shared<ScheduleFlags>();
  AddCommand(group, session, "ls", "List schedules", flags, ListSchedules)
      ->AddOption("--format", flags->format, kFormatHelp);
  DeclareSet(AddCommand(group, session, "set", "Check and store a schedule",
                        flags, SetSchedule),
             session, flags.get());
  const struct {
    const char* name;
    const char* help;
    Command command;
  } commands[] = {
      {"get", "Print a schedule as JSON", GetSchedule},
      {"rm", "Delete a schedule", RemoveSchedule},
      {"run", "Begin a run now",
       [](Session* s, const ScheduleFlags& f) {
         return Tell(s, f, &Stub::RunSchedule, " begun");
       }},
      {"pause", "Begin nothing until it is resumed",
       [](Session* s, const ScheduleFlags& f) {
         return Tell(s, f, &Stub::PauseSchedule, " paused");
       }},
      {"resume", "Begin again at the next time; nothing is caught up",
       [](Session* s, const ScheduleFlags& f) {
         return Tell(s, f, &Stub::ResumeSchedule, " resumed");
       }},
  };
  for (const auto& command : commands) {
    Parser* sub = AddCommand(group, session, command.name, command.help, flags,
                             command.command);
    sub->AddOption("name", flags->name, "Schedule")->Required();
    if (command.command == RemoveSchedule) {
      sub->AddOption("--etag", flags->etag, "Only if it stands as it was read");
    }
  }
}

}  // namespace reclaim::cli
