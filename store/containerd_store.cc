#include "store/containerd_store.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "store/containerd_events.h"
#include "store/containerd_files.h"
#include "store/containerd_quarantine.h"
#include "store/containerd_scan.h"
#include "store/event_stream.h"

namespace reclaim::store {
namespace {

absl::StatusOr<ContainerdOptions> ParseOptions(
    const std::map<std::string, std::string>& options) {
  ContainerdOptions parsed;
  for (const auto& [key, value] : options) {
    if (key == "namespace") {
      for (const absl::string_view name :
           absl::StrSplit(value, ',', absl::SkipEmpty())) {
        parsed.namespaces.insert(std::string(name));
      }
    } else if (key == "kubelet" && value == "collect") {
      parsed.collects_kubelet = true;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("containerd: ", key, "=", value,
                       " is no option; write namespace=NAME,NAME or "
                       "kubelet=collect"));
    }
  }
  return parsed;
}

class ContainerdStore final : public ContentStore {
 public:
  ContainerdStore(const std::string& socket, ContainerdOptions options,
                  bool is_read_only, const base::Clock* clock)
      : client_(socket),
        options_(std::move(options)),
        is_read_only_(is_read_only),
        quarantine_(&client_, clock, options_.collects_kubelet),
        events_(std::make_unique<ContainerdEvents>(&client_)) {}

  StoreTraits traits() const override {
    StoreTraits traits;
    traits.kind = StoreKind::kContainerd;
    traits.has_quarantine = true;
    traits.has_foreign_writers = true;
    traits.knows_containers = true;
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
  bool IsQuarantined(const Place& place, const oci::Digest& digest) const;
  absl::Status CheckWritable() const;
  std::string content_root() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return content_root_;
  }

  const ContainerdClient client_;
  const ContainerdOptions options_;
  const bool is_read_only_;
  mutable ContainerdQuarantine quarantine_;
  mutable ContainerdMemory memory_;
  EventStream events_;
  mutable std::mutex mutex_;  // guards content_root_
  mutable std::string content_root_;
};

bool ContainerdStore::IsQuarantined(const Place& place,
                                    const oci::Digest& digest) const {
  Removal blob;
  blob.kind = RemovalKind::kBlob;
  blob.place = place;
  blob.digest = digest;
  return quarantine_.Holds(blob);
}

absl::StatusOr<BlobStat> ContainerdStore::Stat(
    const Place& place, const oci::Digest& digest) const {
  if (IsQuarantined(place, digest)) {
    return absl::NotFoundError(
        absl::StrCat(digest.ToString(), " is in quarantine"));
  }
  RECLAIM_ASSIGN_OR_RETURN(const ctrd::content::v1::Info info,
                           client_.GetContent(place, digest.ToString()));
  BlobStat stat;
  stat.bytes =
      ContentBytes(content_root(), digest, static_cast<uint64_t>(info.size()));
  stat.modified = TimeOf(info.created_at());
  // A manifest is put by this, as it was by the listing.
  stat.extent = memory_.SharedExtent(digest);
  return stat;
}

absl::StatusOr<std::string> ContainerdStore::Read(const Place& place,
                                                  const oci::Digest& digest,
                                                  uint64_t max_bytes) const {
  if (IsQuarantined(place, digest)) {
    return absl::NotFoundError(
        absl::StrCat(digest.ToString(), " is in quarantine"));
  }
  std::string bytes;
  RECLAIM_RETURN_IF_ERROR(client_.ReadContent(
      place, digest.ToString(), [&](const std::string& piece) {
        bytes += piece;
        if (bytes.size() <= max_bytes) return absl::OkStatus();
        return absl::ResourceExhaustedError(absl::StrCat(
            digest.ToString(), " is larger than ", max_bytes, " bytes"));
      }));
  return bytes;
}

absl::Status ContainerdStore::VerifyDigest(const Place& place,
                                           const oci::Digest& digest) const {
  oci::Hasher hasher(digest.algorithm());
  RECLAIM_RETURN_IF_ERROR(client_.ReadContent(place, digest.ToString(),
                                              [&](const std::string& piece) {
                                                hasher.Update(piece);
                                                return absl::OkStatus();
                                              }));
  if (hasher.Finish() == digest) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(digest.ToString(),
                   " holds other bytes than its name says; "
                   "pull the image again"));
}

// Asks whether it answers at all: this is what says that a store is well.
absl::StatusOr<Capacity> ContainerdStore::GetCapacity() const {
  RECLAIM_RETURN_IF_ERROR(client_.Ping());
  struct statvfs fs;
  const std::string root = content_root();
  if (root.empty() || statvfs(root.c_str(), &fs) != 0) {
    return absl::NotFoundError(
        "containerd's folders can't be read, so nobody knows the disk's size");
  }
  Capacity capacity;
  capacity.capacity_bytes = fs.f_blocks * fs.f_frsize;
  capacity.available_bytes =
      std::min<uint64_t>(fs.f_bavail * fs.f_frsize, capacity.capacity_bytes);
  capacity.inode_count = fs.f_files;
  capacity.available_inode_count = std::min<uint64_t>(fs.f_favail, fs.f_files);
  return capacity;
}

absl::StatusOr<ScanResult> ContainerdStore::Scan(const ScanRequest&,
                                                 ScanSink* sink) const {
  RECLAIM_ASSIGN_OR_RETURN(const ContainerdClient::Engine engine,
                           client_.Describe());
  {
    std::lock_guard<std::mutex> lock(mutex_);
    content_root_ = engine.content_root;
  }
  RECLAIM_RETURN_IF_ERROR(
      ContainerdScan(&client_, &engine, &options_, &quarantine_, &memory_, sink)
          .Run());
  return ScanResult();
}

// containerd keeps its records in one database whose size does not change with
// them: there is no metadata to free, and content is the graph's to count.
absl::StatusOr<Measurement> ContainerdStore::Measure(
    absl::Span<const Removal>) const {
  return RemovalBytes();
}

absl::Status ContainerdStore::CheckWritable() const {
  if (is_read_only_) {
    return absl::FailedPreconditionError("the store is read-only");
  }
  return client_.Ping();
}

absl::StatusOr<std::vector<RemovalOutcome>> ContainerdStore::Quarantine(
    const DeletionPermit& permit, const RunId& run_id,
    absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  return quarantine_.Take(permit, run_id, removals);
}

absl::StatusOr<std::vector<RemovalOutcome>> ContainerdStore::Restore(
    const RunId& run_id, absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(client_.Ping());
  return quarantine_.GiveBack(run_id, removals);
}

absl::StatusOr<std::vector<RemovalOutcome>> ContainerdStore::Purge(
    const DeletionPermit&, const RunId& run_id,
    absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  return quarantine_.Free(run_id, removals);
}

absl::StatusOr<std::vector<QuarantinedItem>> ContainerdStore::ListQuarantine()
    const {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<std::string> spaces,
                           client_.ListNamespaces());
  std::vector<QuarantinedItem> all;
  for (const std::string& space : spaces) {
    RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantinedItem> items,
                             quarantine_.List(space, true));
    for (QuarantinedItem& item : items) all.push_back(std::move(item));
  }
  return all;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ContentStore>> OpenContainerdStore(
    const std::string& socket,
    const std::map<std::string, std::string>& options, bool is_read_only,
    const base::Clock* clock) {
  RECLAIM_ASSIGN_OR_RETURN(ContainerdOptions parsed, ParseOptions(options));
  return std::unique_ptr<ContentStore>(std::make_unique<ContainerdStore>(
      socket, std::move(parsed), is_read_only, clock));
}

}  // namespace reclaim::store
