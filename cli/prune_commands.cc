// Docker's prune verbs and `image rm`: plan, show, ask, apply.

#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/plan_file.h"
#include "cli/plan_printer.h"
#include "cli/prune_flags.h"
#include "cli/prune_warning.h"
#include "cli/run_follower.h"
#include "cli/units.h"
#include "reclaim/v1/collection.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::CollectionService::Stub;

constexpr uint64_t kNamesShown = 100;

// What is about to go, before the question.
int ListNames(Session* session, const v1::Plan& plan) {
  uint64_t shown = 0;
  uint64_t links = 0;
  std::ostream& err = session->err();
  const int code =
      ForEachItem(session, plan.id(), [&](const v1::PlanItem& item) {
        // A link goes with what it names; it is no loss of its own.
        if (IsLink(item)) {
          ++links;
          return true;
        }
        err << "  " << item.action() << ' ' << Safe(NameOf(item)) << '\n';
        return ++shown < kNamesShown;
      });
  if (code != kDone) return code;
  const uint64_t left = plan.item_count() - shown - links;
  if (left > 0) err << "  and " << left << " more\n";
  return kDone;
}

int Ask(Session* session, const v1::Plan& plan, const std::string& warning,
        bool is_forced) {
  if (!HasWork(plan) || is_forced) return kDone;
  // Nobody reads a list where nobody can answer.
  if (session->terminal().asks) {
    const int code = ListNames(session, plan);
    if (code != kDone) return code;
    session->err() << "In the store " << plan.store() << " that is "
                   << plan.item_count() << " items, "
                   << HumanSize(FreedBytes(plan.bytes()))
                   << (plan.is_restorable()
                           ? "; `reclaim restore` can undo it.\n"
                           : "; it is deleted for good.\n");
    SayFilters(plan, &session->err());
  }
  return session->Confirm(warning, is_forced);
}

int DryRun(Session* session, const v1::Plan& plan, const PruneFlags& flags) {
  int code = PrintPlan(session, plan, flags);
  if (code == kDone && !flags.out.empty()) {
    code = WritePlanFile(session, plan, flags.out);
  }
  if (code != kDone) return code;
  session->note() << "Nothing was removed.  Apply it with: reclaim "
                  << (flags.out.empty()
                          ? absl::StrCat("apply ", plan.id())
                          : absl::StrCat("prune --plan ", flags.out))
                  << '\n';
  return flags.CodeOf(plan);
}

// What was planned before, and approved as a file.
int ApplyFile(Session* session, const PruneFlags& flags) {
  v1::Plan plan;
  int code = ReadPlanFile(session, flags.plan, &plan);
  if (code != kDone) return code;
  if (flags.dry_run) return DryRun(session, plan, flags);
  code = Ask(session, plan,
             absl::StrCat("WARNING! This will remove what the plan ", plan.id(),
                          " names and what is still garbage.\nAre you sure you "
                          "want to continue?"),
             flags.force);
  if (code != kDone) return code;
  code = ApplyAndReport(session, plan, flags);
  return code != kDone ? code : flags.CodeOf(plan);
}

int Prune(Session* session, PruneFlags* flags) {
  if (!flags->out.empty() && !flags->dry_run) {
    return session->Fail(absl::InvalidArgumentError(
        "--out: it goes with --dry-run; a prune that is done has no plan left "
        "to apply"));
  }
  if (!flags->plan.empty()) return ApplyFile(session, *flags);
  const auto stub = v1::CollectionService::NewStub(session->channel());
  v1::CreatePlanRequest request;
  if (const absl::Status status = flags->Fill(*session, &request);
      !status.ok()) {
    return session->Fail(status);
  }
  v1::Plan plan;
  int code = session->Ask(&Stub::CreatePlan, stub.get(), request, &plan);
  if (code != kDone) return code;
  if (flags->dry_run) return DryRun(session, plan, *flags);
  SayKept(session, plan);
  if (!session->json) SayTarget(plan, &session->err());
  code = Ask(session, plan, PruneWarning(request),
             flags->force || flags->force_use);
  if (code != kDone) return code;
  code = ApplyAndReport(session, plan, *flags);
  return code != kDone ? code : flags->CodeOf(plan);
}

std::function<int()> Chosen(Session* session,
                            const std::shared_ptr<PruneFlags>& flags) {
  return [session, flags] { return Prune(session, flags.get()); };
}

Parser* AddVerb(Parser* group, Session* session, const char* name,
                const char* help, v1::PruneVerb verb) {
  Parser* command = group->AddCommand(name, help);
  auto flags = std::make_shared<PruneFlags>();
  flags->verb = verb;
  flags->Declare(command, session);
  flags->DeclareFiles(command);
  if (verb == v1::PRUNE_VERB_IMAGES || flags->is_system()) {
    flags->DeclareTarget(command);
  }
  if (verb == v1::PRUNE_VERB_BUILD_CACHE) flags->DeclareCacheLimits(command);
  command->OnChosen(
      [session, flags] { session->chosen = Chosen(session, flags); });
  return command;
}

void AddRemove(Parser* app, Session* session) {
  Parser* remove = app->Group("image", "Manage images")
                       ->AddCommand("rm", "Remove images by name");
  auto flags = std::make_shared<PruneFlags>();
  flags->verb = v1::PRUNE_VERB_IMAGES;
  flags->names_images = true;
  flags->Declare(remove, session);
  remove
      ->AddOption("reference", flags->references,
                  "repo:tag, repo@digest, digest or repo")
      ->Required();
  remove->OnChosen(
      [session, flags] { session->chosen = Chosen(session, flags); });
}

}  // namespace

void AddPruneCommands(Parser* app, Session* session) {
  AddVerb(app->Group("image", "Manage images"), session, "prune",
          "Remove dangling images; with -a all unused ones",
          v1::PRUNE_VERB_IMAGES);
  AddVerb(app->Group("container", "Manage containers"), session, "prune",
          "Remove stopped containers", v1::PRUNE_VERB_CONTAINERS);
  AddVerb(app->Group("volume", "Manage volumes"), session, "prune",
          "Remove anonymous unused volumes; with -a named ones as well",
          v1::PRUNE_VERB_VOLUMES);
  AddVerb(app->Group("network", "Manage networks"), session, "prune",
          "Remove unused networks", v1::PRUNE_VERB_NETWORKS);
  AddVerb(app->Group("builder", "Manage builds"), session, "prune",
          "Remove build cache", v1::PRUNE_VERB_BUILD_CACHE);
  AddVerb(app->Group("system", "Manage it all"), session, "prune",
          "Remove unused data", v1::PRUNE_VERB_SYSTEM);
  AddVerb(app, session, "prune",
          "Remove tags by the retention rules, and unused data",
          v1::PRUNE_VERB_RETENTION);
  AddRemove(app, session);
}

}  // namespace reclaim::cli
