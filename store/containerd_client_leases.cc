// Leases.

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/containerd_calls.h"
#include "store/containerd_client.h"

namespace reclaim::store {

using containerd_calls::Call;
using containerd_calls::Empty;
using containerd_calls::kCallPatience;
using containerd_calls::kCollectPatience;
using containerd_calls::kListPatience;
using containerd_calls::Taken;
using containerd_calls::ToStatus;

absl::StatusOr<std::vector<ctrd::leases::v1::Lease>>
ContainerdClient::ListLeases(const std::string& space) const {
  Call call(space, kListPatience);
  ctrd::leases::v1::ListResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(leases_->List(call.context(), {}, &response), "list of leases"));
  return Taken(response.mutable_leases());
}

absl::Status ContainerdClient::CreateLease(
    const std::string& space, const std::string& id,
    const std::map<std::string, std::string>& labels) const {
  Call call(space);
  ctrd::leases::v1::CreateRequest request;
  request.set_id(id);
  request.mutable_labels()->insert(labels.begin(), labels.end());
  ctrd::leases::v1::CreateResponse response;
  const absl::Status status =
      ToStatus(leases_->Create(call.context(), request, &response),
               absl::StrCat("new lease ", id));
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

absl::Status ContainerdClient::DeleteLease(const std::string& space,
                                           const std::string& id,
                                           bool collects) const {
  Call call(space, collects ? kCollectPatience : kCallPatience);
  ctrd::leases::v1::DeleteRequest request;
  request.set_id(id);
  request.set_sync(collects);
  Empty response;
  const absl::Status status =
      ToStatus(leases_->Delete(call.context(), request, &response),
               absl::StrCat("end of the lease ", id));
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status ContainerdClient::AddResource(const std::string& space,
                                           const std::string& lease,
                                           const std::string& type,
                                           const std::string& id) const {
  Call call(space);
  ctrd::leases::v1::AddResourceRequest request;
  request.set_id(lease);
  request.mutable_resource()->set_type(type);
  request.mutable_resource()->set_id(id);
  Empty response;
  return ToStatus(leases_->AddResource(call.context(), request, &response),
                  absl::StrCat("lease ", lease, " on ", id));
}

absl::Status ContainerdClient::DeleteResource(const std::string& space,
                                              const std::string& lease,
                                              const std::string& type,
                                              const std::string& id) const {
  Call call(space);
  ctrd::leases::v1::DeleteResourceRequest request;
  request.set_id(lease);
  request.mutable_resource()->set_type(type);
  request.mutable_resource()->set_id(id);
  Empty response;
  return ToStatus(leases_->DeleteResource(call.context(), request, &response),
                  absl::StrCat("lease ", lease, " off ", id));
}

absl::StatusOr<std::vector<ctrd::leases::v1::Resource>>
ContainerdClient::ListResources(const std::string& space,
                                const std::string& lease) const {
  Call call(space);
  ctrd::leases::v1::ListResourcesRequest request;
  request.set_id(lease);
  ctrd::leases::v1::ListResourcesResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(leases_->ListResources(call.context(), request, &response),
               absl::StrCat("resources of the lease ", lease)));
  return Taken(response.mutable_resources());
}

}  // namespace reclaim::store
