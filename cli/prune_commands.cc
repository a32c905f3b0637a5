// Docker's prune verbs: plan, show, ask, apply.

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/plan_printer.h"
#include "cli/prune_flags.h"
#include "cli/run_follower.h"
#include "cli/units.h"
#include "reclaim/v1/collection.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Stub = v1::CollectionService::Stub;

// What Docker's question says of each verb.
std::string Warning(const v1::CreatePlanRequest& request) {
  switch (request.verb()) {
    case v1::PRUNE_VERB_IMAGES:
      return "WARNING! This will remove all dangling images.\n";
    case v1::PRUNE_VERB_ALL_IMAGES:
      return "WARNING! This will remove all images without at least one "
             "container associated to them.\n";
    case v1::PRUNE_VERB_CONTAINERS:
      return "WARNING! This will remove all stopped containers.\n";
    case v1::PRUNE_VERB_VOLUMES:
      return request.all_volumes()
                 ? "WARNING! This will remove all volumes not used by at "
                   "least one container.\n"
                 : "WARNING! This will remove anonymous local volumes not "
                   "used by at least one container.\n";
    case v1::PRUNE_VERB_NETWORKS:
      return "WARNING! This will remove all custom networks not used by at "
             "least one container.\n";
    case v1::PRUNE_VERB_BUILD_CACHE:
      return request.all_cache()
                 ? "WARNING! This will remove all build cache.\n"
                 : "WARNING! This will remove all dangling build cache.\n";
    default:
      break;
  }
  return absl::StrCat(
      "WARNING! This will remove:\n  - all stopped containers\n  - all "
      "networks not used by at least one container\n",
      request.with_volumes()
          ? "  - all anonymous volumes not used by at least one container\n"
          : "",
      request.all_images()
          ? "  - all images without at least one container associated to them\n"
          : "  - all dangling images\n",
      "  - ", request.all_images() ? "all" : "unused", " build cache\n");
}

int Prune(Session* session, PruneFlags* flags) {
  const auto stub = v1::CollectionService::NewStub(session->channel());
  v1::CreatePlanRequest request;
  if (const absl::Status status = flags->Fill(*session, &request);
      !status.ok()) {
    return session->Fail(status);
  }
  v1::Plan plan;
  int code = session->Ask(&Stub::CreatePlan, stub.get(), request, &plan);
  if (code != kDone) return code;
  if (flags->dry_run) {
    code = PrintPlan(session, plan, flags->all_items);
    if (code != kDone) return code;
    session->out() << "Nothing was removed.  Apply it with: reclaim apply "
                   << plan.id() << '\n';
    return kDone;
  }
  SayKept(session, plan);
  if (plan.item_count() > 0) {
    const std::string summary = absl::StrCat(
        Warning(request), "In the store ", plan.store(), " that is ",
        plan.item_count(), " items, ", HumanSize(FreedBytes(plan.bytes())),
        plan.is_restorable() ? "; `reclaim restore` can undo it.\n" : ".\n");
    code = session->Confirm(summary, flags->force);
    if (code != kDone) return code;
  }
  return ApplyAndReport(session, plan, *flags);
}

CLI::App* AddVerb(CLI::App* group, Session* session, const char* name,
                  const char* help, v1::PruneVerb verb) {
  CLI::App* command = group->add_subcommand(name, help);
  auto flags = std::make_shared<PruneFlags>();
  flags->verb = verb;
  flags->Declare(command, session);
  command->callback([session, flags] {
    session->chosen = [session, flags] { return Prune(session, flags.get()); };
  });
  return command;
}

}  // namespace

void AddPruneCommands(CLI::App* app, Session* session) {
  AddVerb(Group(app, "image", "Manage images"), session, "prune",
          "Remove dangling images; with -a all unused ones",
          v1::PRUNE_VERB_IMAGES);
  AddVerb(Group(app, "container", "Manage containers"), session, "prune",
          "Remove stopped containers", v1::PRUNE_VERB_CONTAINERS);
  AddVerb(Group(app, "volume", "Manage volumes"), session, "prune",
          "Remove anonymous unused volumes; with -a named ones as well",
          v1::PRUNE_VERB_VOLUMES);
  AddVerb(Group(app, "network", "Manage networks"), session, "prune",
          "Remove unused networks", v1::PRUNE_VERB_NETWORKS);
  AddVerb(Group(app, "builder", "Manage builds"), session, "prune",
          "Remove build cache", v1::PRUNE_VERB_BUILD_CACHE);
  AddVerb(Group(app, "system", "Manage it all"), session, "prune",
          "Remove unused data", v1::PRUNE_VERB_SYSTEM);
  AddVerb(app, session, "prune", "Short for system prune",
          v1::PRUNE_VERB_SYSTEM);
}

}  // namespace reclaim::cli
