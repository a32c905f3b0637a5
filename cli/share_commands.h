// cli/share_commands.h — what retains most, and how usage went over time.

#ifndef RECLAIM_CLI_SHARE_COMMANDS_H_
#define RECLAIM_CLI_SHARE_COMMANDS_H_

#include <string>
#include <vector>

#include "cli/parser.h"
#include "cli/session.h"

namespace reclaim::cli {

// `df --history`; `back` is "24h", "30d".
int PrintHistory(Session* session, const std::string& back,
                 const std::string& format);

// Declares `top`.
void AddTop(Parser* app, Session* session);

// One character a value, from the least to the most of them; a gap (a negative
// value) is a blank.  "" for none.
std::string Sparkline(const std::vector<double>& values);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_SHARE_COMMANDS_H_
