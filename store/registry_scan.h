// store/registry_scan.h — private: walking a registry's tree.
//
// Blobs are sections by the first byte of their digests.  What a folder of
// links holds is looked at link by link, for a registry rewrites link files in
// place and deletes them out of folders that stay (docs/decisions, scan memos);
// but only the links of tags are read, and those only when something in their
// section has changed: the names of all others are their digests.

#ifndef RECLAIM_STORE_REGISTRY_SCAN_H_
#define RECLAIM_STORE_REGISTRY_SCAN_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/rooted_dir.h"
#include "store/scan.h"
#include "store/section_scan.h"

namespace reclaim::store {

inline constexpr char kRegistryTop[] = "docker/registry/v2";
// How deep the files of an upload may lie in its folder.
inline constexpr int kUploadDepthMax = 8;

class RegistryScan {
 public:
  // None is owned.
  RegistryScan(const RootedDir* root, const ScanRequest* request,
               ScanSink* sink)
      : root_(root), scan_(root, request, sink) {}

  absl::StatusOr<ScanResult> Run();

 private:
  // registry_scan.cc: repositories and blobs.
  void FindRepositories(ScanBatch* batch);
  // False if a folder below could not be read.
  bool FindRepositoriesBelow(const std::string& folder, const std::string& name,
                             ScanBatch* batch);
  // An entry that is no repository of ours; false if it may be one of a
  // registry.
  bool CheckNoRepository(const std::string& path, FileType type,
                         ScanBatch* batch);
  absl::Status FindShards(ScanBatch* batch);
  void FindBlobFolders(ScanBatch* batch);
  absl::Status ScanBlobs();
  absl::Status LookAtShard(const std::string& shard, SectionMark* mark) const;
  absl::Status ListShard(const std::string& shard, SectionMark* mark,
                         ScanBatch* batch);
  absl::Status ListBlobs(const std::string& algorithm, const std::string& shard,
                         SectionMark* mark, ScanBatch* batch);

  // registry_scan_names.cc: tags, links, uploads.
  absl::Status ScanTags(const std::string& repository);
  absl::Status LookAtTag(const std::string& repository, const DirEntry& entry,
                         SectionMark* mark, ScanBatch* batch) const;
  absl::Status ReadTags(const std::string& repository, ScanBatch* batch);
  absl::Status ScanRevisions(const std::string& repository);
  absl::Status ScanLayers(const std::string& repository);
  absl::Status ScanUploads(const std::string& repository);
  // Link folders "ALGORITHM/HEX/link" below `folder`.
  absl::Status ScanLinks(const std::string& folder,
                         const std::string& repository, MembershipKind kind,
                         SectionMark* mark, ScanBatch* batch);
  // What stands where a folder of a link should; `links` holds it.
  absl::Status CheckNoLink(const RootedDir& links, const DirEntry& entry,
                           const std::string& path,
                           const std::string& repository,
                           ScanBatch* batch) const;
  absl::Status AddLink(const std::string& path, const FileStat& stat,
                       MembershipFact fact, ScanBatch* batch) const;
  absl::Status AddUploadFiles(const std::string& folder, int depth,
                              UploadFact* fact, SectionMark* mark) const;
  absl::Status AddUpload(const std::string& path, UploadFact fact,
                         SectionMark* mark, ScanBatch* batch) const;
  absl::Status FinishNames(SectionKind kind, const std::string& repository,
                           const absl::Status& status, SectionMark* mark,
                           ScanBatch batch);

  const RootedDir* root_;
  SectionScan scan_;
  std::vector<std::string> repositories_;
  // Folders of blobs by algorithm.
  std::map<std::string, std::set<std::string>> shards_;
};

// Returns `status` after telling of it in the scope of `repository`.
absl::Status Tell(const std::string& path, const absl::Status& status,
                  const std::string& repository, ScanBatch* batch);

// OK for a name that can be recorded; else that it can't be is told and
// returned.
absl::Status CheckName(const std::string& path, const std::string& name,
                       const std::string& repository, ScanBatch* batch);

// Paths below the store's root.
std::string RegistryPath(absl::string_view path);
std::string RepositoryPath(const std::string& repository);
// Blobs of unknown algorithms are kept: nobody can say what they are.
absl::StatusOr<oci::Digest> LinkedDigest(const std::string& algorithm,
                                         const std::string& hex);
// NOT_FOUND means that there is nothing of the sort.
absl::StatusOr<std::vector<DirEntry>> ListOrEmpty(const RootedDir& root,
                                                  const std::string& path);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_REGISTRY_SCAN_H_
