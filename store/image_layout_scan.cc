#include "store/image_layout_scan.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "oci/digest.h"
#include "oci/image_layout_index.h"
#include "store/layout_index_file.h"
#include "store/quarantine_folder.h"
#include "store/section_scan.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kIndexBytesMax = uint64_t{4} << 20;

absl::Status NoMark() {
  return absl::FailedPreconditionError(
      "beside it there is no file oci-layout: what it names is kept, and not "
      "looked at; put the file there, or remove the folder");
}

// A change of index.json that is under way, or broke off.
absl::Status CheckSettled(const RootedDir& root, const Place& place) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries,
                           root.List(place));
  for (const DirEntry& entry : entries) {
    if (!LayoutIndexFile::IsHeldBack(entry.name)) continue;
    return absl::UnavailableError(absl::StrCat(
        JoinPath(place, entry.name),
        " may hold names that are not in index.json: a change is under way, or "
        "broke off; scan again, or restart reclaimd"));
  }
  return absl::OkStatus();
}

// The names that an index.json gives.
//
// Of entries with one name the first is the tag, as tools take it.  The others
// are named as well, so they are kept like what nothing but its entry names: a
// tag leads to one image only.
void AddNames(const std::string& repository,
              const std::vector<oci::Descriptor>& entries, absl::Time modified,
              ScanBatch* batch) {
  bool has_names = false;
  for (const oci::Descriptor& entry : entries) {
    has_names |= !entry.name.empty();
  }
  std::map<std::string, oci::Digest> tags;
  std::map<oci::Digest, MembershipFact> members;
  for (const oci::Descriptor& entry : entries) {
    if (!entry.name.empty()) {
      const auto [tag, is_first] = tags.try_emplace(entry.name, entry.digest);
      if (is_first) {
        batch->tags.push_back(
            {repository, entry.name, entry.digest, entry.media_type, modified});
      }
      if (tag->second == entry.digest) continue;
    }
    MembershipFact& fact = members[entry.digest];
    fact.repository = repository;
    fact.digest = entry.digest;
    if (fact.media_type.empty()) fact.media_type = entry.media_type;
    fact.modified = modified;
    // Where nothing has a name, being listed is the name.
    fact.is_only_name |= !has_names || !entry.name.empty();
  }
  for (auto& [digest, fact] : members) {
    batch->memberships.push_back(std::move(fact));
  }
}

// Where a folder of blobs is a link they may be those of another layout, which
// knows nothing of the names of this one: the whole store is kept.
void TellOfShared(const std::string& path, ScanBatch* batch) {
  batch->problems.push_back({path, NotLookedInto(), "", std::nullopt});
}

// OK for a name that can be recorded; else that it can't be is told, in the
// scope of `place`, and returned.
absl::Status CheckName(const std::string& path, const std::string& name,
                       const Place& place, ScanBatch* batch) {
  const absl::Status status = CheckIsText(name);
  if (!status.ok()) batch->problems.push_back({path, status, "", place});
  return status;
}

// The scan of one store: what its layouts hold.
class LayoutScan {
 public:
  LayoutScan(const RootedDir* root, const ScanRequest* request, ScanSink* sink)
      : root_(*root), scan_(root, request, sink) {}

  absl::StatusOr<ScanResult> Run();

 private:
  absl::Status LookAtBlobs(const Place& place, SectionMark* mark) const;
  absl::Status ListBlobs(const Place& place, SectionMark* mark,
                         ScanBatch* batch);
  absl::Status ListFolder(const Place& place, const std::string& algorithm,
                          SectionMark* mark, ScanBatch* batch);
  absl::Status LookAtNames(const Place& place, SectionMark* mark) const;
  absl::Status ReadNames(const FoundLayout& layout, ScanBatch* batch) const;
  absl::Status ScanNames(const FoundLayout& layout);
  absl::Status ScanStrays(const FoundLayout& layout);
  bool LeadsToLayout(const std::string& folder) const;

  const RootedDir& root_;
  std::set<Place> places_;  // of layouts
  SectionScan scan_;
};

absl::Status LayoutScan::LookAtBlobs(const Place& place,
                                     SectionMark* mark) const {
  const std::string top = JoinPath(place, "blobs");
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                           root_.StatIfThere(top));
  if (!stat) {
    mark->AddAbsent(top);
    return absl::OkStatus();
  }
  mark->Add(top, *stat);
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> algorithms,
                           root_.List(top));
  for (const DirEntry& algorithm : algorithms) {
    RECLAIM_ASSIGN_OR_RETURN(const FileStat folder,
                             root_.Stat(JoinPath(top, algorithm.name)));
    mark->Add(algorithm.name, folder);
  }
  return absl::OkStatus();
}

absl::Status LayoutScan::ListBlobs(const Place& place, SectionMark* mark,
                                   ScanBatch* batch) {
  const std::string top = JoinPath(place, "blobs");
  const absl::StatusOr<std::vector<DirEntry>> algorithms = root_.List(top);
  if (absl::IsNotFound(algorithms.status())) {
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_.Exists(top));
    if (!is_there) return absl::OkStatus();
  }
  RECLAIM_RETURN_IF_ERROR(algorithms.status());
  absl::Status status;
  for (const DirEntry& algorithm : *algorithms) {
    const std::string path = JoinPath(top, algorithm.name);
    status.Update(CheckName(path, algorithm.name, place, batch));
    if (MayLeadOn(algorithm.type)) {
      TellOfShared(path, batch);
      continue;
    }
    if (algorithm.type != FileType::kFolder) {
      scan_.AddStray(path, "not a folder of blobs", batch);
      continue;
    }
    status.Update(ListFolder(place, algorithm.name, mark, batch));
  }
  return status;
}

absl::Status LayoutScan::ListFolder(const Place& place,
                                    const std::string& algorithm,
                                    SectionMark* mark, ScanBatch* batch) {
  const std::string path = JoinPath(JoinPath(place, "blobs"), algorithm);
  RECLAIM_ASSIGN_OR_RETURN(const std::unique_ptr<RootedDir> folder,
                           root_.OpenBelow(path));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> files, folder->List(""));
  absl::Status status;
  for (const DirEntry& file : files) {
    status.Update(
        CheckName(JoinPath(path, file.name), file.name, place, batch));
    const absl::StatusOr<oci::Digest> digest =
        oci::Digest::Parse(absl::StrCat(algorithm, ":", file.name));
    if (!digest.ok() || file.type != FileType::kFile) {
      scan_.AddStray(JoinPath(path, file.name), "not a blob", batch);
      continue;
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                             folder->StatIfThere(file.name));
    if (!stat) continue;  // gone meanwhile
    if (stat->type != FileType::kFile) {
      scan_.AddStray(JoinPath(path, file.name), "not a blob", batch);
      continue;
    }
    scan_.AddBlob(place, *digest, *stat, mark, batch);
  }
  return status;
}

absl::Status LayoutScan::LookAtNames(const Place& place,
                                     SectionMark* mark) const {
  for (const char* file : {"oci-layout", "index.json"}) {
    RECLAIM_ASSIGN_OR_RETURN(const FileStat stat,
                             root_.Stat(JoinPath(place, file)));
    mark->Add(file, stat);
  }
  return absl::OkStatus();
}

absl::Status LayoutScan::ReadNames(const FoundLayout& layout,
                                   ScanBatch* batch) const {
  const std::string index = JoinPath(layout.place, "index.json");
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string version,
      root_.Read(JoinPath(layout.place, "oci-layout"), kIndexBytesMax));
  RECLAIM_RETURN_IF_ERROR(oci::CheckLayoutVersion(version));
  RECLAIM_ASSIGN_OR_RETURN(const std::string bytes,
                           root_.Read(index, kIndexBytesMax));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<oci::Descriptor> entries,
                           oci::ParseLayoutIndex(bytes));
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, root_.Stat(index));
  RECLAIM_RETURN_IF_ERROR(CheckSettled(root_, layout.place));
  AddNames(layout.repository, entries, stat.modified, batch);
  return absl::OkStatus();
}

absl::Status LayoutScan::ScanNames(const FoundLayout& layout) {
  std::vector<SectionReport> names(2);
  names[0].kind = SectionKind::kTags;
  names[1].kind = SectionKind::kRevisions;
  for (SectionReport& name : names) name.scope = layout.repository;
  SectionMark mark;
  absl::Status status =
      layout.has_mark ? LookAtNames(layout.place, &mark) : NoMark();
  if (status.ok() && scan_.IsUnchanged(names, &mark)) {
    return scan_.FinishUnchanged(std::move(names), &mark);
  }
  ScanBatch batch;
  if (status.ok()) status = ReadNames(layout, &batch);
  if (!status.ok()) {
    batch.problems.push_back({JoinPath(layout.place, "index.json"), status,
                              layout.repository, layout.place});
  }
  return scan_.Finish(std::move(names), &mark, status, std::move(batch));
}

bool LayoutScan::LeadsToLayout(const std::string& folder) const {
  const auto below = places_.lower_bound(absl::StrCat(folder, "/"));
  return places_.count(folder) > 0 ||
         (below != places_.end() &&
          absl::StartsWith(*below, absl::StrCat(folder, "/")));
}

// What lies in a layout beside the three things that belong there.
absl::Status LayoutScan::ScanStrays(const FoundLayout& layout) {
  const absl::StatusOr<std::vector<DirEntry>> entries =
      root_.List(layout.place);
  if (!entries.ok()) return absl::OkStatus();  // reported by the sections
  ScanBatch batch;
  for (const DirEntry& entry : *entries) {
    if (entry.name == "blobs" && MayLeadOn(entry.type)) {
      TellOfShared(JoinPath(layout.place, entry.name), &batch);
    }
    if (entry.name == "blobs" || entry.name == "index.json" ||
        entry.name == "oci-layout" || entry.name == kReclaimFolder ||
        LeadsToLayout(JoinPath(layout.place, entry.name))) {
      continue;
    }
    const std::string path = JoinPath(layout.place, entry.name);
    // Told, and the scope is kept: the rest is read all the same.
    CheckName(path, entry.name, layout.place, &batch).IgnoreError();
    scan_.AddStray(path, "no part of an image layout", &batch);
  }
  return batch.strays.empty() && batch.problems.empty()
             ? absl::OkStatus()
             : scan_.Deliver(std::move(batch));
}

absl::StatusOr<ScanResult> LayoutScan::Run() {
  RECLAIM_RETURN_IF_ERROR(scan_.Open(StoreKind::kImageLayout));
  ScanBatch first;
  const std::vector<FoundLayout> layouts = FindLayouts(root_, &first.problems);
  SectionReport repositories;
  if (!first.problems.empty()) {
    repositories.state = SectionState::kUnreadable;
    repositories.error = first.problems.front().status;
  }
  first.sections.push_back(std::move(repositories));
  for (const FoundLayout& layout : layouts) {
    if (!layout.is_nameless) {
      first.repositories.push_back({layout.repository, layout.place});
    }
    places_.insert(layout.place);
  }
  RECLAIM_RETURN_IF_ERROR(scan_.Deliver(std::move(first)));
  std::vector<SectionScan::BlobSection> blobs;
  std::vector<SectionScan::Work> names;
  for (const FoundLayout& layout : layouts) {
    SectionScan::BlobSection section;
    section.name.kind = SectionKind::kBlobs;
    section.name.scope = layout.place;
    section.look = [this, &layout](SectionMark* mark) {
      return LookAtBlobs(layout.place, mark);
    };
    section.list = [this, &layout](SectionMark* mark, ScanBatch* batch) {
      return ListBlobs(layout.place, mark, batch);
    };
    blobs.push_back(std::move(section));
    names.push_back([this, &layout] { return ScanStrays(layout); });
    if (layout.is_nameless) continue;
    names.push_back([this, &layout] { return ScanNames(layout); });
  }
  RECLAIM_RETURN_IF_ERROR(scan_.ScanBlobs(std::move(blobs)));
  RECLAIM_RETURN_IF_ERROR(scan_.RunAll(names));
  RECLAIM_ASSIGN_OR_RETURN(ScanResult result, scan_.Result());
  ++result.section_count;
  return result;
}

}  // namespace

absl::StatusOr<ScanResult> ScanImageLayouts(const RootedDir& root,
                                            const ScanRequest& request,
                                            ScanSink* sink) {
  return LayoutScan(&root, &request, sink).Run();
}

}  // namespace reclaim::store
