// cli/share_commands.h — what retains most.

#ifndef RECLAIM_CLI_SHARE_COMMANDS_H_
#define RECLAIM_CLI_SHARE_COMMANDS_H_

#include <CLI/CLI.hpp>

#include "cli/session.h"

namespace reclaim::cli {

// Declares `top`.
void AddTop(CLI::App* app, Session* session);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_SHARE_COMMANDS_H_
