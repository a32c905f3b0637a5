#include "store/docker_store.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/docker_deletion.h"
#include "store/docker_listing.h"
#include "store/docker_scan.h"
#include "store/event_stream.h"

namespace reclaim::store {
namespace {

class DockerEvents final : public EventReader {
 public:
  explicit DockerEvents(const DockerApi* api) : api_(*api) {}

  absl::Status Ping() override { return api_.Ping(); }

  absl::Status Follow(const std::function<void()>& on_event) override {
    RECLAIM_ASSIGN_OR_RETURN(const std::string prefix, api_.Prefix());
    const absl::Status status =
        api_.http().Stream(prefix + Target(), [&](absl::string_view piece) {
          if (!piece.empty()) on_event();
          return !is_cancelled_;
        });
    return status.ok() ? absl::CancelledError("cancelled") : status;
  }

  void Cancel() override { is_cancelled_ = true; }

 private:
  // What changes a listing, by dockerd's and by podman's words: health checks
  // and execs go on all the time and change nothing.
  static std::string Target() {
    std::string list;
    for (const char* event : {"create",
                              "destroy",
                              "remove",
                              "die",
                              "died",
                              "start",
                              "init",
                              "stop",
                              "pause",
                              "unpause",
                              "rename",
                              "commit",
                              "cleanup",
                              "delete",
                              "import",
                              "load",
                              "loadfromarchive",
                              "pull",
                              "tag",
                              "untag",
                              "prune",
                              "mount",
                              "unmount",
                              "connect",
                              "disconnect"}) {
      absl::StrAppend(&list, list.empty() ? "" : ",", "\"", event, "\"");
    }
    return absl::StrCat("/events?filters=",
                        UrlEscape(absl::StrCat("{\"event\":[", list, "]}")));
  }

  const DockerApi& api_;
  std::atomic<bool> is_cancelled_ = false;
};

class DockerStore final : public ContentStore {
 public:
  DockerStore(StoreKind kind, const std::string& socket, bool collects_kubelet,
              bool is_read_only)
      : kind_(kind),
        collects_kubelet_(collects_kubelet),
        is_read_only_(is_read_only),
        api_(socket),
        lister_(&api_),
        events_(std::make_unique<DockerEvents>(&api_)) {}

  StoreTraits traits() const override {
    StoreTraits traits;
    traits.kind = kind_;
    traits.has_foreign_writers = true;
    traits.knows_containers = true;
    traits.deletes_for_good = true;
    traits.is_read_only = is_read_only_;
    return traits;
  }

  absl::StatusOr<BlobStat> Stat(const Place& place,
                                const oci::Digest& digest) const override;
  absl::StatusOr<std::string> Read(const Place& place,
                                   const oci::Digest& digest,
                                   uint64_t max_bytes) const override;
  absl::Status VerifyDigest(const Place& place,
                            const oci::Digest& digest) const override;
  absl::StatusOr<Capacity> GetCapacity() const override;
  absl::StatusOr<ScanResult> Scan(const ScanRequest& request,
                                  ScanSink* sink) const override;
  absl::StatusOr<Measurement> Measure(
      absl::Span<const Removal> removals) const override;
  absl::StatusOr<std::vector<RemovalOutcome>> Quarantine(
      const DeletionPermit& permit, const RunId& run_id,
      absl::Span<const Removal> removals) override;
  absl::StatusOr<std::vector<RemovalOutcome>> Restore(
      const RunId& run_id, absl::Span<const Removal> removals) override;
  absl::StatusOr<std::vector<RemovalOutcome>> Purge(
      const DeletionPermit& permit, const RunId& run_id,
      absl::Span<const Removal> removals) override;
  absl::StatusOr<std::vector<QuarantinedItem>> ListQuarantine() const override;
  ChangeSource* changes() override { return &events_; }

 private:
  void Remember(const DockerListing& listing) const;
  bool IsLeavingNow(const Removal& removal) const;

  const StoreKind kind_;
  const bool collects_kubelet_;
  const bool is_read_only_;
  const DockerApi api_;
  mutable DockerLister lister_;
  EventStream events_;
  mutable std::mutex mutex_;  // guards all below
  // As of the last listing.
  mutable std::map<oci::Digest, BlobStat> content_;
  mutable std::map<oci::Digest, std::string> texts_;  // manifests and configs
  // Config digests by the manifests that were ever written here.
  mutable std::map<oci::Digest, oci::Digest> manifests_;
  mutable std::string root_;
  std::set<Removal> leaving_;
};

void DockerStore::Remember(const DockerListing& listing) const {
  std::lock_guard<std::mutex> lock(mutex_);
  root_ = listing.root;
  content_.clear();
  texts_.clear();
  for (const auto& [id, image] : listing.images) {
    BlobStat stat;
    stat.modified = image.recorded;
    content_[image.digest] = stat;
    content_[id] = stat;
    for (const oci::Digest& layer : image.layers) {
      stat.bytes = listing.layers.at(layer);
      content_.emplace(layer, stat);
    }
    texts_[image.digest] = image.manifest;
    texts_[id] = image.config;
    manifests_[image.digest] = id;
  }
}

bool DockerStore::IsLeavingNow(const Removal& removal) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return leaving_.count(removal) > 0;
}

absl::StatusOr<BlobStat> DockerStore::Stat(const Place&,
                                           const oci::Digest& digest) const {
  Removal blob;
  blob.kind = RemovalKind::kBlob;
  blob.digest = digest;
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = content_.find(digest);
  if (it == content_.end() || leaving_.count(blob) > 0) {
    return absl::NotFoundError(
        absl::StrCat("the engine has no ", digest.ToString()));
  }
  return it->second;
}

absl::StatusOr<std::string> DockerStore::Read(const Place&,
                                              const oci::Digest& digest,
                                              uint64_t) const {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = texts_.find(digest);
  if (it != texts_.end()) return it->second;
  if (content_.count(digest) > 0) {
    return absl::FailedPreconditionError(
        "the engine keeps layers unpacked: there are no bytes to read");
  }
  return absl::NotFoundError(
      absl::StrCat("the engine has no ", digest.ToString()));
}

absl::Status DockerStore::VerifyDigest(const Place&, const oci::Digest&) const {
  return absl::FailedPreconditionError(
      "the engine keeps layers unpacked: there are no bytes to verify");
}

// Asks whether it answers at all: this is what says that a store is well.
absl::StatusOr<Capacity> DockerStore::GetCapacity() const {
  RECLAIM_RETURN_IF_ERROR(api_.Ping());
  std::string root;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    root = root_;
  }
  struct statvfs fs;
  if (root.empty() || statvfs(root.c_str(), &fs) != 0) {
    return absl::NotFoundError(
        "the engine's folders can't be read, so nobody knows the disk's size");
  }
  Capacity capacity;
  capacity.capacity_bytes = fs.f_blocks * fs.f_frsize;
  capacity.available_bytes =
      std::min<uint64_t>(fs.f_bavail * fs.f_frsize, capacity.capacity_bytes);
  capacity.inode_count = fs.f_files;
  capacity.available_inode_count = std::min<uint64_t>(fs.f_favail, fs.f_files);
  return capacity;
}

absl::StatusOr<ScanResult> DockerStore::Scan(const ScanRequest&,
                                             ScanSink* sink) const {
  RECLAIM_ASSIGN_OR_RETURN(const DockerListing listing, lister_.List());
  Remember(listing);
  RECLAIM_RETURN_IF_ERROR(ReportDocker(
      listing, [this](const Removal& removal) { return IsLeavingNow(removal); },
      collects_kubelet_, sink));
  return ScanResult();
}

// The engine's own records are not counted: there is no metadata to free.
absl::StatusOr<Measurement> DockerStore::Measure(
    absl::Span<const Removal>) const {
  return RemovalBytes();
}

absl::StatusOr<std::vector<RemovalOutcome>> DockerStore::Quarantine(
    const DeletionPermit&, const RunId&, absl::Span<const Removal> removals) {
  if (is_read_only_) {
    return absl::FailedPreconditionError("the store is read-only");
  }
  RECLAIM_RETURN_IF_ERROR(api_.Ping());
  std::lock_guard<std::mutex> lock(mutex_);
  leaving_.insert(removals.begin(), removals.end());
  return std::vector<RemovalOutcome>(removals.size());
}

absl::StatusOr<std::vector<RemovalOutcome>> DockerStore::Restore(
    const RunId&, absl::Span<const Removal> removals) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const Removal& removal : removals) leaving_.erase(removal);
  return std::vector<RemovalOutcome>(removals.size());
}

absl::StatusOr<std::vector<RemovalOutcome>> DockerStore::Purge(
    const DeletionPermit&, const RunId&, absl::Span<const Removal> removals) {
  if (is_read_only_) {
    return absl::FailedPreconditionError("the store is read-only");
  }
  std::map<oci::Digest, oci::Digest> manifests;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    manifests = manifests_;
  }
  auto outcomes =
      DockerDeletion(&api_, &manifests)
          .Run(removals, [this]() -> absl::StatusOr<std::set<oci::Digest>> {
            RECLAIM_ASSIGN_OR_RETURN(const DockerListing listing,
                                     lister_.List());
            Remember(listing);
            std::lock_guard<std::mutex> lock(mutex_);
            std::set<oci::Digest> left;
            for (const auto& [digest, stat] : content_) {
              left.insert(digest);
            }
            return left;
          });
  RECLAIM_RETURN_IF_ERROR(outcomes.status());
  std::lock_guard<std::mutex> lock(mutex_);
  for (const Removal& removal : removals) leaving_.erase(removal);
  return outcomes;
}

// Nothing is set aside: what was on its way out when the daemon stopped stays.
absl::StatusOr<std::vector<QuarantinedItem>> DockerStore::ListQuarantine()
    const {
  return std::vector<QuarantinedItem>();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ContentStore>> OpenDockerStore(
    StoreKind kind, const std::string& socket,
    const std::map<std::string, std::string>& options, bool is_read_only) {
  bool collects_kubelet = false;
  for (const auto& [key, value] : options) {
    if (key != "kubelet" || value != "collect") {
      return absl::InvalidArgumentError(
          absl::StrCat(ToString(kind), ": ", key, "=", value,
                       " is no option; there is kubelet=collect"));
    }
    collects_kubelet = true;
  }
  return std::unique_ptr<ContentStore>(std::make_unique<DockerStore>(
      kind, socket, collects_kubelet, is_read_only));
}

}  // namespace reclaim::store
