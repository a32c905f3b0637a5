// rpc/disk_usage.h — `df` as messages.
//
// Thread-safe.

#ifndef RECLAIM_RPC_DISK_USAGE_H_
#define RECLAIM_RPC_DISK_USAGE_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/usage.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// From the counters alone: the same cost whatever the size of the stores.
absl::StatusOr<v1::GetDiskUsageResponse> MakeDiskUsage(
    const ServiceParts& parts, const v1::GetDiskUsageRequest& request);

// Bytes by repository or by store, largest share first; a page of them.
absl::StatusOr<v1::ListUsageResponse> MakeUsageList(
    const ServiceParts& parts, const v1::ListUsageRequest& request);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_DISK_USAGE_H_
