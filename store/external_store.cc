#include "store/external_store.h"

namespace reclaim::store {
namespace {

absl::Status NoBytes() {
  return absl::FailedPreconditionError(
      "the bytes of an external store are not here to be read");
}

class ExternalStore final : public ContentStore {
 public:
  StoreTraits traits() const override {
    StoreTraits traits;
    traits.kind = StoreKind::kExternal;
    // The feed is the quarantine: what it announced can be taken back until
    // the purge is announced.
    traits.has_quarantine = true;
    return traits;
  }
  absl::StatusOr<BlobStat> Stat(const Place&,
                                const oci::Digest&) const override {
    return NoBytes();
  }
  absl::StatusOr<std::string> Read(const Place&, const oci::Digest&,
                                   uint64_t) const override {
    return NoBytes();
  }
  absl::Status VerifyDigest(const Place&, const oci::Digest&) const override {
    return NoBytes();
  }
  absl::StatusOr<Capacity> GetCapacity() const override { return NoBytes(); }
  absl::StatusOr<ScanResult> Scan(const ScanRequest&,
                                  ScanSink*) const override {
    return ScanResult();
  }
  absl::StatusOr<Measurement> Measure(
      absl::Span<const Removal>) const override {
    return RemovalBytes();
  }
  absl::StatusOr<std::vector<RemovalOutcome>> Quarantine(
      const DeletionPermit&, const RunId&,
      absl::Span<const Removal> removals) override {
    return std::vector<RemovalOutcome>(removals.size());
  }
  absl::StatusOr<std::vector<RemovalOutcome>> Restore(
      const RunId&, absl::Span<const Removal> removals) override {
    return std::vector<RemovalOutcome>(removals.size());
  }
  absl::StatusOr<std::vector<RemovalOutcome>> Purge(
      const DeletionPermit&, const RunId&,
      absl::Span<const Removal> removals) override {
    return std::vector<RemovalOutcome>(removals.size());
  }
  absl::StatusOr<std::vector<QuarantinedItem>> ListQuarantine() const override {
    return std::vector<QuarantinedItem>();
  }
};

}  // namespace

std::unique_ptr<ContentStore> MakeExternalStore() {
  return std::make_unique<ExternalStore>();
}

}  // namespace reclaim::store
