// policy, schedule.

#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/row_printer.h"
#include "cli/units.h"
#include "google/protobuf/util/json_util.h"
#include "reclaim/v1/policy.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::PolicyService::Stub;

struct PolicyFlags {
  std::string name;
  std::string file;
  std::string format;
  std::string etag;
  std::string grace;
  bool only_going = false;
};

std::unique_ptr<Stub> NewStub(Session* session) {
  return v1::PolicyService::NewStub(session->channel());
}

// A message as JSON: what `get` prints is what `set` takes.
absl::Status ReadJson(Session* session, const std::string& path,
                      google::protobuf::Message* message) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(*session->terminal().in), {});
  } else {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    if (!file.good()) {
      return absl::NotFoundError(absl::StrCat("cannot read ", path));
    }
    text = bytes.str();
  }
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(text, message);
  if (parsed.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", std::string(parsed.message())));
}

int PrintJson(Session* session, const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto printed =
      google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!printed.ok()) {
    return session->Fail(absl::InternalError(std::string(printed.message())));
  }
  session->out() << text;
  return kDone;
}

int ListRuleSets(Session* session, const PolicyFlags& flags) {
  RowPrinter rows(session, "rule_set", flags.format,
                  {{"NAME", "Name"},
                   {"RULES", "Rules"},
                   {"REFERRERS", "Referrers"},
                   {"MAY EMPTY", "AllowRemoveAll"},
                   {"CHANGED", "Changed"},
                   {"BY", "Actor"}});
  v1::ListRuleSetsRequest request;
  const auto stub = NewStub(session);
  do {
    v1::ListRuleSetsResponse page;
    const int code =
        session->Ask(&Stub::ListRuleSets, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::RuleSet& set : page.rule_sets()) {
      rows.Add(set, [&]() -> Row {
        return {
            {"Name", set.name()},
            {"Rules", absl::StrCat(set.rules_size())},
            {"Referrers", absl::StrCat(set.referrers_size())},
            {"AllowRemoveAll", set.allow_remove_all() ? "yes" : "no"},
            {"Changed", set.has_change_time() ? Moment(set.change_time()) : ""},
            {"Actor", set.is_from_file() ? "configuration" : set.actor()}};
      });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

int GetRuleSet(Session* session, const PolicyFlags& flags) {
  v1::GetRuleSetRequest request;
  request.set_name(flags.name);
  v1::RuleSet set;
  const int code =
      session->Ask(&Stub::GetRuleSet, NewStub(session).get(), request, &set);
  return code == kDone ? PrintJson(session, set) : code;
}

int SetRuleSet(Session* session, const PolicyFlags& flags) {
  v1::SetRuleSetRequest request;
  const absl::Status read =
      ReadJson(session, flags.file, request.mutable_rule_set());
  if (!read.ok()) return session->Fail(read);
  request.set_etag(flags.etag);
  v1::RuleSet set;
  const int code =
      session->Ask(&Stub::SetRuleSet, NewStub(session).get(), request, &set);
  if (code == kDone) session->out() << Safe(set.name()) << '\n';
  return code;
}

int RemoveRuleSet(Session* session, const PolicyFlags& flags) {
  v1::DeleteRuleSetRequest request;
  request.set_name(flags.name);
  request.set_etag(flags.etag);
  v1::DeleteRuleSetResponse none;
  return session->Ask(&Stub::DeleteRuleSet, NewStub(session).get(), request,
                      &none);
}

int TestPolicy(Session* session, const PolicyFlags& flags) {
  v1::TestPolicyRequest request;
  request.set_store(session->store);
  request.set_only_going(flags.only_going);
  if (!flags.file.empty()) {
    const absl::Status read =
        ReadJson(session, flags.file, request.mutable_rule_set());
    if (!read.ok()) return session->Fail(read);
  }
  if (!flags.grace.empty()) {
    const auto grace = ParseSpan(flags.grace);
    if (!grace.ok()) return session->Fail(grace.status());
    request.mutable_grace_period()->set_seconds(absl::ToInt64Seconds(*grace));
  }
  RowPrinter rows(session, "tag_decision", flags.format,
                  {{"REPOSITORY", "Repository"},
                   {"TAG", "Tag"},
                   {"VERDICT", "Verdict"},
                   {"RULE", "Rule"},
                   {"WHY", "Why"}});
  grpc::ClientContext context;
  const auto stub = NewStub(session);
  const auto reader = stub->TestPolicy(&context, request);
  v1::TestPolicyResponse message;
  uint64_t going = 0;
  uint64_t total = 0;
  while (reader->Read(&message)) {
    going = message.going_count();
    total = message.tag_count();
    for (const v1::TagDecision& decision : message.decisions()) {
      rows.Add(decision, [&]() -> Row {
        return {{"Repository", decision.repository()},
                {"Tag", decision.tag()},
                {"Digest", decision.digest()},
                {"Verdict", decision.goes() ? "goes" : "stays"},
                {"Rule", decision.rule()},
                {"Why", decision.why()}};
      });
    }
  }
  const int code = session->Check(reader->Finish());
  if (code != kDone) return code;
  const int printed = rows.Finish();
  if (printed != kDone) return printed;
  session->note() << going << " of " << total
                  << " tags would go; nothing was changed\n";
  return kDone;
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

int ListSchedules(Session* session, const PolicyFlags& flags) {
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

int GetSchedule(Session* session, const PolicyFlags& flags) {
  v1::GetScheduleRequest request;
  request.set_name(flags.name);
  v1::Schedule schedule;
  const int code = session->Ask(&Stub::GetSchedule, NewStub(session).get(),
                                request, &schedule);
  return code == kDone ? PrintJson(session, schedule) : code;
}

int SetSchedule(Session* session, const PolicyFlags& flags) {
  v1::SetScheduleRequest request;
  const absl::Status read =
      ReadJson(session, flags.file, request.mutable_schedule());
  if (!read.ok()) return session->Fail(read);
  request.set_etag(flags.etag);
  v1::Schedule schedule;
  const int code = session->Ask(&Stub::SetSchedule, NewStub(session).get(),
                                request, &schedule);
  if (code != kDone) return code;
  session->out() << Safe(schedule.name()) << " runs next at "
                 << Moment(schedule.state().next_time()) << '\n';
  return kDone;
}

int RemoveSchedule(Session* session, const PolicyFlags& flags) {
  v1::DeleteScheduleRequest request;
  request.set_name(flags.name);
  request.set_etag(flags.etag);
  v1::DeleteScheduleResponse none;
  return session->Ask(&Stub::DeleteSchedule, NewStub(session).get(), request,
                      &none);
}

// One of the three calls that name a schedule and answer with it.
template <typename Request>
int Tell(Session* session, const PolicyFlags& flags,
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

using Command = int (*)(Session*, const PolicyFlags&);

CLI::App* AddCommand(CLI::App* group, Session* session, const char* name,
                     const char* help,
                     const std::shared_ptr<PolicyFlags>& flags,
                     Command command) {
  CLI::App* sub = group->add_subcommand(name, help);
  sub->callback(
      [=] { session->chosen = [=] { return command(session, *flags); }; });
  return sub;
}

void AddPolicies(CLI::App* app, Session* session) {
  CLI::App* group = Group(app, "policy", "Retention rules");
  auto flags = std::make_shared<PolicyFlags>();
  AddCommand(group, session, "ls", "List rule sets", flags, ListRuleSets)
      ->add_option("--format", flags->format, kFormatHelp);
  AddCommand(group, session, "get", "Print a rule set as JSON", flags,
             GetRuleSet)
      ->add_option("name", flags->name, "Rule set")
      ->required();
  CLI::App* set = AddCommand(group, session, "set",
                             "Check and store a rule set", flags, SetRuleSet);
  set->add_option("file", flags->file, "JSON file; - for standard input")
      ->required();
  set->add_option("--etag", flags->etag, "Only if it stands as it was read");
  CLI::App* remove = AddCommand(group, session, "rm", "Delete a rule set",
                                flags, RemoveRuleSet);
  remove->add_option("name", flags->name, "Rule set")->required();
  remove->add_option("--etag", flags->etag, "Only if it stands as it was read");
  CLI::App* test =
      AddCommand(group, session, "test",
                 "Show what the rules say of each tag; changes nothing", flags,
                 TestPolicy);
  test->add_option("file", flags->file,
                   "JSON file of a set to test beside the stored ones");
  test->add_option("--store", session->store, "Store");
  test->add_option("--grace", flags->grace, "Another grace period, e.g. 0s");
  test->add_flag("--going", flags->only_going, "Only tags that would go");
  test->add_option("--format", flags->format, kFormatHelp);
}

void AddSchedules(CLI::App* app, Session* session) {
  CLI::App* group = Group(app, "schedule", "What is done by itself");
  auto flags = std::make_shared<PolicyFlags>();
  AddCommand(group, session, "ls", "List schedules", flags, ListSchedules)
      ->add_option("--format", flags->format, kFormatHelp);
  CLI::App* set = AddCommand(group, session, "set",
                             "Check and store a schedule", flags, SetSchedule);
  set->add_option("file", flags->file, "JSON file; - for standard input")
      ->required();
  set->add_option("--etag", flags->etag, "Only if it stands as it was read");
  const struct {
    const char* name;
    const char* help;
    Command command;
  } commands[] = {
      {"get", "Print a schedule as JSON", GetSchedule},
      {"rm", "Delete a schedule", RemoveSchedule},
      {"run", "Begin a run now",
       [](Session* s, const PolicyFlags& f) {
         return Tell(s, f, &Stub::RunSchedule, " begun");
       }},
      {"pause", "Begin nothing until it is resumed",
       [](Session* s, const PolicyFlags& f) {
         return Tell(s, f, &Stub::PauseSchedule, " paused");
       }},
      {"resume", "Begin again at the next time; nothing is caught up",
       [](Session* s, const PolicyFlags& f) {
         return Tell(s, f, &Stub::ResumeSchedule, " resumed");
       }},
  };
  for (const auto& command : commands) {
    AddCommand(group, session, command.name, command.help, flags,
               command.command)
        ->add_option("name", flags->name, "Schedule")
        ->required();
  }
}

}  // namespace

void AddPolicyCommands(CLI::App* app, Session* session) {
  AddPolicies(app, session);
  AddSchedules(app, session);
}

}  // namespace reclaim::cli
