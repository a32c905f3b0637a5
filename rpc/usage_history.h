// rpc/usage_history.h — how usage went over time.

#ifndef RECLAIM_RPC_USAGE_HISTORY_H_
#define RECLAIM_RPC_USAGE_HISTORY_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/usage.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

absl::StatusOr<v1::GetUsageHistoryResponse> MakeUsageHistory(
    const ServiceParts& parts, const v1::GetUsageHistoryRequest& request);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_USAGE_HISTORY_H_
