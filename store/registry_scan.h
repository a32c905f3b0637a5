// store/registry_scan.h — private: walking a registry's tree.

#ifndef RECLAIM_STORE_REGISTRY_SCAN_H_
#define RECLAIM_STORE_REGISTRY_SCAN_H_

#include <atomic>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "store/rooted_dir.h"
#include "store/scan.h"

namespace reclaim::store {

inline constexpr char kRegistryTop[] = "docker/registry/v2";

class RegistryScan {
 public:
  RegistryScan(const RootedDir* root, ScanSink* sink)
      : root_(root), sink_(sink) {}

  absl::StatusOr<ScanResult> Run(int thread_count);

 private:
  using Section = std::function<void(ScanBatch*)>;

  void FindRepositories(ScanBatch* batch);
  // False if a folder below could not be read.
  bool FindRepositoriesBelow(const std::string& folder, const std::string& name,
                             ScanBatch* batch);
  void ScanBlobShard(const std::string& algorithm, const std::string& shard,
                     ScanBatch* batch);
  void ScanTags(const std::string& repository, ScanBatch* batch);
  void ScanRevisions(const std::string& repository, ScanBatch* batch);
  void ScanLayers(const std::string& repository, ScanBatch* batch);
  void ScanUploads(const std::string& repository, ScanBatch* batch);
  // Link folders "ALGORITHM/HEX/link" below `folder`.
  absl::Status ScanLinks(const std::string& folder,
                         const std::string& repository, MembershipKind kind,
                         ScanBatch* batch);
  void FinishSection(SectionKind kind, const std::string& scope, int shard,
                     const absl::Status& status, ScanBatch* batch);
  void AddStray(const std::string& path, const std::string& why,
                ScanBatch* batch);
  absl::Status Deliver(ScanBatch batch);
  absl::Status RunSections(std::vector<Section> sections, int thread_count);

  const RootedDir* root_;
  ScanSink* sink_;
  base::Mutex mutex_;
  std::atomic<uint64_t> section_count_{0};
  std::vector<std::string> repositories_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_REGISTRY_SCAN_H_
