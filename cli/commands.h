// cli/commands.h — the command line: what there is and what it does.
//
// Each Add...() declares its commands below `app`; parsing sets
// Session::chosen.  The subcommands keep their own flags.

#ifndef RECLAIM_CLI_COMMANDS_H_
#define RECLAIM_CLI_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/session.h"

namespace reclaim::cli {

void AddUsageCommands(CLI::App* app, Session* session);
void AddImageCommands(CLI::App* app, Session* session);
void AddPruneCommands(CLI::App* app, Session* session);
void AddPlanCommands(CLI::App* app, Session* session);
void AddRunCommands(CLI::App* app, Session* session);
void AddStoreCommands(CLI::App* app, Session* session);
void AddGraphCommands(CLI::App* app, Session* session);
void AddRecordCommands(CLI::App* app, Session* session);
void AddAuditCommands(CLI::App* app, Session* session);
void AddLeaseCommands(CLI::App* app, Session* session);
void AddHealthCommand(CLI::App* app, Session* session);
void AddPolicyCommands(CLI::App* app, Session* session);
void AddScheduleCommands(CLI::App* app, Session* session);
void AddTenantCommands(CLI::App* app, Session* session);
void AddCompletion(CLI::App* app, Session* session);
void AddManPages(CLI::App* app, Session* session);

// The exit codes and examples that --help and the manual end with.
extern const char kFooter[];

// The parser with all commands, for `session`, which must outlive it.
std::unique_ptr<CLI::App> MakeApp(Session* session);

// Parses and runs; gives the exit code.  `arguments` without the program.
int RunCli(std::vector<std::string> arguments, Terminal terminal);

// A command group ("image", "store") that is made once.
CLI::App* Group(CLI::App* app, const std::string& name,
                const std::string& help);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_COMMANDS_H_
