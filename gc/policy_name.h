// gc/policy_name.h — names of rules, rule sets and schedules.

#ifndef RECLAIM_GC_POLICY_NAME_H_
#define RECLAIM_GC_POLICY_NAME_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace reclaim::gc {

// [a-z0-9][a-z0-9._-]{0,62}; else INVALID_ARGUMENT with `what` and the name.
absl::Status CheckPolicyName(absl::string_view what, absl::string_view name);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_POLICY_NAME_H_
