#include "cli/commands.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "cli/command_table.h"

namespace reclaim::cli {

const char kFooter[] =
    "\nExit codes: 0 done; 1 failed, or the daemon cannot be reached; 2 wrong "
    "usage;\n3 done in part (a plan: would be); 4 declined; 10 not found; 11 "
    "the store is\nbusy; 12 not allowed; 13 damage was found, nothing was "
    "deleted; 14 nothing to do,\nwith --fail-if-empty; 15 done, but the target "
    "of a plan is not reached; 128+n\nended by signal n.  Any other code is a "
    "failure.\n\nEvery flag can be given as an environment variable: "
    "--dry-run is RECLAIM_DRY_RUN.\nNO_COLOR and TERM=dumb are honoured.\n\n"
    "Examples:\n"
    "  reclaim store add registry:/var/lib/registry\n"
    "  reclaim scan\n"
    "  reclaim df\n"
    "  reclaim system prune --dry-run\n"
    "  reclaim why sha256:1b2c3d4e5f60\n";

namespace {

constexpr char kVersion[] = "reclaim 0.1.0";

void DeclareFlags(CLI::App* app, Session* session) {
  app->add_option("--host", session->host, "Address of the daemon")
      ->capture_default_str();
  app->add_option("--tls-ca", session->tls_ca,
                  "PEM file: who signs the server");
  app->add_option("--tls-cert", session->tls_certificate,
                  "PEM file: our certificate");
  app->add_option("--tls-key", session->tls_key, "PEM file: its key");
  app->add_flag("--json", session->json,
                "Lines of JSON for programs: numbers, bytes, RFC 3339 times");
  app->add_flag("--quiet", session->quiet, "No progress, no remarks");
  app->add_flag("--no-color", session->no_color, "No colours");
}

void Declare(CLI::App* app, Session* session) {
  app->set_version_flag("--version", std::string(kVersion));
  DeclareFlags(app, session);
  app->require_subcommand(1);
  // The program's flags may stand behind a command's as well.
  app->fallthrough();
  app->footer(kFooter);
  AddUsageCommands(app, session);
  AddImageCommands(app, session);
  AddRecordCommands(app, session);
  AddPruneCommands(app, session);
  AddPlanCommands(app, session);
  AddRunCommands(app, session);
  AddStoreCommands(app, session);
  AddGraphCommands(app, session);
  AddLeaseCommands(app, session);
  AddAuditCommands(app, session);
  AddHealthCommand(app, session);
  AddPolicyCommands(app, session);
  AddScheduleCommands(app, session);
  AddTenantCommands(app, session);
  AddCompletion(app, session);
  AddManPages(app, session);
  CLI::App* version = app->add_subcommand("version", "Print the version");
  version->callback([session] {
    session->chosen = [session] {
      session->out() << kVersion << '\n';
      return static_cast<int>(kDone);
    };
  });
  NameVariables(app);
}

// What was typed where a command is expected; OK if that is not what is wrong.
absl::Status CheckVerbs(const CLI::App& app) {
  const CLI::App* group = &app;
  std::string path;
  while (!group->get_subcommands().empty()) {
    group = group->get_subcommands()[0];
    absl::StrAppend(&path, " ", group->get_name());
  }
  std::vector<std::string> names;
  for (const CLI::App* sub : group->get_subcommands({})) {
    names.push_back(sub->get_name());
  }
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  if (names.empty() || rest.empty() || absl::StartsWith(rest[0], "-")) {
    return absl::OkStatus();
  }
  const std::string nearest = base::NearestName(rest[0], names);
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", absl::CHexEscape(rest[0]), "\" is no command of reclaim", path,
      nearest.empty() ? "" : "; the nearest one is ", nearest, " (`reclaim",
      path, " --help` lists them)"));
}

}  // namespace

CLI::App* Group(CLI::App* app, const std::string& name,
                const std::string& help) {
  const auto known = app->get_subcommands(
      [&name](CLI::App* sub) { return sub->get_name() == name; });
  if (!known.empty()) return known[0];
  CLI::App* group = app->add_subcommand(name, help);
  group->require_subcommand(1);
  return group;
}

std::unique_ptr<CLI::App> MakeApp(Session* session) {
  auto app = std::make_unique<CLI::App>(
      "Exact disk usage, plans, pruning with undo, for container content",
      "reclaim");
  Declare(app.get(), session);
  return app;
}

int RunCli(std::vector<std::string> arguments, Terminal terminal) {
  Session session(std::move(terminal));
  const auto app = MakeApp(&session);
  std::reverse(arguments.begin(), arguments.end());
  try {
    app->parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      const absl::Status verbs = CheckVerbs(*app);
      if (!verbs.ok()) return session.Fail(verbs);
    }
    const int code = app->exit(error, session.out(), session.err());
    return code == 0 ? kDone : kUsage;
  }
  return session.chosen ? session.chosen() : kUsage;
}

}  // namespace reclaim::cli
