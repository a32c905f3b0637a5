// store/testing/fake_engine.h — an engine in memory, for tests.
//
// Reports what the test put into `has`, without what is in its quarantine, and
// notes what it was asked to do.  With `deletes_for_good` it behaves as Docker
// does, else as containerd.

#ifndef RECLAIM_STORE_TESTING_FAKE_ENGINE_H_
#define RECLAIM_STORE_TESTING_FAKE_ENGINE_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "store/change_source.h"
#include "store/content_store.h"

namespace reclaim::store {

class FakeEngine final : public ContentStore {
 public:
  explicit FakeEngine(bool deletes_for_good)
      : deletes_for_good_(deletes_for_good) {}

  // An image of one config and `layers`, named `repository`:`tag` ("" for
  // none); its manifest's digest.
  oci::Digest AddImage(const std::string& repository, const std::string& tag,
                       const std::vector<std::string>& layers,
                       uint64_t layer_bytes);

  ScanBatch has;  // all facts; sections are added
  std::map<oci::Digest, std::string> texts;
  // What a purge refuses as being in use, by its name.
  std::set<std::string> refused;
  // What a quarantine refuses as being in use, by its name.
  std::set<std::string> kept;
  // What a purge fails at, by its name.
  std::set<std::string> failing;
  bool is_away = false;
  // Its event stream; not owned.
  ChangeSource* stream = nullptr;

  std::vector<Removal> quarantined;
  std::vector<Removal> restored;
  std::vector<Removal> purged;

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
  absl::StatusOr<std::vector<QuarantinedItem>> ListQuarantine() const override;
  ChangeSource* changes() override { return stream; }

 private:
  absl::Status Away() const;
  bool IsHeld(const Removal& removal) const { return held_.count(removal) > 0; }

  const bool deletes_for_good_;
  std::map<Removal, RunId> held_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TESTING_FAKE_ENGINE_H_
