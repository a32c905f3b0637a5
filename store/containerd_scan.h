// store/containerd_scan.h — private to the containerd driver: listings as
// facts.
//
// A namespace is a place.  The bytes of a digest that several namespaces have
// are one file: an extent.  Leases, labels and pins of other clients become
// holds.  A namespace that somebody else collects (a kubelet, dockerd) is
// reported, and kept whole by a problem that says so.

#ifndef RECLAIM_STORE_CONTAINERD_SCAN_H_
#define RECLAIM_STORE_CONTAINERD_SCAN_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "store/containerd_listing.h"
#include "store/scan.h"

namespace reclaim::store {

struct ContainerdOptions {
  // Only these; empty: all.
  std::set<std::string> namespaces;
  // Images of a kubelet's namespace may be taken away.
  bool collects_kubelet = false;
};

class ContainerdScan {
 public:
  // None is owned.
  ContainerdScan(const ContainerdClient* client,
                 const ContainerdClient::Engine* engine,
                 const ContainerdOptions* options,
                 ContainerdQuarantine* quarantine, ContainerdMemory* memory,
                 ScanSink* sink)
      : client_(*client),
        engine_(*engine),
        options_(*options),
        quarantine_(quarantine),
        memory_(memory),
        sink_(sink) {}

  absl::Status Run();

 private:
  // containerd_scan.cc: content and names.
  absl::Status List();
  absl::Status ReportContent(const ContainerdListing& listing);
  absl::Status ReportImages(const ContainerdListing& listing);
  absl::Status ReportStrays();
  void AddProblems(const ContainerdListing& listing, ScanBatch* batch) const;
  std::string KeeperOf(const ContainerdListing& listing) const;
  static std::set<std::string> LabelledReferences(
      const ctrd::content::v1::Info& info);
  absl::StatusOr<bool> IsExplained(const std::string& space,
                                   const ctrd::content::v1::Info& info,
                                   const std::set<std::string>& targets) const;
  // containerd_scan_records.cc: the rest.
  absl::Status ReportRecords();
  void AddSnapshots(const ContainerdListing& listing, ScanBatch* batch) const;
  void AddContainers(const ContainerdListing& listing, ScanBatch* batch) const;
  void AddLeases(const ContainerdListing& listing, ScanBatch* batch) const;
  void AddPins(const ContainerdListing& listing, ScanBatch* batch) const;
  absl::Status AddLabelHolds(const ContainerdListing& listing,
                             ScanBatch* batch) const;
  std::set<std::string> OwnSnapshots(const ContainerdListing& listing) const;
  bool IsQuarantined(Removal removal) const {
    return quarantine_->Holds(removal);
  }

  const ContainerdClient& client_;
  const ContainerdClient::Engine& engine_;
  const ContainerdOptions& options_;
  ContainerdQuarantine* quarantine_;
  ContainerdMemory* memory_;
  ScanSink* sink_;
  std::vector<std::string> files_;  // below the content root
  std::vector<ContainerdListing> listings_;
  std::map<std::string, int> holders_;  // namespaces that have a digest
  absl::flat_hash_set<oci::Digest> known_;
};

// Times of containerd's messages.
template <typename Timestamp>
absl::Time TimeOf(const Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_SCAN_H_
