// server/policy_keys.h — private: what the file says of retention rules, rules
// about referrers, schedules, tenants and quotas.

#ifndef RECLAIM_SERVER_POLICY_KEYS_H_
#define RECLAIM_SERVER_POLICY_KEYS_H_

#include <vector>

#include "absl/status/status.h"
#include "gc/policy_book.h"
#include "server/config.h"

namespace reclaim::server {

struct Key;                             // server/config_key.h
std::vector<Key> RetentionKeys();       // [[retention]]
std::vector<Key> ReferrerKeys();        // [[referrers]]
std::vector<Key> ScheduleKeys();        // [[schedule]]
std::vector<Key> ScheduleTargetKeys();  // [[schedule]], how far it goes
std::vector<Key> TenantKeys();          // [[tenant]], [[quota]]

// What the file says, and the schedule "purge" of gc.purge_interval unless the
// file has one of that name.
gc::FilePolicies PoliciesOf(const Config& config);

// Rules that decide nothing, times that never come; INVALID_ARGUMENT.
absl::Status CheckPolicies(const Config& config);

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_POLICY_KEYS_H_
