// rpc/policy_convert.h — rule sets, schedules, tenants and quotas as messages,
// both ways.
//
// What comes in is read strictly: a fate or verb that is not known is
// INVALID_ARGUMENT.  Whether it makes sense is gc's to say.  Pure.

#ifndef RECLAIM_RPC_POLICY_CONVERT_H_
#define RECLAIM_RPC_POLICY_CONVERT_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gc/retention.h"
#include "gc/retention_survey.h"
#include "gc/schedule.h"
#include "gc/tenants.h"
#include "reclaim/v1/policy.pb.h"

namespace reclaim::rpc {

v1::RuleSet ToProto(const gc::RuleSet& set);
absl::StatusOr<gc::RuleSet> FromProto(const v1::RuleSet& set);

v1::TagDecision ToProto(const gc::TagDecision& decision);

// `next` is when it runs next; InfiniteFuture() if it does not.
v1::Schedule ToProto(const gc::Schedule& schedule,
                     const gc::ScheduleState& state, absl::Time next);
absl::StatusOr<gc::Schedule> FromProto(const v1::Schedule& schedule);

v1::Tenant ToProto(const gc::Tenant& tenant);
gc::Tenant FromProto(const v1::Tenant& tenant);

v1::RepositoryQuota ToProto(const gc::RepositoryQuota& quota);
gc::RepositoryQuota FromProto(const v1::RepositoryQuota& quota);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_POLICY_CONVERT_H_
