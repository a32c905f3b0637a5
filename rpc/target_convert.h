// rpc/target_convert.h — targets of plans, to and from the API.
//
// Pure.

#ifndef RECLAIM_RPC_TARGET_CONVERT_H_
#define RECLAIM_RPC_TARGET_CONVERT_H_

#include "absl/status/statusor.h"
#include "gc/space_target.h"
#include "reclaim/v1/collection.pb.h"

namespace reclaim::rpc {

// INVALID_ARGUMENT: no goal, or a value out of bounds; the message names it.
absl::StatusOr<gc::SpaceTarget> FromProto(const v1::PlanTarget& target);
// REQUIRES: it is set.
v1::PlanTarget ToProto(const gc::SpaceTarget& target);
v1::TargetOutcome ToProto(const gc::TargetOutcome& outcome);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_TARGET_CONVERT_H_
