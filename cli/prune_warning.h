// cli/prune_warning.h — what is asked before a prune verb removes anything.
//
// The texts are docker/cli's, byte for byte, up to the "[y/N]" that
// Session::Confirm() adds.  Pure.

#ifndef RECLAIM_CLI_PRUNE_WARNING_H_
#define RECLAIM_CLI_PRUNE_WARNING_H_

#include <string>

#include "reclaim/v1/collection.pb.h"

namespace reclaim::cli {

// Ends with "Are you sure you want to continue?".
std::string PruneWarning(const v1::CreatePlanRequest& request);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_PRUNE_WARNING_H_
