// policy.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/message_file.h"
#include "cli/policy_file.h"
#include "cli/row_printer.h"
#include "cli/units.h"
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

absl::Status ReadRuleSet(Session* session, const std::string& path,
                         v1::RuleSet* set) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string text, ReadText(session, path));
  return ParseRuleSet(text, path, set);
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
  return code == kDone ? PrintMessage(session, set) : code;
}

int SetRuleSet(Session* session, const PolicyFlags& flags) {
  v1::SetRuleSetRequest request;
  const absl::Status read =
      ReadRuleSet(session, flags.file, request.mutable_rule_set());
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
        ReadRuleSet(session, flags.file, request.mutable_rule_set());
    if (!read.ok()) return session->Fail(read);
  }
  if (!flags.grace.empty()) {
    const auto grace = ParseSpan(flags.grace);
    if (!grace.ok()) return session->Fail(grace.status());
    *request.mutable_grace_period() = ToProto(*grace);
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

using Command = int (*)(Session*, const PolicyFlags&);

Parser* AddCommand(Parser* group, Session* session, const char* name,
                   const char* help, const std::shared_ptr<PolicyFlags>& flags,
                   Command command) {
  Parser* sub = group->AddCommand(name, help);
  sub->OnChosen(
      [=] { session->chosen = [=] { return command(session, *flags); }; });
  return sub;
}

void AddPolicies(Parser* app, Session* session) {
  Parser* group = app->Group("policy", "Retention rules");
  auto flags = std::make_shared<PolicyFlags>();
  AddCommand(group, session, "ls", "List rule sets", flags, ListRuleSets)
      ->AddOption("--format", flags->format, kFormatHelp);
  AddCommand(group, session, "get", "Print a rule set as JSON", flags,
             GetRuleSet)
      ->AddOption("name", flags->name, "Rule set")
      ->Required();
  Parser* set = AddCommand(group, session, "set", "Check and store a rule set",
                           flags, SetRuleSet);
  set->AddOption("file", flags->file, "TOML or JSON file; - for standard input")
      ->Required();
  set->AddOption("--etag", flags->etag, "Only if it stands as it was read");
  Parser* remove = AddCommand(group, session, "rm", "Delete a rule set", flags,
                              RemoveRuleSet);
  remove->AddOption("name", flags->name, "Rule set")->Required();
  remove->AddOption("--etag", flags->etag, "Only if it stands as it was read");
  Parser* test =
      AddCommand(group, session, "test",
                 "Show what the rules say of each tag; changes nothing", flags,
                 TestPolicy);
  test->AddOption("file", flags->file,
                  "TOML or JSON file of a set to test beside the stored ones");
  test->AddOption("--store", session->store, "Store");
  test->AddOption("--grace", flags->grace, "Another grace period, e.g. 0s");
  test->AddFlag("--going", flags->only_going, "Only tags that would go");
  test->AddOption("--format", flags->format, kFormatHelp);
}

}  // namespace

void AddPolicyCommands(Parser* app, Session* session) {
  AddPolicies(app, session);
}

}  // namespace reclaim::cli
