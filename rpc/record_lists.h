// rpc/record_lists.h — containers, volumes, networks and build cache as lists.
//
// By store and name.  Thread-safe.

#ifndef RECLAIM_RPC_RECORD_LISTS_H_
#define RECLAIM_RPC_RECORD_LISTS_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/usage.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

absl::StatusOr<v1::ListContainersResponse> ListContainers(
    const ServiceParts& parts, const v1::ListContainersRequest& request);
absl::StatusOr<v1::ListVolumesResponse> ListVolumes(
    const ServiceParts& parts, const v1::ListVolumesRequest& request);
absl::StatusOr<v1::ListNetworksResponse> ListNetworks(
    const ServiceParts& parts, const v1::ListNetworksRequest& request);
absl::StatusOr<v1::ListBuildCacheResponse> ListBuildCache(
    const ServiceParts& parts, const v1::ListBuildCacheRequest& request);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_RECORD_LISTS_H_
