// store/containerd_client.h — private to the containerd driver: its calls.
//
// Every call has a deadline, so that an engine that hangs costs its caller that
// long and nobody else anything.  Errors name the call: NOT_FOUND,
// ALREADY_EXISTS and FAILED_PRECONDITION are containerd's answers; UNAVAILABLE
// (with what to look at) says that it is away, slow or of an unknown version.
// Thread-safe.

#ifndef RECLAIM_STORE_CONTAINERD_CLIENT_H_
#define RECLAIM_STORE_CONTAINERD_CLIENT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "containerd/containers.grpc.pb.h"
#include "containerd/content.grpc.pb.h"
#include "containerd/events.grpc.pb.h"
#include "containerd/images.grpc.pb.h"
#include "containerd/introspection.grpc.pb.h"
#include "containerd/leases.grpc.pb.h"
#include "containerd/namespaces.grpc.pb.h"
#include "containerd/snapshots.grpc.pb.h"
#include "containerd/tasks.grpc.pb.h"
#include "containerd/version.grpc.pb.h"

namespace reclaim::store {

namespace ctrd = ::containerd::services;

class ContainerdClient {
 public:
  explicit ContainerdClient(const std::string& socket);

  // What it is, and where it keeps its files ("" if it does not tell).
  struct Engine {
    std::string version;
    std::vector<std::string> snapshotters;  // those that work
    std::string content_root;
    std::map<std::string, std::string> snapshot_roots;  // by snapshotter
  };
  absl::StatusOr<Engine> Describe() const;
  // The same, but only whether it answers; a short deadline.
  absl::Status Ping() const;

  absl::StatusOr<std::vector<std::string>> ListNamespaces() const;

  absl::StatusOr<std::vector<ctrd::images::v1::Image>> ListImages(
      const std::string& space) const;
  absl::StatusOr<ctrd::images::v1::Image> GetImage(
      const std::string& space, const std::string& name) const;
  absl::Status CreateImage(const std::string& space,
                           const ctrd::images::v1::Image& image) const;
  absl::Status DeleteImage(const std::string& space,
                           const std::string& name) const;

  absl::StatusOr<std::vector<ctrd::content::v1::Info>> ListContent(
      const std::string& space) const;
  absl::StatusOr<ctrd::content::v1::Info> GetContent(
      const std::string& space, const std::string& digest) const;
  // Calls `take` with each piece; its error ends the read.
  absl::Status ReadContent(
      const std::string& space, const std::string& digest,
      const std::function<absl::Status(const std::string&)>& take) const;

  absl::StatusOr<std::vector<ctrd::snapshots::v1::Info>> ListSnapshots(
      const std::string& space, const std::string& snapshotter) const;
  absl::StatusOr<ctrd::snapshots::v1::Info> StatSnapshot(
      const std::string& space, const std::string& snapshotter,
      const std::string& key) const;
  // Bytes on disk of the snapshot alone.
  absl::StatusOr<uint64_t> GetUsage(const std::string& space,
                                    const std::string& snapshotter,
                                    const std::string& key) const;

  // With `image`: those alone whose image has this name.
  absl::StatusOr<std::vector<ctrd::containers::v1::Container>> ListContainers(
      const std::string& space, const std::string& image = "") const;
  absl::StatusOr<ctrd::containers::v1::Container> GetContainer(
      const std::string& space, const std::string& id) const;
  absl::Status CreateContainer(
      const std::string& space,
      const ctrd::containers::v1::Container& container) const;
  absl::Status DeleteContainer(const std::string& space,
                               const std::string& id) const;
  absl::StatusOr<std::vector<ctrd::tasks::v1::Process>> ListTasks(
      const std::string& space) const;
  absl::StatusOr<ctrd::tasks::v1::Process> GetTask(const std::string& space,
                                                   const std::string& id) const;
  absl::Status DeleteTask(const std::string& space,
                          const std::string& id) const;

  absl::StatusOr<std::vector<ctrd::leases::v1::Lease>> ListLeases(
      const std::string& space) const;
  // OK if it is there already.
  absl::Status CreateLease(
      const std::string& space, const std::string& id,
      const std::map<std::string, std::string>& labels) const;
  // OK if it is not there.  `collects` waits for containerd's own collector.
  absl::Status DeleteLease(const std::string& space, const std::string& id,
                           bool collects) const;
  absl::Status AddResource(const std::string& space, const std::string& lease,
                           const std::string& type,
                           const std::string& id) const;
  absl::Status DeleteResource(const std::string& space,
                              const std::string& lease, const std::string& type,
                              const std::string& id) const;
  absl::StatusOr<std::vector<ctrd::leases::v1::Resource>> ListResources(
      const std::string& space, const std::string& lease) const;

  // The event stream of all namespaces.  `context` can cancel it.
  std::unique_ptr<grpc::ClientReader<ctrd::events::v1::Envelope>> Subscribe(
      grpc::ClientContext* context) const;

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<ctrd::containers::v1::Containers::Stub> containers_;
  std::unique_ptr<ctrd::content::v1::Content::Stub> content_;
  std::unique_ptr<ctrd::events::v1::Events::Stub> events_;
  std::unique_ptr<ctrd::images::v1::Images::Stub> images_;
  std::unique_ptr<ctrd::introspection::v1::Introspection::Stub> introspection_;
  std::unique_ptr<ctrd::leases::v1::Leases::Stub> leases_;
  std::unique_ptr<ctrd::namespaces::v1::Namespaces::Stub> namespaces_;
  std::unique_ptr<ctrd::snapshots::v1::Snapshots::Stub> snapshots_;
  std::unique_ptr<ctrd::tasks::v1::Tasks::Stub> tasks_;
  std::unique_ptr<ctrd::version::v1::Version::Stub> version_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_CLIENT_H_
