// plan, plans, apply, restore, purge, quarantine.

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/plan_printer.h"
#include "cli/prune_flags.h"
#include "cli/row_printer.h"
#include "cli/run_follower.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "reclaim/v1/collection.grpc.pb.h"
#include "reclaim/v1/policy.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::CollectionService::Stub;

std::unique_ptr<Stub> NewStub(Session* session) {
  return v1::CollectionService::NewStub(session->channel());
}

int MakePlan(Session* session, PruneFlags* flags) {
  // Names are names of images.
  if (!flags->references.empty()) flags->verb = v1::PRUNE_VERB_IMAGES;
  v1::CreatePlanRequest request;
  if (const absl::Status status = flags->Fill(*session, &request);
      !status.ok()) {
    return session->Fail(status);
  }
  v1::Plan plan;
  int code =
      session->Ask(&Stub::CreatePlan, NewStub(session).get(), request, &plan);
  if (code != kDone) return code;
  code = PrintPlan(session, plan, *flags);
  const bool is_text = !session->json && flags->format.empty();
  if (code == kDone && HasWork(plan) && is_text) {
    session->out() << "Apply it with: reclaim apply " << plan.id() << '\n';
  }
  return code != kDone ? code : flags->CodeOf(plan);
}

Row PlanRow(const Session& session, const v1::Plan& plan) {
  const bool is_old = TimeOf(plan.expire_time()) < session.Now();
  return {{"ID", plan.id()},
          {"Store", plan.store()},
          {"Created", Ago(TimeOf(plan.create_time()), session.Now())},
          {"Items", absl::StrCat(plan.item_count())},
          {"Size", HumanSize(FreedBytes(plan.bytes()))},
          {"State", !plan.run_id().empty()
                        ? absl::StrCat("applied by ", plan.run_id())
                    : is_old ? "expired"
                    : plan.needs_approval() && plan.approver().empty()
                        ? "waits for approval"
                        : "open"}};
}

int ListPlans(Session* session, const std::string& format) {
  RowPrinter rows(session, "plan", format,
                  {{"PLAN", "ID"},
                   {"STORE", "Store"},
                   {"CREATED", "Created"},
                   {"ITEMS", "Items"},
                   {"SIZE", "Size"},
                   {"STATE", "State"}});
  v1::ListPlansRequest request;
  request.set_store(session->store);
  const auto stub = NewStub(session);
  do {
    v1::ListPlansResponse page;
    const int code = session->Ask(&Stub::ListPlans, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::Plan& plan : page.plans()) {
      rows.Add(plan, [&] { return PlanRow(*session, plan); });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

int GetPlan(Session* session, const std::string& id, v1::Plan* plan) {
  v1::GetPlanRequest request;
  request.set_id(id);
  return session->Ask(&Stub::GetPlan, NewStub(session).get(), request, plan);
}

int ApplyPlan(Session* session, const std::string& id, PruneFlags* flags) {
  v1::Plan plan;
  int code = GetPlan(session, id, &plan);
  if (code != kDone) return code;
  code = session->Confirm(
      absl::StrCat("WARNING! This will remove ", plan.item_count(),
                   " items of the store ", plan.store(), ", ",
                   HumanSize(FreedBytes(plan.bytes())),
                   ".\nAre you sure you want to continue?"),
      flags->force);
  if (code != kDone) return code;
  code = ApplyAndReport(session, plan, *flags);
  return code != kDone ? code : flags->CodeOf(plan);
}

// Approves, and applies unless that is somebody else's.
int ApprovePlan(Session* session, const std::string& id, PruneFlags* flags,
                bool only_approve) {
  v1::Plan plan;
  int code = GetPlan(session, id, &plan);
  if (code != kDone) return code;
  code = PrintPlan(session, plan, *flags);
  if (code != kDone) return code;
  code = session->Confirm(
      absl::StrCat("WARNING! You approve of removing ", plan.item_count(),
                   " items of the store ", plan.store(), ", ",
                   HumanSize(FreedBytes(plan.bytes())),
                   ".\nAre you sure you want to continue?"),
      flags->force);
  if (code != kDone) return code;
  v1::ApprovePlanRequest request;
  request.set_plan_id(id);
  const auto stub = v1::PolicyService::NewStub(session->channel());
  code = session->Ask(&v1::PolicyService::Stub::ApprovePlan, stub.get(),
                      request, &plan);
  if (code != kDone || only_approve) return code;
  code = ApplyAndReport(session, plan, *flags);
  return code != kDone ? code : flags->CodeOf(plan);
}

// What a restore or a purge did.
int Report(Session* session, const char* did, int code, const v1::Run& run) {
  if (session->json) {
    session->out() << JsonLine("summary", run) << '\n';
    return code;
  }
  for (const v1::SkippedItem& item : run.skipped()) {
    if (item.reason() == kToldAsProblem) continue;
    session->note() << "reclaim: left " << Safe(item.subject()) << ": "
                    << item.reason() << " " << Safe(item.detail()) << '\n';
  }
  session->out() << did << ' ' << run.item_count() << " items, "
                 << HumanSize(FreedBytes(run.bytes())) << " ("
                 << run.bytes().content().allocated_bytes() +
                        run.bytes().metadata().allocated_bytes()
                 << " bytes on disk)\n";
  if (run.kind() == v1::RUN_KIND_PURGE) {
    SayHeld(run.bytes(), &session->out());
  }
  return code;
}

int Restore(Session* session, const v1::RestoreRequest& request) {
  v1::Run run;
  const int code = StartAndFollow(session, &Stub::Restore,
                                  NewStub(session).get(), request, &run);
  if (run.id().empty()) return code;
  return Report(session, "Restored", code, run);
}

struct PurgeFlags {
  std::string run;
  bool now = false;
  std::string free;
  bool force = false;
};

int Purge(Session* session, const PurgeFlags& flags) {
  v1::PurgeRequest request;
  request.set_store(session->store);
  request.set_run_id(flags.run);
  request.set_now(flags.now);
  if (!flags.free.empty()) {
    const auto bytes = base::ParseBytes(flags.free);
    if (!bytes.ok()) return session->Fail(bytes.status());
    request.set_free_bytes(*bytes);
  }
  int code = session->Confirm(
      flags.now ? "WARNING! This will free what is in quarantine for good: it "
                  "cannot be restored.\nAre you sure you want to continue?"
                : "WARNING! This will free what has been in quarantine for its "
                  "period.\nAre you sure you want to continue?",
      flags.force);
  if (code != kDone) return code;
  v1::Run run;
  code = StartAndFollow(session, &Stub::Purge, NewStub(session).get(), request,
                        &run);
  if (run.id().empty()) return code;
  return Report(session, "Freed", code, run);
}

int ListQuarantine(Session* session, const std::string& format) {
  RowPrinter rows(session, "quarantine_entry", format,
                  {{"RUN", "Run"},
                   {"ACTION", "Action"},
                   {"SUBJECT", "Subject"},
                   {"SIZE", "Size"},
                   {"QUARANTINED", "Quarantined"},
                   {"RESTORABLE UNTIL", "RestorableUntil"}});
  v1::ListQuarantineRequest request;
  request.set_store(session->store);
  const auto stub = NewStub(session);
  do {
    v1::ListQuarantineResponse page;
    const int code =
        session->Ask(&Stub::ListQuarantine, stub.get(), request, &page);
    if (code != kDone) return code;
    for (const v1::QuarantineEntry& entry : page.entries()) {
      rows.Add(entry, [&]() -> Row {
        return {{"Run", entry.run_id()},
                {"Action", entry.item().action()},
                {"Subject", NameOf(entry.item())},
                {"Size", HumanSize(entry.item().bytes().logical_bytes())},
                {"Quarantined",
                 Ago(TimeOf(entry.quarantine_time()), session->Now())},
                {"RestorableUntil", Moment(entry.restorable_until_time())}};
      });
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return rows.Finish();
}

void AddPlan(Parser* app, Session* session) {
  Parser* plan = app->AddCommand(
      "plan", "Decide what a prune would do, and store it; removes nothing");
  auto flags = std::make_shared<PruneFlags>();
  flags->DeclareScope(plan, session);
  flags->DeclareTarget(plan);
  plan->AddFlag("--fail-if-empty", flags->fail_if_empty,
                "Exit code 14 if there is nothing to do");
  plan->AddFlag(
      "--rules", [flags] { flags->verb = v1::PRUNE_VERB_RETENTION; },
      "Tags that the retention rules let go as well");
  plan->AddOption("reference", flags->references,
                  "Remove these and nothing else: repo, repo:tag, "
                  "repo@digest, digest");
  plan->OnChosen([session, flags] {
    session->chosen = [session, flags] {
      return MakePlan(session, flags.get());
    };
  });
}

void AddPlans(Parser* app, Session* session) {
  Parser* plans = app->Group("plans", "Stored plans");
  auto format = std::make_shared<std::string>();
  auto id = std::make_shared<std::string>();
  auto flags = std::make_shared<PruneFlags>();
  Parser* list = plans->AddCommand("ls", "List plans, newest first");
  list->AddOption("--store", session->store, "Store; empty for all");
  list->AddOption("--format", *format, kFormatHelp);
  list->OnChosen([session, format] {
    session->chosen = [=] { return ListPlans(session, *format); };
  });
  Parser* show = plans->AddCommand("show", "Show a plan's items");
  show->AddOption("id", *id, "Plan")->Required();
  show->AddFlag("--all-items", flags->all_items, "List every item");
  show->AddOption("--format", flags->format,
                  std::string("Items: ") + kFormatHelp);
  show->OnChosen([session, id, flags] {
    session->chosen = [=] {
      v1::Plan plan;
      const int code = GetPlan(session, *id, &plan);
      return code != kDone ? code : PrintPlan(session, plan, *flags);
    };
  });
  Parser* approve = plans->AddCommand(
      "approve", "Approve a plan that waits for it, and apply it");
  auto only_approve = std::make_shared<bool>(false);
  approve->AddOption("id", *id, "Plan")->Required();
  approve->AddFlag("-f,--force", flags->force, "Do not ask");
  approve->AddFlag("--purge", flags->purge, "Free the bytes at once: no undo");
  approve->AddFlag("--allow-large", flags->allow_large,
                   "Even more than the configured share of the store");
  approve->AddFlag("--only-approve", *only_approve,
                   "Leave it to somebody else to apply it");
  approve->OnChosen([session, id, flags, only_approve] {
    session->chosen = [=] {
      return ApprovePlan(session, *id, flags.get(), *only_approve);
    };
  });
  Parser* remove = plans->AddCommand("rm", "Forget a plan");
  remove->AddOption("id", *id, "Plan")->Required();
  remove->OnChosen([session, id] {
    session->chosen = [=] {
      v1::DeletePlanRequest request;
      request.set_id(*id);
      v1::DeletePlanResponse none;
      return session->Ask(&Stub::DeletePlan, NewStub(session).get(), request,
                          &none);
    };
  });
}

void AddApply(Parser* app, Session* session) {
  Parser* apply = app->AddCommand(
      "apply", "Take away those items of a plan that are still dead");
  auto flags = std::make_shared<PruneFlags>();
  auto id = std::make_shared<std::string>();
  apply->AddOption("id", *id, "Plan")->Required();
  apply->AddFlag("-f,--force", flags->force, "Do not ask");
  apply->AddFlag("--fail-if-empty", flags->fail_if_empty,
                 "Exit code 14 if there is nothing to do");
  apply->AddFlag("--purge", flags->purge, "Free the bytes at once: no undo");
  apply->AddFlag("--allow-large", flags->allow_large,
                 "Even more than the configured share of the store");
  apply->OnChosen([session, id, flags] {
    session->chosen = [=] { return ApplyPlan(session, *id, flags.get()); };
  });
}

void AddRestore(Parser* app, Session* session) {
  Parser* restore =
      app->AddCommand("restore", "Give back what is in quarantine");
  auto run = std::make_shared<std::string>();
  auto digest = std::make_shared<std::string>();
  auto reference = std::make_shared<std::string>();
  restore->AddOption("--store", session->store, "Store");
  auto* run_option = restore->AddOption("run", *run, "Run that took it");
  auto* by_digest =
      restore->AddOption("--digest", *digest, "Content, with what it needs");
  auto* by_name = restore->AddOption("--ref", *reference, "repo:tag");
  by_digest->Excludes(run_option);
  by_name->Excludes(run_option)->Excludes(by_digest);
  restore->OnChosen([session, run, digest, reference] {
    session->chosen = [=] {
      v1::RestoreRequest request;
      request.set_store(session->store);
      if (!run->empty()) {
        request.set_run_id(*run);
      } else if (!digest->empty()) {
        request.set_digest(*digest);
      } else {
        request.set_reference(*reference);
      }
      return Restore(session, request);
    };
  });
}

void AddPurge(Parser* app, Session* session) {
  Parser* purge =
      app->AddCommand("purge", "Free what is in quarantine, for good");
  auto flags = std::make_shared<PurgeFlags>();
  purge->AddOption("--store", session->store, "Store");
  purge->AddOption("--run", flags->run, "Only what this run took");
  purge->AddFlag("--now", flags->now,
                 "Do not wait for the end of the quarantine period");
  purge->AddOption("--free", flags->free,
                   "Stop when so much is freed, e.g. 10GB");
  purge->AddFlag("-f,--force", flags->force, "Do not ask");
  purge->OnChosen([session, flags] {
    session->chosen = [=] { return Purge(session, *flags); };
  });
}

}  // namespace

void AddPlanCommands(Parser* app, Session* session) {
  AddPlan(app, session);
  AddPlans(app, session);
  AddApply(app, session);
  AddRestore(app, session);
  AddPurge(app, session);
  Parser* list = app->Group("quarantine", "What can be restored")
                     ->AddCommand("ls", "List it, newest first");
  auto format = std::make_shared<std::string>();
  list->AddOption("--store", session->store, "Store");
  list->AddOption("--format", *format, kFormatHelp);
  list->OnChosen([session, format] {
    session->chosen = [=] { return ListQuarantine(session, *format); };
  });
}

}  // namespace reclaim::cli
