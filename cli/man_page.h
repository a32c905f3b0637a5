// cli/man_page.h — manual pages, section 1, out of the command table.  Pure.

#ifndef RECLAIM_CLI_MAN_PAGE_H_
#define RECLAIM_CLI_MAN_PAGE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/command_table.h"

namespace reclaim::cli {

// By name: "reclaim", and "reclaim-image" for each command below it, with the
// commands below that.  `footer` (exit codes, examples) ends "reclaim".
std::map<std::string, std::string> ManPages(
    const std::vector<CommandEntry>& table, absl::string_view footer);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_MAN_PAGE_H_
