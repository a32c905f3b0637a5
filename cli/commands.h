// cli/commands.h — the command line: what there is and what it does.
//
// Each Add...() declares its commands below `app`; parsing sets
// Session::chosen.  The subcommands keep their own flags.

#ifndef RECLAIM_CLI_COMMANDS_H_
#define RECLAIM_CLI_COMMANDS_H_

#include <memory>
#include <string>
#include <vector>

#include "cli/parser.h"
#include "cli/session.h"

namespace reclaim::cli {

void AddUsageCommands(Parser* app, Session* session);
void AddImageCommands(Parser* app, Session* session);
void AddPruneCommands(Parser* app, Session* session);
void AddPlanCommands(Parser* app, Session* session);
void AddRunCommands(Parser* app, Session* session);
void AddStoreCommands(Parser* app, Session* session);
void AddGraphCommands(Parser* app, Session* session);
void AddRecordCommands(Parser* app, Session* session);
void AddAuditCommands(Parser* app, Session* session);
void AddLeaseCommands(Parser* app, Session* session);
void AddHealthCommand(Parser* app, Session* session);
void AddPolicyCommands(Parser* app, Session* session);
void AddScheduleCommands(Parser* app, Session* session);
void AddTenantCommands(Parser* app, Session* session);
void AddCompletion(Parser* app, Session* session);
void AddManPages(Parser* app, Session* session);

// The exit codes and examples that --help and the manual end with.
extern const char kFooter[];

// The parser with all commands, for `session`, which must outlive it.
std::unique_ptr<Parser> MakeParser(Session* session);

// Parses and runs; gives the exit code.  `arguments` without the program.
int RunCli(std::vector<std::string> arguments, Terminal terminal);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_COMMANDS_H_
