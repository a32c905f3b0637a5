// Tags, links and uploads: every one is looked at in every scan.

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "oci/name.h"
#include "store/registry_scan.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kLinkBytesMax = 1024;

std::string TagsPath(const std::string& repository) {
  return RepositoryPath(repository) + "/_manifests/tags";
}
std::string CurrentLink(const std::string& tag) {
  return tag + "/current/link";
}

absl::StatusOr<oci::Digest> ReadLink(const RootedDir& root,
                                     const std::string& path) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string text,
                           root.Read(path, kLinkBytesMax));
  return oci::Digest::Parse(absl::StripAsciiWhitespace(text));
}

absl::Status NoName() {
  return absl::FailedPreconditionError(
      "no name of a tag and no digest that is known, so nobody can say what it "
      "keeps: rename it or remove it");
}

}  // namespace

absl::Status RegistryScan::FinishNames(SectionKind kind,
                                       const std::string& repository,
                                       const absl::Status& status,
                                       SectionMark* mark, ScanBatch batch) {
  SectionReport name;
  name.kind = kind;
  name.scope = repository;
  const bool is_plain =
      status.ok() && batch.strays.empty() && batch.problems.empty();
  if (is_plain && scan_.IsUnchanged({name}, mark)) {
    return scan_.FinishUnchanged({name}, mark);
  }
  absl::Status listed = status;
  if (kind == SectionKind::kTags) listed.Update(ReadTags(repository, &batch));
  return scan_.Finish({name}, mark, listed, std::move(batch));
}

// Marks one tag.  An error makes the tags of the repository unreadable.
absl::Status RegistryScan::LookAtTag(const std::string& repository,
                                     const DirEntry& entry, SectionMark* mark,
                                     ScanBatch* batch) const {
  const std::string path = JoinPath(TagsPath(repository), entry.name);
  RECLAIM_RETURN_IF_ERROR(CheckName(path, entry.name, repository, batch));
  if (MayLeadOn(entry.type)) {
    return Tell(path, NotLookedInto(), repository, batch);
  }
  if (entry.type == FileType::kFile) {
    scan_.AddStray(path, "not a tag", batch);
    return absl::OkStatus();
  }
  const std::string link = CurrentLink(path);
  const absl::StatusOr<std::optional<FileStat>> stat = root_->StatIfThere(link);
  if (!stat.ok()) return Tell(link, stat.status(), repository, batch);
  if (!oci::IsTagName(entry.name)) {
    if (stat->has_value()) return Tell(link, NoName(), repository, batch);
    scan_.AddStray(path, "not a tag", batch);
    return absl::OkStatus();
  }
  if (!stat->has_value()) {
    mark->AddAbsent(entry.name);  // a deleted tag's history
    return absl::OkStatus();
  }
  mark->Add(entry.name, **stat);
  TagFact fact;
  fact.repository = repository;
  fact.tag = entry.name;
  fact.modified = (*stat)->modified;
  batch->tags.push_back(std::move(fact));
  return absl::OkStatus();
}

// Marks all tags; FinishNames() reads them if the mark is not known.
absl::Status RegistryScan::ScanTags(const std::string& repository) {
  ScanBatch batch;
  SectionMark mark;
  const absl::StatusOr<std::vector<DirEntry>> entries =
      ListOrEmpty(*root_, TagsPath(repository));
  absl::Status status = entries.status();
  for (size_t i = 0; entries.ok() && i < entries->size(); ++i) {
    status.Update(LookAtTag(repository, (*entries)[i], &mark, &batch));
  }
  return FinishNames(SectionKind::kTags, repository, status, &mark,
                     std::move(batch));
}

absl::Status RegistryScan::ReadTags(const std::string& repository,
                                    ScanBatch* batch) {
  absl::Status status;
  std::vector<TagFact> tags;
  for (TagFact& fact : batch->tags) {
    const std::string link =
        CurrentLink(JoinPath(TagsPath(repository), fact.tag));
    const absl::StatusOr<oci::Digest> digest = ReadLink(*root_, link);
    if (absl::IsNotFound(digest.status())) {
      const absl::StatusOr<bool> is_there = root_->Exists(link);
      if (is_there.ok() && !*is_there) continue;  // deleted meanwhile
    }
    if (!digest.ok()) {
      status = digest.status();
      batch->problems.push_back({link, status, repository, Place()});
      continue;
    }
    fact.digest = *digest;
    tags.push_back(std::move(fact));
  }
  batch->tags = std::move(tags);
  return status;
}

// A link says its digest twice: in its name, and inside.  Its size tells
// whether it was written to its end; only one of another size is opened.  An
// empty one is being written, or its registry was killed before it wrote: it
// is of what its name says, and contradicts nothing.
absl::Status RegistryScan::AddLink(const std::string& path,
                                   const FileStat& stat, MembershipFact fact,
                                   ScanBatch* batch) const {
  const std::string text = fact.digest.ToString();
  const uint64_t size = stat.bytes.logical_bytes;
  fact.is_empty = stat.type == FileType::kFile && size == 0;
  if (!fact.is_empty && (stat.type != FileType::kFile || size != text.size())) {
    const absl::StatusOr<oci::Digest> inside = ReadLink(*root_, path);
    if (absl::IsNotFound(inside.status())) {
      RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(path));
      if (!is_there) return absl::OkStatus();
    }
    const absl::Status status =
        inside.ok() && *inside != fact.digest
            ? absl::DataLossError("the link names something else than its path")
            : inside.status();
    if (!status.ok()) {
      return Tell(path, status, fact.repository, batch);
    }
  }
  fact.modified = stat.modified;
  batch->memberships.push_back(std::move(fact));
  return absl::OkStatus();
}

absl::Status RegistryScan::CheckNoLink(const RootedDir& links,
                                       const DirEntry& entry,
                                       const std::string& path,
                                       const std::string& repository,
                                       ScanBatch* batch) const {
  RECLAIM_RETURN_IF_ERROR(CheckName(path, entry.name, repository, batch));
  if (MayLeadOn(entry.type)) {
    return Tell(path, NotLookedInto(), repository, batch);
  }
  if (entry.type == FileType::kFolder) {
    RECLAIM_ASSIGN_OR_RETURN(const bool is_link,
                             links.Exists(entry.name + "/link"));
    if (is_link) return Tell(path + "/link", NoName(), repository, batch);
  }
  scan_.AddStray(path, "not a link", batch);
  return absl::OkStatus();
}

absl::Status RegistryScan::ScanLinks(const std::string& folder,
                                     const std::string& repository,
                                     MembershipKind kind, SectionMark* mark,
                                     ScanBatch* batch) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> algorithms,
                           ListOrEmpty(*root_, folder));
  absl::Status status;
  for (const DirEntry& algorithm : algorithms) {
    const std::string below = JoinPath(folder, algorithm.name);
    status.Update(CheckName(below, algorithm.name, repository, batch));
    if (MayLeadOn(algorithm.type)) {
      status.Update(Tell(below, NotLookedInto(), repository, batch));
      continue;
    }
    if (algorithm.type != FileType::kFolder) {
      scan_.AddStray(below, "not a folder", batch);
      continue;
    }
    const absl::StatusOr<std::unique_ptr<RootedDir>> links =
        root_->OpenBelow(below);
    RECLAIM_RETURN_IF_ERROR(links.status());
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries,
                             (*links)->List(""));
    for (const DirEntry& entry : entries) {
      const std::string path = JoinPath(below, entry.name);
      const absl::StatusOr<oci::Digest> digest =
          LinkedDigest(algorithm.name, entry.name);
      if (entry.type != FileType::kFolder || !digest.ok()) {
        status.Update(CheckNoLink(**links, entry, path, repository, batch));
        continue;
      }
      // A link folder without its file is what a deletion over the registry's
      // API leaves behind: no link.
      RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                               (*links)->StatIfThere(entry.name + "/link"));
      if (!stat) {
        mark->AddAbsent(entry.name);
        continue;
      }
      mark->Add(entry.name, *stat);
      MembershipFact fact;
      fact.repository = repository;
      fact.digest = *digest;
      fact.kind = kind;
      status.Update(AddLink(path + "/link", *stat, std::move(fact), batch));
    }
  }
  return status;
}

absl::Status RegistryScan::ScanRevisions(const std::string& repository) {
  ScanBatch batch;
  SectionMark mark;
  const absl::Status status =
      ScanLinks(RepositoryPath(repository) + "/_manifests/revisions",
                repository, MembershipKind::kRevision, &mark, &batch);
  return FinishNames(SectionKind::kRevisions, repository, status, &mark,
                     std::move(batch));
}

absl::Status RegistryScan::ScanLayers(const std::string& repository) {
  ScanBatch batch;
  SectionMark mark;
  const absl::Status status =
      ScanLinks(RepositoryPath(repository) + "/_layers", repository,
                MembershipKind::kLayer, &mark, &batch);
  return FinishNames(SectionKind::kLayerLinks, repository, status, &mark,
                     std::move(batch));
}

// Its files lie beside each other, but for "hashstates/ALGORITHM/OFFSET": what
// a registry needs to go on with the digest after a restart.
absl::Status RegistryScan::AddUploadFiles(const std::string& folder, int depth,
                                          UploadFact* fact,
                                          SectionMark* mark) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> files,
                           ListOrEmpty(*root_, folder));
  for (const DirEntry& file : files) {
    const std::string path = JoinPath(folder, file.name);
    if (file.type == FileType::kFolder && depth > 0) {
      RECLAIM_RETURN_IF_ERROR(AddUploadFiles(path, depth - 1, fact, mark));
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                             root_->StatIfThere(path));
    if (!stat || stat->type != FileType::kFile) continue;
    mark->Add(file.name, *stat);
    fact->bytes += stat->bytes;
    fact->started = std::max(fact->started, stat->modified);
  }
  return absl::OkStatus();
}

absl::Status RegistryScan::AddUpload(const std::string& path, UploadFact fact,
                                     SectionMark* mark,
                                     ScanBatch* batch) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> self,
                           root_->StatIfThere(path));
  if (!self) return absl::OkStatus();  // finished meanwhile
  mark->Add(fact.upload_id, *self);
  fact.started = self->modified;
  RECLAIM_RETURN_IF_ERROR(AddUploadFiles(path, kUploadDepthMax, &fact, mark));
  batch->uploads.push_back(std::move(fact));
  return absl::OkStatus();
}

absl::Status RegistryScan::ScanUploads(const std::string& repository) {
  ScanBatch batch;
  SectionMark mark;
  const std::string folder = RepositoryPath(repository) + "/_uploads";
  const absl::StatusOr<std::vector<DirEntry>> entries =
      ListOrEmpty(*root_, folder);
  absl::Status status = entries.status();
  for (size_t i = 0; entries.ok() && i < entries->size(); ++i) {
    const DirEntry& entry = (*entries)[i];
    const std::string path = JoinPath(folder, entry.name);
    const absl::Status named = CheckName(path, entry.name, repository, &batch);
    status.Update(named);
    if (!named.ok() || entry.type != FileType::kFolder) {
      scan_.AddStray(path, "not an upload", &batch);
      continue;
    }
    UploadFact fact;
    fact.repository = repository;
    fact.upload_id = entry.name;
    status.Update(AddUpload(path, std::move(fact), &mark, &batch));
  }
  return FinishNames(SectionKind::kUploads, repository, status, &mark,
                     std::move(batch));
}

}  // namespace reclaim::store
