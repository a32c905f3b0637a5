// rpc/retained_list.h — what retains most.

#ifndef RECLAIM_RPC_RETAINED_LIST_H_
#define RECLAIM_RPC_RETAINED_LIST_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/usage.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

absl::StatusOr<v1::ListRetainedResponse> MakeRetainedList(
    const ServiceParts& parts, const v1::ListRetainedRequest& request);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_RETAINED_LIST_H_
