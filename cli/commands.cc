#include "cli/commands.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/nearest_name.h"
#include "cli/parser.h"

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

void DeclareFlags(Parser* app, Session* session) {
  app->AddOption("--host", session->host, "Address of the daemon")
      ->ShowDefault();
  app->AddOption("--tls-ca", session->tls_ca, "PEM file: who signs the server");
  app->AddOption("--tls-cert", session->tls_certificate,
                 "PEM file: our certificate");
  app->AddOption("--tls-key", session->tls_key, "PEM file: its key");
  app->AddFlag("--json", session->json,
               "Lines of JSON for programs: numbers, bytes, RFC 3339 times");
  app->AddFlag("--quiet", session->quiet, "No progress, no remarks");
  app->AddFlag("--no-color", session->no_color, "No colours");
}

void Declare(Parser* app, Session* session) {
  DeclareFlags(app, session);
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
  Parser* version = app->AddCommand("version", "Print the version");
  version->OnChosen([session] {
    session->chosen = [session] {
      session->out() << kVersion << '\n';
      return static_cast<int>(kDone);
    };
  });
  app->NameVariables();
}

// What was typed where a command is expected; OK if that is not what is wrong.
absl::Status CheckVerbs(const Parsed& parsed) {
  if (parsed.known.empty()) return absl::OkStatus();
  const std::string nearest = base::NearestName(parsed.unknown, parsed.known);
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", absl::CHexEscape(parsed.unknown), "\" is no command of reclaim",
      parsed.path, nearest.empty() ? "" : "; the nearest one is ", nearest,
      " (`reclaim", parsed.path, " --help` lists them)"));
}

}  // namespace

std::unique_ptr<Parser> MakeParser(Session* session) {
  auto parser = std::make_unique<Parser>(Parser::Program{
      "reclaim", kVersion,
      "Exact disk usage, plans, pruning with undo, for container content",
      kFooter});
  Declare(parser.get(), session);
  return parser;
}

int RunCli(std::vector<std::string> arguments, Terminal terminal) {
  Session session(std::move(terminal));
  const auto parser = MakeParser(&session);
  const Parsed parsed = parser->Parse(std::move(arguments));
  switch (parsed.outcome) {
    case Parsed::Outcome::kChosen:
      return session.chosen ? session.chosen() : kUsage;
    case Parsed::Outcome::kAnswered:
      session.out() << parsed.text;
      return kDone;
    case Parsed::Outcome::kWrong:
      break;
  }
  if (const absl::Status verbs = CheckVerbs(parsed); !verbs.ok()) {
    return session.Fail(verbs);
  }
  session.err() << parsed.text;
  return kUsage;
}

}  // namespace reclaim::cli
