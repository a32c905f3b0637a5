// store/containerd_listing.h — private to the containerd driver: one namespace
// as containerd lists it, at one moment or nearly.

#ifndef RECLAIM_STORE_CONTAINERD_LISTING_H_
#define RECLAIM_STORE_CONTAINERD_LISTING_H_

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "oci/digest.h"
#include "store/containerd_client.h"
#include "store/containerd_quarantine.h"
#include "store/types.h"

namespace reclaim::store {

// What was asked before and cannot have changed: the size of a committed
// snapshot, and the references of content that its own bytes explain.
// Thread-safe.
class ContainerdMemory {
 public:
  // `since` tells a snapshot from an earlier one of the same key.
  std::optional<uint64_t> Usage(const std::string& snapshot, int64_t since);
  void RememberUsage(const std::string& snapshot, int64_t since,
                     uint64_t usage);
  bool IsExplained(const std::string& content, const std::string& references);
  void RememberExplained(const std::string& content,
                         const std::string& references);
  // How many namespaces have each content, as it was last listed.
  void RememberHolders(const std::map<std::string, int>& holders);
  // Unset unless several have it: then the bytes are one file, which the digest
  // names.
  std::optional<Extent> SharedExtent(const oci::Digest& digest);

 private:
  std::mutex mutex_;  // guards all below
  std::map<std::string, std::pair<int64_t, uint64_t>> usages_;
  std::map<std::string, std::string> explained_;
  std::set<std::string> shared_;
};

struct ListedSnapshot {
  std::string snapshotter;
  ctrd::snapshots::v1::Info info;
  std::optional<uint64_t> usage_bytes;  // unset: it went meanwhile
};

struct ForeignLease {
  ctrd::leases::v1::Lease lease;
  std::vector<ctrd::leases::v1::Resource> resources;
};

struct ContainerdListing {
  std::string space;
  std::vector<ctrd::images::v1::Image> images;
  std::vector<ctrd::content::v1::Info> content;
  std::vector<ListedSnapshot> snapshots;
  std::vector<ctrd::containers::v1::Container> containers;
  // Unset: containerd could not say, so every container may run.
  std::optional<std::map<std::string, ctrd::tasks::v1::Process>> tasks;
  std::vector<ForeignLease> leases;
  // What could not be listed; the namespace is kept then.
  std::vector<std::string> problems;
};

// Leases first and content before images: what is new meanwhile is younger than
// what was listed, never unexplained.  Any error but a snapshotter's ends it.
absl::StatusOr<ContainerdListing> ListContainerd(
    const ContainerdClient& client, const ContainerdClient::Engine& engine,
    ContainerdQuarantine* quarantine, ContainerdMemory* memory,
    const std::string& space);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_LISTING_H_
