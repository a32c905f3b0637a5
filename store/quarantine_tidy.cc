// What is left of a run's quarantine when its items have left: empty folders
// and the journal.

#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "store/quarantine_folder.h"
#include "store/quarantine_paths.h"
#include "store/rooted_dir.h"

namespace reclaim::store {
namespace {

// A folder that is there and holds something is no error, nor is one that is
// not there.
absl::Status RemoveFolderIfEmpty(const RootedDir& root,
                                 const std::string& path) {
  const absl::Status removed = root.RemoveFolder(path);
  if (absl::IsNotFound(removed) || absl::IsFailedPrecondition(removed)) {
    return absl::OkStatus();
  }
  return removed;
}

}  // namespace

void QuarantineFolder::RestoreTimes(const RunId& run_id) const {
  base::MutexLock lock(&mutex_);
  const absl::StatusOr<QuarantineJournal*> journal = OpenJournal(run_id);
  // All bytes are back; a folder's later time only makes it look younger, which
  // keeps more.
  if (!journal.ok()) return;
  for (const auto& [folder, stat] : (*journal)->folders) {
    const absl::StatusOr<FileStat> now = root_->Stat(folder);
    // Only a folder that nobody but us has changed keeps the time it had.
    if (now.ok() && now->type == FileType::kFolder && now->mode == stat.mode) {
      root_->SetAttributes(folder, stat).IgnoreError();
    }
  }
}

absl::Status QuarantineFolder::Settle(const RunId& run_id) {
  base::MutexLock lock(&mutex_);
  RECLAIM_RETURN_IF_ERROR(OpenJournal(run_id).status());
  // And those that a fault has left before.
  unsettled_.insert(run_id);
  absl::Status status;
  for (auto it = unsettled_.begin(); it != unsettled_.end();) {
    const absl::Status removed = RemoveIfEmpty(*it);
    it = removed.ok() ? unsettled_.erase(it) : std::next(it);
    status.Update(removed);
  }
  return status;
}

// Folder by folder: the kernel refuses to remove one that holds anything, so
// nothing that is quarantined can go here (I2).
absl::Status QuarantineFolder::RemoveIfEmpty(const RunId& run_id) {
  const std::string tree = QuarantineTreePath(run_id, "");
  const absl::Status removed = root_->RemoveFolder(tree);
  if (absl::IsFailedPrecondition(removed)) return absl::OkStatus();
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(tree));
  if (is_there) return NotGone(removed);
  RECLAIM_RETURN_IF_ERROR(
      RemoveIfThere(*root_, QuarantineRunPath(run_id, "/journal")).status());
  journals_.erase(run_id);
  RECLAIM_RETURN_IF_ERROR(
      RemoveFolderIfEmpty(*root_, QuarantineRunPath(run_id)));
  return RemoveEmptyTop();
}

// Both stay while other runs are there.
absl::Status QuarantineFolder::RemoveEmptyTop() {
  RECLAIM_RETURN_IF_ERROR(RemoveFolderIfEmpty(*root_, QuarantineTop()));
  return RemoveFolderIfEmpty(*root_, kReclaimFolder);
}

absl::Status QuarantineFolder::RemoveEmptyFolders(const RunId& run_id) {
  RECLAIM_ASSIGN_OR_RETURN(const QuarantineJournal* journal,
                           OpenJournal(run_id));
  for (const auto& [removal, item] : journal->items) {
    for (const std::string& path : item.paths) {
      const std::string at = QuarantineTreePath(run_id, path);
      RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(at));
      if (is_there) continue;
      RemoveEmptyParents(at, QuarantineTreePath(run_id, ""));
    }
  }
  return absl::OkStatus();
}

absl::Status QuarantineFolder::Tidy() {
  base::MutexLock lock(&mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::vector<DirEntry>> runs,
                           root_->ListIfThere(QuarantineTop()));
  // Where the last removal broke off, an empty folder is all that is left.
  if (!runs || runs->empty()) return RemoveEmptyTop();
  for (const DirEntry& run : *runs) {
    const std::string tree = QuarantineTreePath(run.name, "");
    const absl::StatusOr<std::vector<DirEntry>> entries = root_->List(tree);
    for (size_t i = 0; entries.ok() && i < entries->size(); ++i) {
      const std::string& name = (*entries)[i].name;
      if (!RootedDir::IsTemporary(name)) continue;
      RECLAIM_RETURN_IF_ERROR(
          RemoveIfThere(*root_, JoinPath(tree, name)).status());
    }
    RECLAIM_RETURN_IF_ERROR(RemoveEmptyFolders(run.name));
    RECLAIM_RETURN_IF_ERROR(RemoveIfEmpty(run.name));
  }
  return absl::OkStatus();
}

}  // namespace reclaim::store
