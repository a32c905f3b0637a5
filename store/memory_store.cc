#include "store/memory_store.h"

#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "store/run_id.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kBlockBytes = 4096;
constexpr uint64_t kCapacityBytes = uint64_t{1} << 40;

Bytes SizeOf(uint64_t logical_bytes) {
  return {logical_bytes,
          (logical_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes};
}

bool IsContentKind(RemovalKind kind) {
  return kind == RemovalKind::kBlob || kind == RemovalKind::kUpload;
}

RemovalBytes SizeOf(const Removal& what, uint64_t content_bytes) {
  RemovalBytes bytes;
  if (IsContentKind(what.kind)) {
    bytes.content = SizeOf(content_bytes);
  } else {
    bytes.metadata = SizeOf(what.digest ? what.digest->ToString().size() : 0);
  }
  return bytes;
}

Removal BlobAt(const Place& place, const oci::Digest& digest) {
  Removal what;
  what.kind = RemovalKind::kBlob;
  what.place = place;
  what.digest = digest;
  return what;
}

absl::Status NotThere(const Removal& what) {
  return absl::NotFoundError(absl::StrCat(ToString(what), " is not there"));
}

absl::Status CheckBytes(const std::string& bytes, const oci::Digest& digest) {
  oci::Hasher hasher(digest.algorithm());
  hasher.Update(bytes);
  if (hasher.Finish() == digest) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      digest.ToString(), " holds other bytes; push or pull the content again"));
}

}  // namespace

class MemoryStore final : public ContentStore {
 public:
  MemoryStore(std::shared_ptr<MemoryContent> content, bool is_read_only)
      : content_(std::move(content)), is_read_only_(is_read_only) {}

  StoreTraits traits() const override;
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
  absl::Status VerifyQuarantined(const RunId& run_id,
                                 const Removal& blob) const override;
  absl::StatusOr<std::vector<QuarantinedItem>> ListQuarantine() const override;

 private:
  using Kind = MemoryEffect::Kind;

  // With the content's mutex held.
  RemovalOutcome QuarantineOne(const RunId& run_id, const Removal& what);
  RemovalOutcome RestoreOne(const RunId& run_id, const Removal& what);
  RemovalOutcome PurgeOne(const RunId& run_id, const Removal& what);
  void AddFacts(ScanBatch* batch) const;
  void AddSections(ScanBatch* batch) const;

  std::shared_ptr<MemoryContent> content_;
  const bool is_read_only_;
};

StoreTraits MemoryStore::traits() const {
  StoreTraits traits;
  traits.kind = StoreKind::kMemory;
  traits.has_quarantine = true;
  traits.has_foreign_writers = true;
  traits.is_read_only = is_read_only_;
  return traits;
}

absl::StatusOr<BlobStat> MemoryStore::Stat(const Place& place,
                                           const oci::Digest& digest) const {
  base::MutexLock lock(&content_->mutex_);
  const Removal what = BlobAt(place, digest);
  const auto it = content_->things_.find(MemoryContent::KeyOf(what));
  if (it == content_->things_.end()) return NotThere(what);
  BlobStat stat;
  stat.bytes = SizeOf(it->second.bytes.size());
  stat.modified = it->second.modified;
  return stat;
}

absl::StatusOr<std::string> MemoryStore::Read(const Place& place,
                                              const oci::Digest& digest,
                                              uint64_t max_bytes) const {
  base::MutexLock lock(&content_->mutex_);
  const Removal what = BlobAt(place, digest);
  const auto it = content_->things_.find(MemoryContent::KeyOf(what));
  if (it == content_->things_.end()) return NotThere(what);
  if (it->second.bytes.size() <= max_bytes) return it->second.bytes;
  return absl::ResourceExhaustedError(
      absl::StrCat(ToString(what), " is larger than ", max_bytes, " bytes"));
}

absl::Status MemoryStore::VerifyDigest(const Place& place,
                                       const oci::Digest& digest) const {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string bytes,
      Read(place, digest, std::numeric_limits<uint64_t>::max()));
  return CheckBytes(bytes, digest);
}

absl::Status MemoryStore::VerifyQuarantined(const RunId& run_id,
                                            const Removal& blob) const {
  base::MutexLock lock(&content_->mutex_);
  const auto run = content_->quarantine_.find(run_id);
  if (run == content_->quarantine_.end()) return NotThere(blob);
  const auto it = run->second.find(MemoryContent::KeyOf(blob));
  if (it == run->second.end()) return NotThere(blob);
  return CheckBytes(it->second.thing.bytes, *blob.digest);
}

absl::StatusOr<Capacity> MemoryStore::GetCapacity() const {
  base::MutexLock lock(&content_->mutex_);
  uint64_t used = 0;
  for (const auto& [key, thing] : content_->things_) {
    used += SizeOf(thing.bytes.size()).allocated_bytes;
  }
  for (const auto& [run, items] : content_->quarantine_) {
    for (const auto& [key, item] : items) {
      used += SizeOf(item.thing.bytes.size()).allocated_bytes;
    }
  }
  Capacity capacity;
  capacity.capacity_bytes = kCapacityBytes;
  capacity.available_bytes = kCapacityBytes - std::min(used, kCapacityBytes);
  return capacity;
}

void MemoryStore::AddFacts(ScanBatch* batch) const {
  for (const auto& [repository, place] : content_->repositories_) {
    batch->repositories.push_back({repository, place});
  }
  for (const auto& [key, thing] : content_->things_) {
    const auto& [kind, place, repository, tag, upload, digest] = key;
    switch (kind) {
      case RemovalKind::kBlob: {
        BlobFact fact;
        fact.place = place;
        fact.digest = digest;
        fact.stat.bytes = SizeOf(thing.bytes.size());
        fact.stat.modified = thing.modified;
        batch->blobs.push_back(std::move(fact));
        break;
      }
      case RemovalKind::kTag:
        batch->tags.push_back(
            {repository, tag, thing.digest, "", thing.modified});
        break;
      case RemovalKind::kRevisionLink:
      case RemovalKind::kLayerLink: {
        MembershipFact fact;
        fact.repository = repository;
        fact.digest = digest;
        fact.kind = kind == RemovalKind::kRevisionLink
                        ? MembershipKind::kRevision
                        : MembershipKind::kLayer;
        fact.modified = thing.modified;
        batch->memberships.push_back(std::move(fact));
        break;
      }
      case RemovalKind::kUpload:
        batch->uploads.push_back(
            {repository, upload, SizeOf(thing.bytes.size()), thing.modified});
        break;
      case RemovalKind::kContainer:
      case RemovalKind::kNetwork:
      case RemovalKind::kVolume:
      case RemovalKind::kSnapshot:
      case RemovalKind::kBuildCache:
        break;  // of engines alone
    }
  }
}

void MemoryStore::AddSections(ScanBatch* batch) const {
  const auto add = [&](SectionKind kind, const std::string& scope) {
    SectionReport report;
    report.kind = kind;
    report.scope = scope;
    batch->sections.push_back(std::move(report));
  };
  add(SectionKind::kRepositories, "");
  std::set<Place> places = {""};
  for (const auto& [repository, place] : content_->repositories_) {
    places.insert(place);
    for (const SectionKind kind :
         {SectionKind::kTags, SectionKind::kRevisions, SectionKind::kLayerLinks,
          SectionKind::kUploads}) {
      add(kind, repository);
    }
  }
  for (const Place& place : places) add(SectionKind::kBlobs, place);
}

absl::StatusOr<ScanResult> MemoryStore::Scan(const ScanRequest&,
                                             ScanSink* sink) const {
  if (sink->IsCancelled()) {
    return absl::CancelledError("the scan was cancelled");
  }
  ScanBatch batch;
  {
    base::MutexLock lock(&content_->mutex_);
    AddFacts(&batch);
    AddSections(&batch);
  }
  // Always listed whole: there is nothing to save.
  ScanResult result;
  result.section_count = batch.sections.size();
  RECLAIM_RETURN_IF_ERROR(sink->Accept(std::move(batch)));
  return result;
}

absl::StatusOr<Measurement> MemoryStore::Measure(
    absl::Span<const Removal> removals) const {
  base::MutexLock lock(&content_->mutex_);
  RemovalBytes bytes;
  std::set<MemoryContent::Key> counted;
  for (const Removal& what : removals) {
    const auto key = MemoryContent::KeyOf(what);
    const auto it = content_->things_.find(key);
    if (it == content_->things_.end() || !counted.insert(key).second) continue;
    bytes += SizeOf(what, it->second.bytes.size());
  }
  return bytes;
}

RemovalOutcome MemoryStore::QuarantineOne(const RunId& run_id,
                                          const Removal& what) {
  RemovalOutcome outcome;
  const auto key = MemoryContent::KeyOf(what);
  const auto it = content_->things_.find(key);
  if (it == content_->things_.end()) {
    outcome.status = NotThere(what);
    return outcome;
  }
  if (what.kind == RemovalKind::kTag && it->second.digest != *what.digest) {
    outcome.status = absl::AbortedError(
        absl::StrCat(ToString(what), " names something else by now"));
    return outcome;
  }
  outcome.bytes = SizeOf(what, it->second.bytes.size());
  content_->quarantine_[run_id][key] = {what, std::move(it->second)};
  content_->things_.erase(it);
  content_->effects_.push_back({Kind::kQuarantined, run_id, what});
  return outcome;
}

RemovalOutcome MemoryStore::RestoreOne(const RunId& run_id,
                                       const Removal& what) {
  RemovalOutcome outcome;
  auto& items = content_->quarantine_[run_id];
  const auto key = MemoryContent::KeyOf(what);
  const auto it = items.find(key);
  if (it == items.end()) {
    outcome.status = NotThere(what);
    return outcome;
  }
  if (content_->things_.count(key) > 0) {
    outcome.status =
        absl::AlreadyExistsError(absl::StrCat(ToString(what), " is there"));
    outcome.quarantined_size = it->second.thing.bytes.size();
    return outcome;
  }
  outcome.bytes = SizeOf(what, it->second.thing.bytes.size());
  content_->things_[key] = std::move(it->second.thing);
  items.erase(it);
  content_->effects_.push_back({Kind::kRestored, run_id, what});
  return outcome;
}

RemovalOutcome MemoryStore::PurgeOne(const RunId& run_id, const Removal& what) {
  RemovalOutcome outcome;
  auto& items = content_->quarantine_[run_id];
  const auto it = items.find(MemoryContent::KeyOf(what));
  if (it == items.end()) {
    outcome.status = NotThere(what);
    return outcome;
  }
  outcome.bytes = SizeOf(what, it->second.thing.bytes.size());
  items.erase(it);
  content_->effects_.push_back({Kind::kPurged, run_id, what});
  return outcome;
}

absl::StatusOr<std::vector<RemovalOutcome>> MemoryStore::Quarantine(
    const DeletionPermit&, const RunId& run_id,
    absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckDeletion(is_read_only_, run_id));
  base::MutexLock lock(&content_->mutex_);
  std::vector<RemovalOutcome> outcomes;
  for (const Removal& what : removals) {
    outcomes.push_back(QuarantineOne(run_id, what));
  }
  return outcomes;
}

absl::StatusOr<std::vector<RemovalOutcome>> MemoryStore::Restore(
    const RunId& run_id, absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckDeletion(is_read_only_, run_id));
  base::MutexLock lock(&content_->mutex_);
  // Bytes before links before names: the reverse of the deed.
  std::vector<RemovalOutcome> outcomes(removals.size());
  for (size_t i = removals.size(); i-- > 0;) {
    outcomes[i] = RestoreOne(run_id, removals[i]);
  }
  return outcomes;
}

absl::StatusOr<std::vector<RemovalOutcome>> MemoryStore::Purge(
    const DeletionPermit&, const RunId& run_id,
    absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckDeletion(is_read_only_, run_id));
  base::MutexLock lock(&content_->mutex_);
  std::vector<RemovalOutcome> outcomes;
  for (const Removal& what : removals) {
    outcomes.push_back(PurgeOne(run_id, what));
  }
  return outcomes;
}

absl::StatusOr<std::vector<QuarantinedItem>> MemoryStore::ListQuarantine()
    const {
  base::MutexLock lock(&content_->mutex_);
  std::vector<QuarantinedItem> found;
  for (const auto& [run_id, items] : content_->quarantine_) {
    for (const auto& [key, item] : items) {
      found.push_back({run_id, item.removal,
                       SizeOf(item.removal, item.thing.bytes.size())});
    }
  }
  return found;
}

std::unique_ptr<ContentStore> OpenMemoryStore(
    std::shared_ptr<MemoryContent> content, bool is_read_only) {
  return std::make_unique<MemoryStore>(std::move(content), is_read_only);
}

}  // namespace reclaim::store
