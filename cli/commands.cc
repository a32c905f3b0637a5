#include "cli/commands.h"

#include <algorithm>
#include <utility>

namespace reclaim::cli {
namespace {

constexpr char kVersion[] = "reclaim 0.1.0";

constexpr char kFooter[] =
    "\nExit codes: 0 done; 1 failed, or the daemon cannot be reached; 2 wrong "
    "usage;\n3 done in part; 4 declined; 10 not found; 11 the store is busy; "
    "12 not allowed;\n13 damage was found; 128+n ended by signal n.  Any other "
    "code is a failure.\n\nExamples:\n"
    "  reclaim store add registry:/var/lib/registry\n"
    "  reclaim scan\n"
    "  reclaim df\n"
    "  reclaim system prune --dry-run\n"
    "  reclaim why sha256:1b2c3d4e5f60\n";

void Declare(CLI::App* app, Session* session) {
  app->set_version_flag("--version", std::string(kVersion));
  app->add_option("--host", session->host, "Address of the daemon")
      ->envname("RECLAIM_HOST")
      ->capture_default_str();
  app->add_option("--tls-ca", session->tls_ca, "PEM file: who signs the server")
      ->envname("RECLAIM_TLS_CA");
  app->add_option("--tls-cert", session->tls_certificate,
                  "PEM file: our certificate")
      ->envname("RECLAIM_TLS_CERT");
  app->add_option("--tls-key", session->tls_key, "PEM file: its key")
      ->envname("RECLAIM_TLS_KEY");
  app->require_subcommand(1);
  app->footer(kFooter);
  AddUsageCommands(app, session);
  AddImageCommands(app, session);
  AddPruneCommands(app, session);
  AddPlanCommands(app, session);
  AddRunCommands(app, session);
  AddStoreCommands(app, session);
  AddGraphCommands(app, session);
  AddLeaseCommands(app, session);
  AddAuditCommands(app, session);
  AddCompletion(app, session);
  CLI::App* version = app->add_subcommand("version", "Print the version");
  version->callback([session] {
    session->chosen = [session] {
      session->out() << kVersion << '\n';
      return static_cast<int>(kDone);
    };
  });
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

int RunCli(std::vector<std::string> arguments, Terminal terminal) {
  Session session(std::move(terminal));
  CLI::App app(
      "Exact disk usage, plans, pruning with undo, for container content.",
      "reclaim");
  Declare(&app, &session);
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, session.out(), session.err());
    return code == 0 ? kDone : kUsage;
  }
  return session.chosen ? session.chosen() : kUsage;
}

}  // namespace reclaim::cli
