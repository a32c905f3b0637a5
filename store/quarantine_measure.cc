// What a quarantine would move, in bytes.

#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "store/quarantine_folder.h"
#include "store/quarantine_paths.h"

namespace reclaim::store {
namespace {

constexpr int kAttemptMax = 3;

}  // namespace

bool QuarantineFolder::IsBelow(const std::string& path,
                               const std::string& floor) {
  return !path.empty() && path != floor &&
         (floor.empty() || absl::StartsWith(path, floor + "/"));
}

absl::Status QuarantineFolder::AddTree(const std::string& path, bool is_content,
                                       RemovalBytes* bytes,
                                       std::vector<FileStat>* shared) const {
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, root_->Stat(path));
  if (stat.type != FileType::kFolder) {
    // A file with other names frees nothing until the last of them goes.
    const bool is_shared = stat.link_count > 1;
    if (!is_shared) {
      (is_content ? bytes->content : bytes->metadata) += stat.bytes;
    } else if (is_content) {
      bytes->held += stat.bytes;
      if (shared != nullptr) shared->push_back(stat);
    }
    return absl::OkStatus();
  }
  bytes->metadata += stat.bytes;
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries,
                           root_->List(path));
  for (const DirEntry& entry : entries) {
    RECLAIM_RETURN_IF_ERROR(
        AddTree(JoinPath(path, entry.name), is_content, bytes, shared));
  }
  return absl::OkStatus();
}

absl::StatusOr<RemovalBytes> QuarantineFolder::Weigh(
    const std::string& path, bool is_content,
    std::vector<FileStat>* shared) const {
  for (int attempt = 1;; ++attempt) {
    RemovalBytes bytes;
    std::vector<FileStat> found;
    const absl::Status added = AddTree(path, is_content, &bytes, &found);
    if (added.ok()) {
      if (shared != nullptr) *shared = std::move(found);
      return bytes;
    }
    if (!absl::IsNotFound(added)) return added;
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(path));
    if (!is_there) return RemovalBytes();
    if (attempt < kAttemptMax) continue;
    return absl::UnavailableError(
        absl::StrCat(added.message(), "; it was there a moment ago"));
  }
}

absl::StatusOr<RemovalBytes> QuarantineFolder::WeighMoved(
    const RunId& run_id, const Removal& removal) const {
  base::MutexLock lock(&mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const QuarantineJournal* journal,
                           OpenJournal(run_id));
  RECLAIM_ASSIGN_OR_RETURN(const QuarantineJournal::Item* item,
                           FindItem(*journal, removal));
  RemovalBytes bytes;
  for (const std::string& path : item->paths) {
    RECLAIM_ASSIGN_OR_RETURN(const RemovalBytes weight,
                             Weigh(QuarantineTreePath(run_id, path),
                                   IsContentRemoval(removal.kind)));
    bytes += weight;
  }
  return bytes;
}

bool QuarantineFolder::Meter::IsGone(const std::string& path) const {
  return gone_.contains(absl::HashOf(path));
}

// What lies below something that goes is counted with it.
bool QuarantineFolder::Meter::IsBelowGone(const std::string& path) const {
  for (std::string at = ParentPath(path); !at.empty(); at = ParentPath(at)) {
    if (IsGone(at)) return true;
  }
  return false;
}

void QuarantineFolder::Meter::NoteShared(const SharedFile& name) {
  Names& names = files_[name.file];
  ++names.going;
  names.all = name.link_count;
  names.bytes = name.bytes;
}

absl::Status QuarantineFolder::Meter::Add(const Measured& removals,
                                          std::vector<SharedFile>* shared) {
  struct Going {
    size_t number;
    const std::string* path;
  };
  std::vector<Going> going;
  for (size_t i = 0; i < removals.size(); ++i) {
    for (const std::string& path : removals[i].second.paths) {
      if (!gone_.insert(absl::HashOf(path)).second) continue;
      going.push_back({i, &path});
    }
  }
  for (const Going& one : going) {
    if (IsBelowGone(*one.path)) continue;
    const auto& [removal, paths] = removals[one.number];
    std::vector<FileStat> found;
    RECLAIM_ASSIGN_OR_RETURN(
        const RemovalBytes weight,
        folder_->Weigh(*one.path, IsContentRemoval(removal.kind), &found));
    bytes_ += weight;
    for (const FileStat& file : found) {
      shared->push_back(
          {one.number, {file.device, file.inode}, file.link_count, file.bytes});
      NoteShared(shared->back());
    }
    floors_[ParentPath(*one.path)] = paths.floor;
  }
  return absl::OkStatus();
}

// Folders that become empty, last in order first: a parent is known to go once
// all of its entries go.
absl::Status QuarantineFolder::Meter::AddEmptied() {
  const RootedDir* root = folder_->root_;
  while (!floors_.empty()) {
    const auto deepest = std::prev(floors_.end());
    const std::string folder = deepest->first;
    const std::string floor = deepest->second;
    floors_.erase(deepest);
    if (!IsBelow(folder, floor) || IsGone(folder)) continue;
    const absl::StatusOr<std::vector<DirEntry>> entries = root->List(folder);
    if (!entries.ok()) continue;
    bool is_empty = true;
    for (const DirEntry& entry : *entries) {
      is_empty &= IsGone(JoinPath(folder, entry.name));
    }
    if (!is_empty) continue;
    const absl::StatusOr<FileStat> stat = root->Stat(folder);
    if (absl::IsNotFound(stat.status())) continue;  // a writer was faster
    RECLAIM_RETURN_IF_ERROR(stat.status());
    bytes_.metadata += stat->bytes;
    gone_.insert(absl::HashOf(folder));
    floors_.emplace(ParentPath(folder), floor);
  }
  return absl::OkStatus();
}

absl::StatusOr<RemovalBytes> QuarantineFolder::Meter::Finish() {
  RECLAIM_RETURN_IF_ERROR(AddEmptied());
  // A file all of whose names go is freed with the last of them.
  bytes_.held = {};
  for (const auto& [file, names] : files_) {
    (names.going >= names.all ? bytes_.content : bytes_.held) += names.bytes;
  }
  return bytes_;
}

absl::StatusOr<Measurement> QuarantineFolder::Measure(
    const Measured& removals) const {
  Meter meter(this);
  std::vector<SharedFile> shared;
  RECLAIM_RETURN_IF_ERROR(meter.Add(removals, &shared));
  RECLAIM_ASSIGN_OR_RETURN(Measurement measured, meter.Finish());
  measured.shared = std::move(shared);
  return measured;
}

}  // namespace reclaim::store
