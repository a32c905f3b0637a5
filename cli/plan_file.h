// cli/plan_file.h — a plan in a file: prune --dry-run --out, prune --plan.
//
// JSON: the plan and its items as --json prints them.  The daemon keeps the
// plan itself; the file names it and says what whoever approved it has seen. So
// nothing that is written into the file can make more go than the daemon's own
// plan holds, and a file that does not tell the same is refused.

#ifndef RECLAIM_CLI_PLAN_FILE_H_
#define RECLAIM_CLI_PLAN_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/session.h"
#include "reclaim/v1/collection.pb.h"

namespace reclaim::cli {

// Writes `path` whole or not at all, readable by its owner only.  An exit code.
int WritePlanFile(Session* session, const v1::Plan& plan,
                  const std::string& path);

// The daemon's plan that the file names; an exit code.  The file's store, item
// count and bytes must be the plan's.
int ReadPlanFile(Session* session, const std::string& path, v1::Plan* plan);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_PLAN_FILE_H_
