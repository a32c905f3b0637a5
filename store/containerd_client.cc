#include "store/containerd_client.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/containerd_calls.h"

namespace reclaim::store {
namespace {

using containerd_calls::Call;
using containerd_calls::Drain;
using containerd_calls::Empty;
using containerd_calls::kListPatience;
using containerd_calls::kPingPatience;
using containerd_calls::Taken;
using containerd_calls::ToStatus;

constexpr int kMessageBytesMax = 64 << 20;

}  // namespace

ContainerdClient::ContainerdClient(const std::string& socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  // One that was away is found again within a second.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  channel_ = grpc::CreateCustomChannel(
      "unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
  containers_ = ctrd::containers::v1::Containers::NewStub(channel_);
  content_ = ctrd::content::v1::Content::NewStub(channel_);
  events_ = ctrd::events::v1::Events::NewStub(channel_);
  images_ = ctrd::images::v1::Images::NewStub(channel_);
  introspection_ = ctrd::introspection::v1::Introspection::NewStub(channel_);
  leases_ = ctrd::leases::v1::Leases::NewStub(channel_);
  namespaces_ = ctrd::namespaces::v1::Namespaces::NewStub(channel_);
  snapshots_ = ctrd::snapshots::v1::Snapshots::NewStub(channel_);
  tasks_ = ctrd::tasks::v1::Tasks::NewStub(channel_);
  version_ = ctrd::version::v1::Version::NewStub(channel_);
}

absl::Status ContainerdClient::Ping() const {
  Call call("", kPingPatience);
  ctrd::version::v1::VersionResponse response;
  return ToStatus(version_->Version(call.context(), Empty(), &response),
                  "version");
}

absl::StatusOr<ContainerdClient::Engine> ContainerdClient::Describe() const {
  Engine engine;
  {
    Call call("");
    ctrd::version::v1::VersionResponse response;
    RECLAIM_RETURN_IF_ERROR(ToStatus(
        version_->Version(call.context(), Empty(), &response), "version"));
    engine.version = response.version();
  }
  Call call("");
  ctrd::introspection::v1::PluginsResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(introspection_->Plugins(call.context(), {}, &response),
               "list of plugins"));
  for (const auto& plugin : response.plugins()) {
    if (!plugin.init_err().empty()) continue;
    const auto root = plugin.exports().find("root");
    const std::string path = root == plugin.exports().end() ? "" : root->second;
    if (plugin.type() == "io.containerd.content.v1") {
      engine.content_root = path;
    } else if (plugin.type() == "io.containerd.snapshotter.v1") {
      engine.snapshotters.push_back(plugin.id());
      if (!path.empty()) engine.snapshot_roots[plugin.id()] = path;
    }
  }
  return engine;
}

absl::StatusOr<std::vector<std::string>> ContainerdClient::ListNamespaces()
    const {
  Call call("");
  ctrd::namespaces::v1::ListNamespacesResponse response;
  RECLAIM_RETURN_IF_ERROR(ToStatus(
      namespaces_->List(call.context(), {}, &response), "list of namespaces"));
  std::vector<std::string> names;
  for (const auto& space : response.namespaces()) {
    names.push_back(space.name());
  }
  return names;
}

absl::StatusOr<std::vector<ctrd::images::v1::Image>>
ContainerdClient::ListImages(const std::string& space) const {
  Call call(space, kListPatience);
  ctrd::images::v1::ListImagesResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(images_->List(call.context(), {}, &response), "list of images"));
  return Taken(response.mutable_images());
}

absl::StatusOr<ctrd::images::v1::Image> ContainerdClient::GetImage(
    const std::string& space, const std::string& name) const {
  Call call(space);
  ctrd::images::v1::GetImageRequest request;
  request.set_name(name);
  ctrd::images::v1::GetImageResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(images_->Get(call.context(), request, &response),
               absl::StrCat("image ", name)));
  return response.image();
}

absl::Status ContainerdClient::CreateImage(
    const std::string& space, const ctrd::images::v1::Image& image) const {
  Call call(space);
  ctrd::images::v1::CreateImageRequest request;
  *request.mutable_image() = image;
  ctrd::images::v1::CreateImageResponse response;
  return ToStatus(images_->Create(call.context(), request, &response),
                  absl::StrCat("new image ", image.name()));
}

absl::Status ContainerdClient::DeleteImage(const std::string& space,
                                           const std::string& name) const {
  Call call(space);
  ctrd::images::v1::DeleteImageRequest request;
  request.set_name(name);
  Empty response;
  return ToStatus(images_->Delete(call.context(), request, &response),
                  absl::StrCat("deletion of the image ", name));
}

absl::StatusOr<std::vector<ctrd::content::v1::Info>>
ContainerdClient::ListContent(const std::string& space) const {
  Call call(space, kListPatience);
  std::vector<ctrd::content::v1::Info> all;
  auto reader = content_->List(call.context(), {});
  RECLAIM_RETURN_IF_ERROR(
      Drain(reader.get(), "list of content",
            [&](ctrd::content::v1::ListContentResponse* message) {
              for (auto& info : *message->mutable_info()) {
                all.push_back(std::move(info));
              }
            }));
  return all;
}

absl::StatusOr<ctrd::content::v1::Info> ContainerdClient::GetContent(
    const std::string& space, const std::string& digest) const {
  Call call(space);
  ctrd::content::v1::InfoRequest request;
  request.set_digest(digest);
  ctrd::content::v1::InfoResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(content_->Info(call.context(), request, &response),
               absl::StrCat("content ", digest)));
  return response.info();
}

absl::Status ContainerdClient::ReadContent(
    const std::string& space, const std::string& digest,
    const std::function<absl::Status(const std::string&)>& take) const {
  Call call(space, kListPatience);
  ctrd::content::v1::ReadContentRequest request;
  request.set_digest(digest);
  auto reader = content_->Read(call.context(), request);
  absl::Status taken;
  ctrd::content::v1::ReadContentResponse message;
  while (taken.ok() && reader->Read(&message)) taken = take(message.data());
  if (!taken.ok()) call.context()->TryCancel();
  const grpc::Status status = reader->Finish();
  if (!taken.ok()) return taken;
  return ToStatus(status, absl::StrCat("content ", digest));
}

absl::StatusOr<std::vector<ctrd::snapshots::v1::Info>>
ContainerdClient::ListSnapshots(const std::string& space,
                                const std::string& snapshotter) const {
  Call call(space, kListPatience);
  ctrd::snapshots::v1::ListSnapshotsRequest request;
  request.set_snapshotter(snapshotter);
  std::vector<ctrd::snapshots::v1::Info> all;
  auto reader = snapshots_->List(call.context(), request);
  RECLAIM_RETURN_IF_ERROR(
      Drain(reader.get(), absl::StrCat("list of snapshots of ", snapshotter),
            [&](ctrd::snapshots::v1::ListSnapshotsResponse* message) {
              for (auto& info : *message->mutable_info()) {
                all.push_back(std::move(info));
              }
            }));
  return all;
}

absl::StatusOr<ctrd::snapshots::v1::Info> ContainerdClient::StatSnapshot(
    const std::string& space, const std::string& snapshotter,
    const std::string& key) const {
  Call call(space);
  ctrd::snapshots::v1::StatSnapshotRequest request;
  request.set_snapshotter(snapshotter);
  request.set_key(key);
  ctrd::snapshots::v1::StatSnapshotResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(snapshots_->Stat(call.context(), request, &response),
               absl::StrCat("snapshot ", key)));
  return response.info();
}

absl::StatusOr<uint64_t> ContainerdClient::GetUsage(
    const std::string& space, const std::string& snapshotter,
    const std::string& key) const {
  Call call(space, kListPatience);
  ctrd::snapshots::v1::UsageRequest request;
  request.set_snapshotter(snapshotter);
  request.set_key(key);
  ctrd::snapshots::v1::UsageResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(snapshots_->Usage(call.context(), request, &response),
               absl::StrCat("usage of the snapshot ", key)));
  return response.size() < 0 ? 0 : static_cast<uint64_t>(response.size());
}

absl::StatusOr<std::vector<ctrd::containers::v1::Container>>
ContainerdClient::ListContainers(const std::string& space,
                                 const std::string& image) const {
  Call call(space, kListPatience);
  ctrd::containers::v1::ListContainersRequest request;
  if (!image.empty()) {
    request.add_filters(absl::StrCat("image==\"", absl::CEscape(image), "\""));
  }
  std::vector<ctrd::containers::v1::Container> all;
  auto reader = containers_->ListStream(call.context(), request);
  RECLAIM_RETURN_IF_ERROR(
      Drain(reader.get(), "list of containers",
            [&](ctrd::containers::v1::ListContainerMessage* message) {
              all.push_back(std::move(*message->mutable_container()));
            }));
  return all;
}

absl::StatusOr<ctrd::containers::v1::Container> ContainerdClient::GetContainer(
    const std::string& space, const std::string& id) const {
  Call call(space);
  ctrd::containers::v1::GetContainerRequest request;
  request.set_id(id);
  ctrd::containers::v1::GetContainerResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(containers_->Get(call.context(), request, &response),
               absl::StrCat("container ", id)));
  return response.container();
}

absl::Status ContainerdClient::CreateContainer(
    const std::string& space,
    const ctrd::containers::v1::Container& container) const {
  Call call(space);
  ctrd::containers::v1::CreateContainerRequest request;
  *request.mutable_container() = container;
  ctrd::containers::v1::CreateContainerResponse response;
  return ToStatus(containers_->Create(call.context(), request, &response),
                  absl::StrCat("new container ", container.id()));
}

absl::Status ContainerdClient::DeleteContainer(const std::string& space,
                                               const std::string& id) const {
  Call call(space);
  ctrd::containers::v1::DeleteContainerRequest request;
  request.set_id(id);
  Empty response;
  return ToStatus(containers_->Delete(call.context(), request, &response),
                  absl::StrCat("deletion of the container ", id));
}

absl::StatusOr<std::vector<ctrd::tasks::v1::Process>>
ContainerdClient::ListTasks(const std::string& space) const {
  Call call(space, kListPatience);
  ctrd::tasks::v1::ListTasksResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(tasks_->List(call.context(), {}, &response), "list of tasks"));
  return Taken(response.mutable_tasks());
}

absl::StatusOr<ctrd::tasks::v1::Process> ContainerdClient::GetTask(
    const std::string& space, const std::string& id) const {
  Call call(space);
  ctrd::tasks::v1::GetRequest request;
  request.set_container_id(id);
  ctrd::tasks::v1::GetResponse response;
  RECLAIM_RETURN_IF_ERROR(
      ToStatus(tasks_->Get(call.context(), request, &response),
               absl::StrCat("task of the container ", id)));
  return response.process();
}

absl::Status ContainerdClient::DeleteTask(const std::string& space,
                                          const std::string& id) const {
  Call call(space);
  ctrd::tasks::v1::DeleteTaskRequest request;
  request.set_container_id(id);
  ctrd::tasks::v1::DeleteResponse response;
  return ToStatus(tasks_->Delete(call.context(), request, &response),
                  absl::StrCat("end of the task of ", id));
}

std::unique_ptr<grpc::ClientReader<ctrd::events::v1::Envelope>>
ContainerdClient::Subscribe(grpc::ClientContext* context) const {
  return events_->Subscribe(context, {});
}

}  // namespace reclaim::store
