#include "store/image_layout_scan.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "oci/image_layout_index.h"
#include "store/quarantine_folder.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kIndexBytesMax = uint64_t{4} << 20;
constexpr int kDepthMax = 6;

void Find(const RootedDir& root, const std::string& folder, int depth,
          std::vector<FoundLayout>* layouts,
          std::vector<ProblemFact>* problems) {
  const absl::StatusOr<FileStat> mark =
      root.Stat(JoinPath(folder, "oci-layout"));
  if (mark.ok() && mark->type == FileType::kFile) {
    layouts->push_back({folder, LayoutRepository(root, folder)});
    return;
  }
  if (depth == 0) return;
  const absl::StatusOr<std::vector<DirEntry>> entries = root.List(folder);
  if (!entries.ok()) {
    problems->push_back({folder, entries.status(), "", std::nullopt});
    return;
  }
  for (const DirEntry& entry : *entries) {
    if (entry.type != FileType::kFolder || entry.name == kReclaimFolder) {
      continue;
    }
    Find(root, JoinPath(folder, entry.name), depth - 1, layouts, problems);
  }
}

void AddStray(const RootedDir& root, const std::string& path,
              const std::string& why, ScanBatch* batch) {
  const absl::StatusOr<FileStat> stat = root.Stat(path);
  StrayFact stray{path, why, {}};
  if (stat.ok() && stat->type == FileType::kFile) stray.bytes = stat->bytes;
  batch->strays.push_back(std::move(stray));
}

absl::Status ScanBlobs(const RootedDir& root, const FoundLayout& layout,
                       ScanBatch* batch) {
  const std::string top = JoinPath(layout.place, "blobs");
  const absl::StatusOr<std::vector<DirEntry>> algorithms = root.List(top);
  if (absl::IsNotFound(algorithms.status())) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(algorithms.status());
  for (const DirEntry& algorithm : *algorithms) {
    const std::string folder = JoinPath(top, algorithm.name);
    if (algorithm.type != FileType::kFolder) {
      AddStray(root, folder, "not a folder of blobs", batch);
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> files,
                             root.List(folder));
    for (const DirEntry& file : files) {
      const std::string path = JoinPath(folder, file.name);
      const absl::StatusOr<oci::Digest> digest =
          oci::Digest::Parse(absl::StrCat(algorithm.name, ":", file.name));
      if (!digest.ok() || file.type != FileType::kFile) {
        AddStray(root, path, "not a blob", batch);
        continue;
      }
      const absl::StatusOr<FileStat> stat = root.Stat(path);
      if (absl::IsNotFound(stat.status())) continue;  // gone meanwhile
      RECLAIM_RETURN_IF_ERROR(stat.status());
      BlobFact fact;
      fact.place = layout.place;
      fact.digest = *digest;
      fact.stat.bytes = stat->bytes;
      fact.stat.modified = stat->modified;
      if (stat->link_count > 1) {
        fact.stat.extent = Extent{stat->device, stat->inode};
      }
      batch->blobs.push_back(std::move(fact));
    }
  }
  return absl::OkStatus();
}

absl::Status ScanNames(const RootedDir& root, const FoundLayout& layout,
                       ScanBatch* batch) {
  const std::string index = JoinPath(layout.place, "index.json");
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string version,
      root.Read(JoinPath(layout.place, "oci-layout"), kIndexBytesMax));
  RECLAIM_RETURN_IF_ERROR(oci::CheckLayoutVersion(version));
  RECLAIM_ASSIGN_OR_RETURN(const std::string bytes,
                           root.Read(index, kIndexBytesMax));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<oci::LayoutEntry> entries,
                           oci::ParseLayoutIndex(bytes));
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, root.Stat(index));
  bool has_names = false;
  for (const oci::LayoutEntry& entry : entries) {
    has_names |= !entry.name.empty();
  }
  for (const oci::LayoutEntry& entry : entries) {
    const oci::Descriptor& descriptor = entry.descriptor;
    if (!entry.name.empty()) {
      batch->tags.push_back({layout.repository, entry.name, descriptor.digest,
                             descriptor.media_type, stat.modified});
      continue;
    }
    MembershipFact fact;
    fact.repository = layout.repository;
    fact.digest = descriptor.digest;
    fact.media_type = descriptor.media_type;
    fact.modified = stat.modified;
    // Where nothing has a name, being listed is the name.
    fact.is_only_name = !has_names;
    batch->memberships.push_back(std::move(fact));
  }
  return absl::OkStatus();
}

void Report(SectionKind kind, const std::string& scope,
            const absl::Status& status, ScanBatch* batch) {
  SectionReport report;
  report.kind = kind;
  report.scope = scope;
  report.state =
      status.ok() ? SectionState::kListed : SectionState::kUnreadable;
  report.error = status;
  batch->sections.push_back(std::move(report));
}

// What lies in a layout beside the three things that belong there.
void ScanStrays(const RootedDir& root, const FoundLayout& layout,
                ScanBatch* batch) {
  const absl::StatusOr<std::vector<DirEntry>> entries = root.List(layout.place);
  if (!entries.ok()) return;  // reported by the sections
  for (const DirEntry& entry : *entries) {
    if (entry.name == "blobs" || entry.name == "index.json" ||
        entry.name == "oci-layout" || entry.name == kReclaimFolder) {
      continue;
    }
    AddStray(root, JoinPath(layout.place, entry.name),
             "no part of an image layout", batch);
  }
}

}  // namespace

std::string LayoutRepository(const RootedDir& root, const Place& place) {
  if (!place.empty()) return place;
  std::string path = root.root();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::vector<FoundLayout> FindLayouts(const RootedDir& root,
                                     std::vector<ProblemFact>* problems) {
  std::vector<FoundLayout> layouts;
  Find(root, "", kDepthMax, &layouts, problems);
  return layouts;
}

absl::StatusOr<ScanResult> ScanImageLayouts(const RootedDir& root,
                                            ScanSink* sink) {
  ScanResult result;
  ScanBatch first;
  const std::vector<FoundLayout> layouts = FindLayouts(root, &first.problems);
  for (const FoundLayout& layout : layouts) {
    first.repositories.push_back({layout.repository, layout.place});
  }
  Report(
      SectionKind::kRepositories, "",
      first.problems.empty() ? absl::OkStatus() : first.problems.front().status,
      &first);
  result.section_count = 1;
  RECLAIM_RETURN_IF_ERROR(sink->Accept(std::move(first)));
  for (const FoundLayout& layout : layouts) {
    if (sink->IsCancelled()) {
      return absl::CancelledError("the scan was cancelled");
    }
    ScanBatch batch;
    const absl::Status blobs = ScanBlobs(root, layout, &batch);
    Report(SectionKind::kBlobs, layout.place, blobs, &batch);
    const absl::Status names = ScanNames(root, layout, &batch);
    Report(SectionKind::kTags, layout.repository, names, &batch);
    Report(SectionKind::kRevisions, layout.repository, names, &batch);
    if (!names.ok()) {
      batch.problems.push_back({JoinPath(layout.place, "index.json"), names,
                                layout.repository, layout.place});
    }
    ScanStrays(root, layout, &batch);
    result.section_count += 3;
    RECLAIM_RETURN_IF_ERROR(sink->Accept(std::move(batch)));
  }
  return result;
}

}  // namespace reclaim::store
