// Repositories and blobs.

#include "store/registry_scan.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "oci/name.h"

namespace reclaim::store {
namespace {

constexpr int kShardCount = 256;

bool IsShard(const std::string& name) {
  return name.size() == 2 &&
         name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string ShardPath(const std::string& algorithm, const std::string& shard) {
  return RegistryPath(absl::StrCat("blobs/", algorithm, "/", shard));
}

bool IsPartOfRepository(const std::string& name) {
  return name == "_manifests" || name == "_layers" || name == "_uploads";
}

absl::Status NoRepository() {
  return absl::FailedPreconditionError(
      "a repository whose name no registry serves (lower case behind a host, "
      "at most 255 characters): rename it or remove it");
}

// "EXAMPLE.com" is no repository, and may hold some.
bool MayHoldRepositories(const std::string& name) {
  return oci::IsRepositoryName(name) || oci::IsRegistryHost(name);
}

// OK if no folder of manifests is below one that has no name of a repository.
absl::Status HoldsNone(const RootedDir& root, const std::string& folder) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries,
                           ListOrEmpty(root, folder));
  for (const DirEntry& entry : entries) {
    RECLAIM_RETURN_IF_ERROR(CheckIsText(entry.name));
    if (entry.name == "_manifests") return NoRepository();
    if (MayLeadOn(entry.type)) return NotLookedInto();
  }
  for (const DirEntry& entry : entries) {
    if (entry.type != FileType::kFolder) continue;
    RECLAIM_RETURN_IF_ERROR(HoldsNone(root, JoinPath(folder, entry.name)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Tell(const std::string& path, const absl::Status& status,
                  const std::string& repository, ScanBatch* batch) {
  batch->problems.push_back({path, status, repository, Place()});
  return status;
}

absl::Status CheckName(const std::string& path, const std::string& name,
                       const std::string& repository, ScanBatch* batch) {
  const absl::Status status = CheckIsText(name);
  return status.ok() ? status : Tell(path, status, repository, batch);
}

std::string RegistryPath(absl::string_view path) {
  return JoinPath(kRegistryTop, path);
}

std::string RepositoryPath(const std::string& repository) {
  return RegistryPath(absl::StrCat("repositories/", repository));
}

absl::StatusOr<oci::Digest> LinkedDigest(const std::string& algorithm,
                                         const std::string& hex) {
  return oci::Digest::Parse(absl::StrCat(algorithm, ":", hex));
}

absl::StatusOr<std::vector<DirEntry>> ListOrEmpty(const RootedDir& root,
                                                  const std::string& path) {
  absl::StatusOr<std::vector<DirEntry>> entries = root.List(path);
  if (!absl::IsNotFound(entries.status())) return entries;
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root.Exists(path));
  return is_there ? root.List(path) : std::vector<DirEntry>();
}

bool RegistryScan::CheckNoRepository(const std::string& path, FileType type,
                                     ScanBatch* batch) {
  absl::Status status = CheckIsText(path);
  if (status.ok() && MayLeadOn(type)) status = NotLookedInto();
  if (status.ok() && type == FileType::kFolder) {
    status = HoldsNone(*root_, path);
  }
  if (status.ok()) {
    scan_.AddStray(path, "not a repository", batch);
    return true;
  }
  // Nobody can say what its names keep.
  batch->problems.push_back({path, status, "", std::nullopt});
  return false;
}

bool RegistryScan::FindRepositoriesBelow(const std::string& folder,
                                         const std::string& name,
                                         ScanBatch* batch) {
  const absl::StatusOr<std::vector<DirEntry>> entries =
      ListOrEmpty(*root_, folder);
  if (!entries.ok()) {
    batch->problems.push_back({folder, entries.status(), name, Place()});
    return false;
  }
  bool is_readable = true;
  bool is_repository = false;
  for (const DirEntry& entry : *entries) {
    const std::string path = JoinPath(folder, entry.name);
    const std::string below = JoinPath(name, entry.name);
    if (!name.empty() && IsPartOfRepository(entry.name)) {
      is_repository = true;
      if (entry.type == FileType::kFolder) continue;
      Tell(path, NotLookedInto(), name, batch).IgnoreError();
    } else if (entry.type == FileType::kFolder && MayHoldRepositories(below)) {
      is_readable &= FindRepositoriesBelow(path, below, batch);
    } else {
      is_readable &= CheckNoRepository(path, entry.type, batch);
    }
  }
  if (is_repository && !oci::IsRepositoryName(name)) {
    batch->problems.push_back({folder, NoRepository(), "", std::nullopt});
    return false;
  }
  if (is_repository) {
    batch->repositories.push_back({name, ""});
    repositories_.push_back(name);
  }
  return is_readable;
}

void RegistryScan::FindRepositories(ScanBatch* batch) {
  const bool is_readable =
      FindRepositoriesBelow(RegistryPath("repositories"), "", batch);
  SectionReport report;
  if (!is_readable) {
    report.state = SectionState::kUnreadable;
    report.error =
        absl::UnavailableError("a folder of repositories is unreadable");
  }
  batch->sections.push_back(std::move(report));
}

absl::Status RegistryScan::FindShards(ScanBatch* batch) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> algorithms,
                           ListOrEmpty(*root_, RegistryPath("blobs")));
  absl::Status status;
  for (const DirEntry& algorithm : algorithms) {
    const std::string folder = RegistryPath("blobs/" + algorithm.name);
    status.Update(CheckName(folder, algorithm.name, "", batch));
    if (algorithm.type != FileType::kFolder ||
        (algorithm.name != "sha256" && algorithm.name != "sha512")) {
      scan_.AddStray(folder, "unknown digest algorithm", batch);
      continue;
    }
    std::set<std::string>& shards = shards_[algorithm.name];
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries,
                             ListOrEmpty(*root_, folder));
    for (const DirEntry& entry : entries) {
      const std::string path = JoinPath(folder, entry.name);
      status.Update(CheckName(path, entry.name, "", batch));
      if (entry.type == FileType::kFolder && IsShard(entry.name)) {
        shards.insert(entry.name);
      } else {
        scan_.AddStray(path, "not a folder of blobs", batch);
      }
    }
  }
  return status;
}

void RegistryScan::FindBlobFolders(ScanBatch* batch) {
  const absl::Status status = FindShards(batch);
  if (status.ok()) return;
  SectionReport report;
  report.kind = SectionKind::kBlobs;
  report.state = SectionState::kUnreadable;
  report.error = status;
  batch->sections.push_back(std::move(report));
}

absl::Status RegistryScan::LookAtShard(const std::string& shard,
                                       SectionMark* mark) const {
  for (const auto& [algorithm, shards] : shards_) {
    if (shards.count(shard) == 0) {
      mark->AddAbsent(algorithm);
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                             root_->StatIfThere(ShardPath(algorithm, shard)));
    if (stat) {
      mark->Add(algorithm, *stat);
    } else {
      mark->AddAbsent(algorithm);
    }
  }
  return absl::OkStatus();
}

absl::Status RegistryScan::ListShard(const std::string& shard,
                                     SectionMark* mark, ScanBatch* batch) {
  for (const auto& [algorithm, shards] : shards_) {
    if (shards.count(shard) == 0) continue;
    RECLAIM_RETURN_IF_ERROR(ListBlobs(algorithm, shard, mark, batch));
  }
  return absl::OkStatus();
}

absl::Status RegistryScan::ListBlobs(const std::string& algorithm,
                                     const std::string& shard,
                                     SectionMark* mark, ScanBatch* batch) {
  const std::string path = ShardPath(algorithm, shard);
  // Paths below are short from here on: the leaves are not listed, only asked
  // for their one file.
  const absl::StatusOr<std::unique_ptr<RootedDir>> folder =
      root_->OpenBelow(path);
  if (absl::IsNotFound(folder.status())) {
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(path));
    if (!is_there) return absl::OkStatus();
  }
  RECLAIM_RETURN_IF_ERROR(folder.status());
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries,
                           (*folder)->List(""));
  absl::Status status;
  for (const DirEntry& entry : entries) {
    const std::string blob = JoinPath(path, entry.name);
    status.Update(CheckName(blob, entry.name, "", batch));
    const absl::StatusOr<oci::Digest> digest =
        LinkedDigest(algorithm, entry.name);
    if (entry.type != FileType::kFolder || !digest.ok() ||
        !absl::StartsWith(entry.name, shard)) {
      scan_.AddStray(blob, "not a blob", batch);
      continue;
    }
    const absl::StatusOr<std::optional<FileStat>> stat =
        (*folder)->StatIfThere(entry.name + "/data");
    if (!stat.ok()) {
      status.Update(stat.status());
    } else if (!stat->has_value()) {
      scan_.AddStray(blob, "a blob without data", batch);
    } else if ((*stat)->type != FileType::kFile) {
      scan_.AddStray(blob + "/data", "not a regular file", batch);
    } else {
      scan_.AddBlob("", *digest, **stat, mark, batch);
    }
  }
  return status;
}

absl::Status RegistryScan::ScanBlobs() {
  std::vector<SectionScan::BlobSection> sections;
  // Every shard is a section, also those that are not there any more: what the
  // graph knows of them is gone.
  for (int number = 0; number < kShardCount; ++number) {
    const std::string shard = absl::StrCat(absl::Hex(number, absl::kZeroPad2));
    SectionScan::BlobSection section;
    section.name.kind = SectionKind::kBlobs;
    section.name.shard = number;
    section.look = [this, shard](SectionMark* mark) {
      return LookAtShard(shard, mark);
    };
    section.list = [this, shard](SectionMark* mark, ScanBatch* batch) {
      return ListShard(shard, mark, batch);
    };
    sections.push_back(std::move(section));
  }
  return scan_.ScanBlobs(std::move(sections));
}

absl::StatusOr<ScanResult> RegistryScan::Run() {
  RECLAIM_RETURN_IF_ERROR(scan_.Open(StoreKind::kRegistry));
  ScanBatch first;
  FindRepositories(&first);
  FindBlobFolders(&first);
  const uint64_t first_count = first.sections.size();
  RECLAIM_RETURN_IF_ERROR(scan_.Deliver(std::move(first)));
  RECLAIM_RETURN_IF_ERROR(ScanBlobs());
  std::vector<SectionScan::Work> work;
  for (const std::string& name : repositories_) {
    work.push_back([this, &name] { return ScanLayers(name); });
    work.push_back([this, &name] { return ScanRevisions(name); });
    work.push_back([this, &name] { return ScanTags(name); });
    work.push_back([this, &name] { return ScanUploads(name); });
  }
  RECLAIM_RETURN_IF_ERROR(scan_.RunAll(work));
  RECLAIM_ASSIGN_OR_RETURN(ScanResult result, scan_.Result());
  result.section_count += first_count;
  return result;
}

}  // namespace reclaim::store
