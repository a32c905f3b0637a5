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
  int code =
      session->Ask(&Stub::Restore, NewStub(session).get(), request, &run);
  if (code != kDone) return code;
  code = FollowRun(session, &run);
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
  code = session->Ask(&Stub::Purge, NewStub(session).get(), request, &run);
  if (code != kDone) return code;
  code = FollowRun(session, &run);
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

void AddPlan(CLI::App* app, Session* session) {
  CLI::App* plan = app->add_subcommand(
      "plan", "Decide what a prune would do, and store it; removes nothing");
  auto flags = std::make_shared<PruneFlags>();
  flags->DeclareScope(plan, session);
  flags->DeclareTarget(plan);
  plan->add_flag("--fail-if-empty", flags->fail_if_empty,
                 "Exit code 14 if there is nothing to do");
  plan->add_flag_callback(
      "--rules", [flags] { flags->verb = v1::PRUNE_VERB_RETENTION; },
      "Tags that the retention rules let go as well");
  plan->add_option("reference", flags->references,
                   "Remove these and nothing else: repo, repo:tag, "
                   "repo@digest, digest");
  plan->callback([session, flags] {
    session->chosen = [session, flags] {
      return MakePlan(session, flags.get());
    };
  });
}

void AddPlans(CLI::App* app, Session* session) {
  CLI::App* plans = Group(app, "plans", "Stored plans");
  auto format = std::make_shared<std::string>();
  auto id = std::make_shared<std::string>();
  auto flags = std::make_shared<PruneFlags>();
  CLI::App* list = plans->add_subcommand("ls", "List plans, newest first");
  list->add_option("--store", session->store, "Store; empty for all");
  list->add_option("--format", *format, kFormatHelp);
  list->callback([session, format] {
    session->chosen = [=] { return ListPlans(session, *format); };
  });
  CLI::App* show = plans->add_subcommand("show", "Show a plan's items");
  show->add_option("id", *id, "Plan")->required();
  show->add_flag("--all-items", flags->all_items, "List every item");
  show->add_option("--format", flags->format,
                   std::string("Items: ") + kFormatHelp);
  show->callback([session, id, flags] {
    session->chosen = [=] {
      v1::Plan plan;
      const int code = GetPlan(session, *id, &plan);
      return code != kDone ? code : PrintPlan(session, plan, *flags);
    };
  });
  CLI::App* approve = plans->add_subcommand(
      "approve", "Approve a plan that waits for it, and apply it");
  auto only_approve = std::make_shared<bool>(false);
  approve->add_option("id", *id, "Plan")->required();
  approve->add_flag("-f,--force", flags->force, "Do not ask");
  approve->add_flag("--purge", flags->purge, "Free the bytes at once: no undo");
  approve->add_flag("--allow-large", flags->allow_large,
                    "Even more than the configured share of the store");
  approve->add_flag("--only-approve", *only_approve,
                    "Leave it to somebody else to apply it");
  approve->callback([session, id, flags, only_approve] {
    session->chosen = [=] {
      return ApprovePlan(session, *id, flags.get(), *only_approve);
    };
  });
  CLI::App* remove = plans->add_subcommand("rm", "Forget a plan");
  remove->add_option("id", *id, "Plan")->required();
  remove->callback([session, id] {
    session->chosen = [=] {
      v1::DeletePlanRequest request;
      request.set_id(*id);
      v1::DeletePlanResponse none;
      return session->Ask(&Stub::DeletePlan, NewStub(session).get(), request,
                          &none);
    };
  });
}

void AddApply(CLI::App* app, Session* session) {
  CLI::App* apply = app->add_subcommand(
      "apply", "Take away those items of a plan that are still dead");
  auto flags = std::make_shared<PruneFlags>();
  auto id = std::make_shared<std::string>();
  apply->add_option("id", *id, "Plan")->required();
  apply->add_flag("-f,--force", flags->force, "Do not ask");
  apply->add_flag("--fail-if-empty", flags->fail_if_empty,
                  "Exit code 14 if there is nothing to do");
  apply->add_flag("--purge", flags->purge, "Free the bytes at once: no undo");
  apply->add_flag("--allow-large", flags->allow_large,
                  "Even more than the configured share of the store");
  apply->callback([session, id, flags] {
    session->chosen = [=] { return ApplyPlan(session, *id, flags.get()); };
  });
}

void AddRestore(CLI::App* app, Session* session) {
  CLI::App* restore =
      app->add_subcommand("restore", "Give back what is in quarantine");
  auto run = std::make_shared<std::string>();
  auto digest = std::make_shared<std::string>();
  auto reference = std::make_shared<std::string>();
  restore->add_option("--store", session->store, "Store");
  auto* run_option = restore->add_option("run", *run, "Run that took it");
  auto* by_digest =
      restore->add_option("--digest", *digest, "Content, with what it needs");
  auto* by_name = restore->add_option("--ref", *reference, "repo:tag");
  by_digest->excludes(run_option);
  by_name->excludes(run_option)->excludes(by_digest);
  restore->callback([session, run, digest, reference] {
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

void AddPurge(CLI::App* app, Session* session) {
  CLI::App* purge =
      app->add_subcommand("purge", "Free what is in quarantine, for good");
  auto flags = std::make_shared<PurgeFlags>();
  purge->add_option("--store", session->store, "Store");
  purge->add_option("--run", flags->run, "Only what this run took");
  purge->add_flag("--now", flags->now,
                  "Do not wait for the end of the quarantine period");
  purge->add_option("--free", flags->free,
                    "Stop when so much is freed, e.g. 10GB");
  purge->add_flag("-f,--force", flags->force, "Do not ask");
  purge->callback([session, flags] {
    session->chosen = [=] { return Purge(session, *flags); };
  });
}

}  // namespace

void AddPlanCommands(CLI::App* app, Session* session) {
  AddPlan(app, session);
  AddPlans(app, session);
  AddApply(app, session);
  AddRestore(app, session);
  AddPurge(app, session);
  CLI::App* list = Group(app, "quarantine", "What can be restored")
                       ->add_subcommand("ls", "List it, newest first");
  auto format = std::make_shared<std::string>();
  list->add_option("--store", session->store, "Store");
  list->add_option("--format", *format, kFormatHelp);
  list->callback([session, format] {
    session->chosen = [=] { return ListQuarantine(session, *format); };
  });
}

}  // namespace reclaim::cli
