// rpc/image_list.h — the images of stores, filtered, newest first.
//
// Costs one pass over the closures of all images (accounting/image_usage.h).
// Thread-safe.

#ifndef RECLAIM_RPC_IMAGE_LIST_H_
#define RECLAIM_RPC_IMAGE_LIST_H_

#include <vector>

#include "absl/status/statusor.h"
#include "reclaim/v1/usage.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// INVALID_ARGUMENT names a filter; NOT_FOUND the store or an image that
// `before=` or `since=` names.
absl::StatusOr<std::vector<v1::Image>> ListImages(
    const ServiceParts& parts, const v1::ListImagesRequest& request);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_IMAGE_LIST_H_
