#include "rpc/usage_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rpc/call.h"
#include "rpc/disk_usage.h"
#include "rpc/image_list.h"
#include "rpc/image_questions.h"
#include "rpc/page_bytes.h"
#include "rpc/record_lists.h"
#include "rpc/retained_list.h"
#include "rpc/usage_history.h"

namespace reclaim::rpc {

grpc::Status UsageService::GetDiskUsage(grpc::ServerContext* context,
                                        const v1::GetDiskUsageRequest* request,
                                        v1::GetDiskUsageResponse* response) {
  return CallFor(
      parts_, context, "UsageService/GetDiskUsage", response,
      [&](const Caller&) { return MakeDiskUsage(parts_, *request); });
}

grpc::Status UsageService::ListImages(grpc::ServerContext* context,
                                      const v1::ListImagesRequest* request,
                                      v1::ListImagesResponse* response) {
  return CallFor(parts_, context, "UsageService/ListImages", response,
                 [&](const Caller&) { return Images(*request); });
}

absl::StatusOr<v1::ListImagesResponse> UsageService::Images(
    const v1::ListImagesRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string position,
      parts_.tokens->Read(arguments, request.page_token()));
  uint64_t offset = 0;
  if (!position.empty() && !absl::SimpleAtoi(position, &offset)) {
    return absl::InvalidArgumentError("page_token: not ours");
  }
  RECLAIM_ASSIGN_OR_RETURN(std::vector<v1::Image> images,
                           rpc::ListImages(parts_, request));
  v1::ListImagesResponse response;
  const uint64_t end =
      std::min<uint64_t>(images.size(), offset + static_cast<uint64_t>(size));
  PageBytes bytes;
  uint64_t next = offset;
  while (next < end && bytes.Take(images[next])) {
    *response.add_images() = std::move(images[next++]);
  }
  if (next < images.size()) {
    response.set_next_page_token(
        parts_.tokens->Make(arguments, absl::StrCat(next)));
  }
  return response;
}

grpc::Status UsageService::ListContainers(
    grpc::ServerContext* context, const v1::ListContainersRequest* request,
    v1::ListContainersResponse* response) {
  return CallFor(
      parts_, context, "UsageService/ListContainers", response,
      [&](const Caller&) { return rpc::ListContainers(parts_, *request); });
}

grpc::Status UsageService::ListVolumes(grpc::ServerContext* context,
                                       const v1::ListVolumesRequest* request,
                                       v1::ListVolumesResponse* response) {
  return CallFor(
      parts_, context, "UsageService/ListVolumes", response,
      [&](const Caller&) { return rpc::ListVolumes(parts_, *request); });
}

grpc::Status UsageService::ListNetworks(grpc::ServerContext* context,
                                        const v1::ListNetworksRequest* request,
                                        v1::ListNetworksResponse* response) {
  return CallFor(
      parts_, context, "UsageService/ListNetworks", response,
      [&](const Caller&) { return rpc::ListNetworks(parts_, *request); });
}

grpc::Status UsageService::ListBuildCache(
    grpc::ServerContext* context, const v1::ListBuildCacheRequest* request,
    v1::ListBuildCacheResponse* response) {
  return CallFor(
      parts_, context, "UsageService/ListBuildCache", response,
      [&](const Caller&) { return rpc::ListBuildCache(parts_, *request); });
}

grpc::Status UsageService::ListUsage(grpc::ServerContext* context,
                                     const v1::ListUsageRequest* request,
                                     v1::ListUsageResponse* response) {
  return CallFor(
      parts_, context, "UsageService/ListUsage", response,
      [&](const Caller&) { return MakeUsageList(parts_, *request); });
}

grpc::Status UsageService::GetImageHistory(
    grpc::ServerContext* context, const v1::GetImageHistoryRequest* request,
    v1::GetImageHistoryResponse* response) {
  return CallFor(
      parts_, context, "UsageService/GetImageHistory", response,
      [&](const Caller&) { return MakeImageHistory(parts_, *request); });
}

grpc::Status UsageService::GetTree(grpc::ServerContext* context,
                                   const v1::GetTreeRequest* request,
                                   v1::GetTreeResponse* response) {
  return CallFor(parts_, context, "UsageService/GetTree", response,
                 [&](const Caller&) { return MakeTree(parts_, *request); });
}

grpc::Status UsageService::WhatIf(grpc::ServerContext* context,
                                  const v1::WhatIfRequest* request,
                                  v1::WhatIfResponse* response) {
  return CallFor(parts_, context, "UsageService/WhatIf", response,
                 [&](const Caller&) { return AnswerWhatIf(parts_, *request); });
}

grpc::Status UsageService::ListRetained(grpc::ServerContext* context,
                                        const v1::ListRetainedRequest* request,
                                        v1::ListRetainedResponse* response) {
  return CallFor(
      parts_, context, "UsageService/ListRetained", response,
      [&](const Caller&) { return MakeRetainedList(parts_, *request); });
}

grpc::Status UsageService::GetUsageHistory(
    grpc::ServerContext* context, const v1::GetUsageHistoryRequest* request,
    v1::GetUsageHistoryResponse* response) {
  return CallFor(
      parts_, context, "UsageService/GetUsageHistory", response,
      [&](const Caller&) { return MakeUsageHistory(parts_, *request); });
}

}  // namespace reclaim::rpc
