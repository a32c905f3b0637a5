#include "store/containerd_listing.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "store/containerd_names.h"

namespace reclaim::store {
namespace {

absl::Status ListForeignLeases(const ContainerdClient& client,
                               ContainerdListing* listing) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<ctrd::leases::v1::Lease> leases,
                           client.ListLeases(listing->space));
  for (const ctrd::leases::v1::Lease& lease : leases) {
    if (ContainerdQuarantine::IsOurs(lease)) continue;
    auto resources = client.ListResources(listing->space, lease.id());
    if (absl::IsNotFound(resources.status())) continue;  // over meanwhile
    RECLAIM_RETURN_IF_ERROR(resources.status());
    listing->leases.push_back({lease, *std::move(resources)});
  }
  return absl::OkStatus();
}

absl::Status AddUsage(const ContainerdClient& client, ContainerdMemory* memory,
                      const std::string& space, ListedSnapshot* snapshot) {
  const ctrd::snapshots::v1::Info& info = snapshot->info;
  const std::string name =
      QualifiedSnapshot({space, snapshot->snapshotter, info.name()});
  const bool is_settled = info.kind() == ctrd::snapshots::v1::COMMITTED;
  const int64_t since =
      absl::ToUnixNanos(absl::FromUnixSeconds(info.created_at().seconds()) +
                        absl::Nanoseconds(info.created_at().nanos()));
  if (is_settled) {
    snapshot->usage_bytes = memory->Usage(name, since);
    if (snapshot->usage_bytes) return absl::OkStatus();
  }
  const auto usage = client.GetUsage(space, snapshot->snapshotter, info.name());
  if (absl::IsNotFound(usage.status())) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(usage.status());
  snapshot->usage_bytes = *usage;
  if (is_settled) memory->RememberUsage(name, since, *usage);
  return absl::OkStatus();
}

absl::Status ListSnapshotsOf(const ContainerdClient& client,
                             const std::string& snapshotter,
                             ContainerdMemory* memory,
                             ContainerdListing* listing) {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<ctrd::snapshots::v1::Info> infos,
                           client.ListSnapshots(listing->space, snapshotter));
  for (ctrd::snapshots::v1::Info& info : infos) {
    ListedSnapshot snapshot{snapshotter, std::move(info), {}};
    RECLAIM_RETURN_IF_ERROR(
        AddUsage(client, memory, listing->space, &snapshot));
    listing->snapshots.push_back(std::move(snapshot));
  }
  return absl::OkStatus();
}

absl::Status ListContainersAndTasks(const ContainerdClient& client,
                                    ContainerdListing* listing) {
  RECLAIM_ASSIGN_OR_RETURN(listing->containers,
                           client.ListContainers(listing->space));
  if (listing->containers.empty()) {
    listing->tasks.emplace();
    return absl::OkStatus();
  }
  const auto tasks = client.ListTasks(listing->space);
  if (!tasks.ok()) {
    listing->problems.push_back(std::string(tasks.status().message()));
    return absl::OkStatus();
  }
  listing->tasks.emplace();
  for (const ctrd::tasks::v1::Process& task : *tasks) {
    // The container's own process has its id.
    const std::string& id =
        task.container_id().empty() ? task.id() : task.container_id();
    (*listing->tasks)[id] = task;
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<uint64_t> ContainerdMemory::Usage(const std::string& snapshot,
                                                int64_t since) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = usages_.find(snapshot);
  if (it == usages_.end() || it->second.first != since) return std::nullopt;
  return it->second.second;
}

void ContainerdMemory::RememberUsage(const std::string& snapshot, int64_t since,
                                     uint64_t usage) {
  std::lock_guard<std::mutex> lock(mutex_);
  usages_[snapshot] = {since, usage};
}

bool ContainerdMemory::IsExplained(const std::string& content,
                                   const std::string& references) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = explained_.find(content);
  return it != explained_.end() && it->second == references;
}

void ContainerdMemory::RememberExplained(const std::string& content,
                                         const std::string& references) {
  std::lock_guard<std::mutex> lock(mutex_);
  explained_[content] = references;
}

void ContainerdMemory::RememberHolders(
    const std::map<std::string, int>& holders) {
  std::set<std::string> shared;
  for (const auto& [digest, count] : holders) {
    if (count > 1) shared.insert(digest);
  }
  std::lock_guard<std::mutex> lock(mutex_);
  shared_ = std::move(shared);
}

std::optional<Extent> ContainerdMemory::SharedExtent(
    const oci::Digest& digest) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (shared_.count(digest.ToString()) == 0) return std::nullopt;
  // 128 bits of the digest name the file.
  Extent extent;
  std::memcpy(&extent.device, digest.bytes().data(), sizeof(extent.device));
  std::memcpy(&extent.inode, digest.bytes().data() + sizeof(extent.device),
              sizeof(extent.inode));
  return extent;
}

absl::StatusOr<ContainerdListing> ListContainerd(
    const ContainerdClient& client, const ContainerdClient::Engine& engine,
    ContainerdQuarantine* quarantine, ContainerdMemory* memory,
    const std::string& space) {
  ContainerdListing listing;
  listing.space = space;
  RECLAIM_RETURN_IF_ERROR(quarantine->List(space, false).status());
  RECLAIM_RETURN_IF_ERROR(ListForeignLeases(client, &listing));
  RECLAIM_ASSIGN_OR_RETURN(listing.content, client.ListContent(space));
  for (const std::string& snapshotter : engine.snapshotters) {
    const absl::Status listed =
        ListSnapshotsOf(client, snapshotter, memory, &listing);
    if (listed.ok()) continue;
    listing.problems.push_back(
        absl::StrCat("snapshotter ", snapshotter, ": ", listed.message()));
  }
  RECLAIM_RETURN_IF_ERROR(ListContainersAndTasks(client, &listing));
  RECLAIM_ASSIGN_OR_RETURN(listing.images, client.ListImages(space));
  return listing;
}

}  // namespace reclaim::store
