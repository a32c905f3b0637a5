// cli/policy_file.h — rule sets and schedules from files that people write.
//
// A file is TOML with the tables and keys of the daemon's configuration
// (docs/CONFIGURATION.md), or JSON as `policy get` and `schedule get` print it.
// Errors are INVALID_ARGUMENT and name the file, the line and the key.  Pure.

#ifndef RECLAIM_CLI_POLICY_FILE_H_
#define RECLAIM_CLI_POLICY_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "reclaim/v1/policy.pb.h"

namespace reclaim::cli {

// `name` and `allow_remove_all` above [[retention]] and [[referrers]].
// `file` is what errors call the text.
absl::Status ParseRuleSet(const std::string& text, const std::string& file,
                          v1::RuleSet* set);

// One [[schedule]].
absl::Status ParseSchedule(const std::string& text, const std::string& file,
                           v1::Schedule* schedule);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_POLICY_FILE_H_
