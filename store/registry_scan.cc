#include "store/registry_scan.h"

#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "oci/name.h"
#include "store/quarantine_folder.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kLinkBytesMax = 1024;

std::string Top(absl::string_view path) { return JoinPath(kRegistryTop, path); }
std::string RepositoryPath(const std::string& repository) {
  return Top(absl::StrCat("repositories/", repository));
}

// Blobs of unknown algorithms are kept: nobody can say what they are.
absl::StatusOr<oci::Digest> DigestOf(const std::string& algorithm,
                                     const std::string& hex) {
  return oci::Digest::Parse(absl::StrCat(algorithm, ":", hex));
}

// NOT_FOUND means that there is nothing of the sort.
absl::StatusOr<std::vector<DirEntry>> ListOrEmpty(const RootedDir& root,
                                                  const std::string& path) {
  absl::StatusOr<std::vector<DirEntry>> entries = root.List(path);
  if (absl::IsNotFound(entries.status())) return std::vector<DirEntry>();
  return entries;
}

}  // namespace

absl::Status RegistryScan::Deliver(ScanBatch batch) {
  base::MutexLock lock(&mutex_);
  return sink_->Accept(std::move(batch));
}

void RegistryScan::FinishSection(SectionKind kind, const std::string& scope,
                                 int shard, const absl::Status& status,
                                 ScanBatch* batch) {
  SectionReport report;
  report.kind = kind;
  report.scope = scope;
  report.shard = shard;
  report.state =
      status.ok() ? SectionState::kListed : SectionState::kUnreadable;
  report.error = status;
  batch->sections.push_back(std::move(report));
  ++section_count_;
}

void RegistryScan::AddStray(const std::string& path, const std::string& why,
                            ScanBatch* batch) {
  StrayFact stray;
  stray.path = path;
  stray.why = why;
  const absl::StatusOr<FileStat> stat = root_->Stat(path);
  if (stat.ok() && stat->type == FileType::kFile) stray.bytes = stat->bytes;
  batch->strays.push_back(std::move(stray));
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
    if (entry.type != FileType::kFolder) {
      AddStray(path, "not a folder", batch);
    } else if (entry.name == "_manifests" || entry.name == "_layers" ||
               entry.name == "_uploads") {
      is_repository = true;
    } else {
      const std::string below = JoinPath(name, entry.name);
      if (!oci::IsRepositoryName(below)) {
        AddStray(path, "not the name of a repository", batch);
        continue;
      }
      is_readable &= FindRepositoriesBelow(path, below, batch);
    }
  }
  if (is_repository && !name.empty()) {
    batch->repositories.push_back({name, ""});
    repositories_.push_back(name);
  }
  return is_readable;
}

void RegistryScan::FindRepositories(ScanBatch* batch) {
  const bool is_readable =
      FindRepositoriesBelow(Top("repositories"), "", batch);
  FinishSection(SectionKind::kRepositories, "", -1,
                is_readable ? absl::OkStatus()
                            : absl::UnavailableError(
                                  "a folder of repositories is unreadable"),
                batch);
}

void RegistryScan::ScanBlobShard(const std::string& algorithm,
                                 const std::string& shard, ScanBatch* batch) {
  const std::string folder = Top(absl::StrCat("blobs/", algorithm, "/", shard));
  const absl::StatusOr<std::vector<DirEntry>> entries =
      ListOrEmpty(*root_, folder);
  absl::Status status = entries.status();
  if (entries.ok()) {
    for (const DirEntry& entry : *entries) {
      const std::string path = JoinPath(folder, entry.name);
      const absl::StatusOr<oci::Digest> digest =
          DigestOf(algorithm, entry.name);
      if (entry.type != FileType::kFolder || !digest.ok() ||
          !absl::StartsWith(entry.name, shard)) {
        AddStray(path, "not a blob", batch);
        continue;
      }
      const absl::StatusOr<FileStat> stat = root_->Stat(path + "/data");
      if (absl::IsNotFound(stat.status())) {
        AddStray(path, "a blob without data", batch);
      } else if (!stat.ok()) {
        status = stat.status();
      } else if (stat->type != FileType::kFile) {
        AddStray(path + "/data", "not a regular file", batch);
      } else {
        BlobFact fact;
        fact.digest = *digest;
        fact.stat.bytes = stat->bytes;
        fact.stat.modified = stat->modified;
        if (stat->link_count > 1) {
          fact.stat.extent = Extent{stat->device, stat->inode};
        }
        batch->blobs.push_back(std::move(fact));
      }
    }
  }
  const int number = static_cast<int>(std::strtol(shard.c_str(), nullptr, 16));
  FinishSection(SectionKind::kBlobs, "", number, status, batch);
}

void RegistryScan::ScanTags(const std::string& repository, ScanBatch* batch) {
  const std::string folder = RepositoryPath(repository) + "/_manifests/tags";
  const absl::StatusOr<std::vector<DirEntry>> entries =
      ListOrEmpty(*root_, folder);
  absl::Status status = entries.status();
  for (size_t i = 0; entries.ok() && i < entries->size(); ++i) {
    const DirEntry& entry = (*entries)[i];
    const std::string path = JoinPath(folder, entry.name);
    if (entry.type != FileType::kFolder || !oci::IsTagName(entry.name)) {
      AddStray(path, "not a tag", batch);
      continue;
    }
    const std::string link = path + "/current/link";
    const absl::StatusOr<std::string> text = root_->Read(link, kLinkBytesMax);
    if (absl::IsNotFound(text.status())) continue;  // a deleted tag's history
    const absl::StatusOr<oci::Digest> digest =
        text.ok() ? oci::Digest::Parse(absl::StripAsciiWhitespace(*text))
                  : absl::StatusOr<oci::Digest>(text.status());
    const absl::StatusOr<FileStat> stat = root_->Stat(link);
    if (!digest.ok() || !stat.ok()) {
      status = digest.ok() ? stat.status() : digest.status();
      batch->problems.push_back({link, status, repository, Place()});
      continue;
    }
    batch->tags.push_back(
        {repository, entry.name, *digest, "", stat->modified});
  }
  FinishSection(SectionKind::kTags, repository, -1, status, batch);
}

absl::Status RegistryScan::ScanLinks(const std::string& folder,
                                     const std::string& repository,
                                     MembershipKind kind, ScanBatch* batch) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> algorithms,
                           ListOrEmpty(*root_, folder));
  for (const DirEntry& algorithm : algorithms) {
    const std::string below = JoinPath(folder, algorithm.name);
    if (algorithm.type != FileType::kFolder) {
      AddStray(below, "not a folder", batch);
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> links,
                             ListOrEmpty(*root_, below));
    for (const DirEntry& entry : links) {
      const std::string path = JoinPath(below, entry.name);
      const absl::StatusOr<oci::Digest> digest =
          DigestOf(algorithm.name, entry.name);
      if (entry.type != FileType::kFolder || !digest.ok()) {
        AddStray(path, "not a link", batch);
        continue;
      }
      // A link folder without its file is what a deletion over the registry's
      // API leaves behind: no link.
      const absl::StatusOr<FileStat> stat = root_->Stat(path + "/link");
      if (absl::IsNotFound(stat.status())) continue;
      RECLAIM_RETURN_IF_ERROR(stat.status());
      MembershipFact fact;
      fact.repository = repository;
      fact.digest = *digest;
      fact.kind = kind;
      fact.modified = stat->modified;
      batch->memberships.push_back(std::move(fact));
    }
  }
  return absl::OkStatus();
}

void RegistryScan::ScanRevisions(const std::string& repository,
                                 ScanBatch* batch) {
  const absl::Status status =
      ScanLinks(RepositoryPath(repository) + "/_manifests/revisions",
                repository, MembershipKind::kRevision, batch);
  FinishSection(SectionKind::kRevisions, repository, -1, status, batch);
}

void RegistryScan::ScanLayers(const std::string& repository, ScanBatch* batch) {
  const absl::Status status =
      ScanLinks(RepositoryPath(repository) + "/_layers", repository,
                MembershipKind::kLayer, batch);
  FinishSection(SectionKind::kLayerLinks, repository, -1, status, batch);
}

void RegistryScan::ScanUploads(const std::string& repository,
                               ScanBatch* batch) {
  const std::string folder = RepositoryPath(repository) + "/_uploads";
  const absl::StatusOr<std::vector<DirEntry>> entries =
      ListOrEmpty(*root_, folder);
  absl::Status status = entries.status();
  for (size_t i = 0; entries.ok() && i < entries->size(); ++i) {
    const DirEntry& entry = (*entries)[i];
    const std::string path = JoinPath(folder, entry.name);
    if (entry.type != FileType::kFolder) {
      AddStray(path, "not an upload", batch);
      continue;
    }
    UploadFact fact;
    fact.repository = repository;
    fact.upload_id = entry.name;
    const absl::StatusOr<FileStat> self = root_->Stat(path);
    const absl::StatusOr<std::vector<DirEntry>> files = root_->List(path);
    if (!self.ok() || !files.ok()) continue;  // finished meanwhile
    fact.started = self->modified;
    for (const DirEntry& file : *files) {
      const absl::StatusOr<FileStat> stat =
          root_->Stat(JoinPath(path, file.name));
      if (!stat.ok() || stat->type != FileType::kFile) continue;
      fact.bytes += stat->bytes;
      fact.started = std::max(fact.started, stat->modified);
    }
    batch->uploads.push_back(std::move(fact));
  }
  FinishSection(SectionKind::kUploads, repository, -1, status, batch);
}

absl::Status RegistryScan::RunSections(std::vector<Section> sections,
                                       int thread_count) {
  std::atomic<size_t> next{0};
  base::Mutex status_mutex;
  absl::Status failed;
  const auto work = [&] {
    while (true) {
      const size_t i = next++;
      if (i >= sections.size()) return;
      if (sink_->IsCancelled()) {
        base::MutexLock lock(&status_mutex);
        failed = absl::CancelledError("the scan was cancelled");
        return;
      }
      ScanBatch batch;
      sections[i](&batch);
      const absl::Status status = Deliver(std::move(batch));
      if (status.ok()) continue;
      base::MutexLock lock(&status_mutex);
      failed = status;
      next = sections.size();
      return;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < thread_count; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return failed;
}

absl::StatusOr<ScanResult> RegistryScan::Run(int thread_count) {
  ScanBatch first;
  FindRepositories(&first);
  std::vector<Section> sections;
  const absl::StatusOr<std::vector<DirEntry>> algorithms =
      ListOrEmpty(*root_, Top("blobs"));
  if (!algorithms.ok()) {
    FinishSection(SectionKind::kBlobs, "", -1, algorithms.status(), &first);
  }
  for (size_t i = 0; algorithms.ok() && i < algorithms->size(); ++i) {
    const std::string algorithm = (*algorithms)[i].name;
    if (algorithm != "sha256" && algorithm != "sha512") {
      AddStray(Top("blobs/" + algorithm), "unknown digest algorithm", &first);
      continue;
    }
    // Every shard is a section, also those that are not there any more: what
    // the graph knows of them is gone.
    for (int shard = 0; shard < 256; ++shard) {
      const std::string hex = absl::StrCat(absl::Hex(shard, absl::kZeroPad2));
      sections.push_back([this, algorithm, hex](ScanBatch* batch) {
        ScanBlobShard(algorithm, hex, batch);
      });
    }
  }
  RECLAIM_RETURN_IF_ERROR(Deliver(std::move(first)));
  // Names before bytes would miss a push in between: blobs come first, then
  // links, then tags, so that what a tag names was there when it was read.
  for (const std::string& name : repositories_) {
    sections.push_back([this, name](ScanBatch* b) { ScanLayers(name, b); });
    sections.push_back([this, name](ScanBatch* b) { ScanRevisions(name, b); });
    sections.push_back([this, name](ScanBatch* b) { ScanTags(name, b); });
    sections.push_back([this, name](ScanBatch* b) { ScanUploads(name, b); });
  }
  RECLAIM_RETURN_IF_ERROR(RunSections(std::move(sections), thread_count));
  ScanResult result;
  result.section_count = section_count_;
  return result;
}

}  // namespace reclaim::store
