// tests/simulation/model_registry.h — a registry's disk as a value, and a store
// over it that stops at each step.
//
// The disk is files of blobs, links and tags; each change of it is one step
// that nobody sees halfway, as a rename or a small file is.  The store scans,
// moves, restores and frees as store/registry_store does, and calls `pause`
// before each step, so that a scheduler can let others go first or end the
// process.

#ifndef RECLAIM_TESTS_SIMULATION_MODEL_REGISTRY_H_
#define RECLAIM_TESTS_SIMULATION_MODEL_REGISTRY_H_

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "oci/digest.h"
#include "store/content_store.h"

namespace reclaim::simulation {

// The one repository of a disk that nobody gives others.
inline constexpr char kRepository[] = "app";

struct Disk {
  struct File {
    std::string bytes;
    absl::Time modified;
  };
  struct Tag {
    oci::Digest digest;
    absl::Time modified;
  };
  using LinkName = std::tuple<std::string, oci::Digest, store::MembershipKind>;
  using TagName = std::pair<std::string, std::string>;
  // What a removal has moved; exactly one is set.
  struct Moved {
    std::map<oci::Digest, File> blobs;
    std::map<LinkName, absl::Time> links;
    std::map<TagName, Tag> tags;
  };

  std::set<std::string> repositories = {kRepository};
  std::map<oci::Digest, File> blobs;
  std::map<LinkName, absl::Time> links;
  std::map<TagName, Tag> tags;
  std::map<std::pair<store::RunId, store::Removal>, Moved> quarantine;

  bool HasLink(const std::string& repository, const oci::Digest& digest,
               store::MembershipKind kind) const {
    return links.count({repository, digest, kind}) > 0;
  }
  // Everything, as text: equal disks have equal texts.
  std::string ToText() const;
};

// What a step reads or changes of a disk.
struct Access {
  enum class Part { kBlobs, kLayerLinks, kRevisionLinks, kTags };
  Part part;
  bool is_write = false;
  std::string name;  // hex of a digest, or a tag; "": all of them
};
// Whether it matters which of the two comes first.
bool Conflict(const Access& a, const Access& b);

class ModelRegistry final : public store::ContentStore {
 public:
  // UNAVAILABLE ends the step, and every later one, without effect.
  using Pause = std::function<absl::Status(const std::string& step)>;
  // Told all that a caller learns of the disk: whoever does the same after the
  // same answers is in the same state.  `access`: what was read or changed of
  // what writers know; unset for the quarantine, which is ours alone.
  using Observe = std::function<void(std::optional<Access> access,
                                     const std::string& answer)>;

  // `disk` is not owned.  Without foreign writers it is what an orchestrator
  // keeps, who alone writes there and tells over the API.  A registry tells the
  // sizes of what lies in its quarantine; without them a start takes all that a
  // purge had on record for partly gone and frees the rest, where it would have
  // put back what is whole: less happens, and there are fewer states.
  ModelRegistry(Disk* disk, bool has_foreign_writers, Pause pause,
                Observe observe, bool tells_sizes = false)
      : disk_(*disk),
        has_foreign_writers_(has_foreign_writers),
        pause_(std::move(pause)),
        observe_(std::move(observe)),
        tells_sizes_(tells_sizes) {}

  absl::StatusOr<store::BlobStat> Stat(
      const store::Place& place, const oci::Digest& digest) const override;
  absl::StatusOr<std::string> Read(const store::Place& place,
                                   const oci::Digest& digest,
                                   uint64_t max_bytes) const override;
  absl::Status VerifyDigest(const store::Place& place,
                            const oci::Digest& digest) const override;
  absl::StatusOr<store::Capacity> GetCapacity() const override {
    return store::Capacity();
  }
  store::StoreTraits traits() const override;
  absl::StatusOr<store::ScanResult> Scan(const store::ScanRequest& request,
                                         store::ScanSink* sink) const override;
  absl::StatusOr<store::Measurement> Measure(
      absl::Span<const store::Removal> removals) const override;
  absl::StatusOr<std::vector<store::RemovalOutcome>> Quarantine(
      const store::DeletionPermit& permit, const store::RunId& run_id,
      absl::Span<const store::Removal> removals) override;
  absl::StatusOr<std::vector<store::RemovalOutcome>> Restore(
      const store::RunId& run_id,
      absl::Span<const store::Removal> removals) override;
  absl::StatusOr<std::vector<store::RemovalOutcome>> Purge(
      const store::DeletionPermit& permit, const store::RunId& run_id,
      absl::Span<const store::Removal> removals) override;
  absl::Status VerifyQuarantined(const store::RunId& run_id,
                                 const store::Removal& blob) const override;
  absl::StatusOr<std::vector<store::QuarantinedItem>> ListQuarantine()
      const override;

 private:
  absl::Status MoveAway(const store::RunId& run_id,
                        const store::Removal& removal);
  absl::Status MoveBack(const store::RunId& run_id,
                        const store::Removal& removal);
  // Of each of which a section of this kind tells: "" is the whole store.
  std::vector<std::string> ScopesOf(store::SectionKind kind) const;
  void ReportSection(store::SectionKind kind, const std::string& scope,
                     store::ScanBatch* batch) const;
  store::RemovalOutcome Tell(std::optional<Access> access,
                             absl::Status status) const;

  Disk& disk_;
  const bool has_foreign_writers_;
  const Pause pause_;
  const Observe observe_;
  const bool tells_sizes_;
};

// How the steps of a scan begin.
inline constexpr char kScanStep[] = "scan ";

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_MODEL_REGISTRY_H_
