// The three steps by which a batch of removals comes into quarantine.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "store/quarantine_folder.h"
#include "store/quarantine_journal.h"
#include "store/quarantine_paths.h"
#include "store/rooted_dir.h"

namespace reclaim::store {
namespace {

absl::Status NotThere(const Removal& removal) {
  return absl::NotFoundError(absl::StrCat(ToString(removal), " is not there"));
}

// Syncs folders, each once; who asks again gets the first answer.
class FolderSyncs {
 public:
  explicit FolderSyncs(const RootedDir* root) : root_(root) {}

  absl::Status Sync(const std::string& folder) {
    const auto [it, is_new] = done_.try_emplace(folder);
    if (is_new) it->second = NotGone(root_->SyncFolder(folder));
    return it->second;
  }

 private:
  const RootedDir* root_;
  std::map<std::string, absl::Status> done_;
};

}  // namespace

absl::StatusOr<QuarantineJournal*> QuarantineFolder::BeginJournal(
    const RunId& run_id) {
  RECLAIM_RETURN_IF_ERROR(root_->MakeFolders(QuarantineTreePath(run_id, "")));
  RECLAIM_ASSIGN_OR_RETURN(QuarantineJournal * journal, OpenJournal(run_id));
  if (!journal->items.empty()) return journal;
  // Whoever made them may have gone before he synced them.
  for (std::string folder = QuarantineRunPath(run_id); !folder.empty();) {
    folder = ParentPath(folder);
    RECLAIM_RETURN_IF_ERROR(root_->SyncFolder(folder));
  }
  return journal;
}

absl::Status QuarantineFolder::AddFolders(
    const RunId& run_id, const RemovalPaths& paths, QuarantineJournal** journal,
    std::map<std::string, FileStat>* folders) {
  if (*journal == nullptr) {
    RECLAIM_ASSIGN_OR_RETURN(*journal, BeginJournal(run_id));
  }
  for (const std::string& path : paths.paths) {
    for (std::string folder = ParentPath(path);
         !folder.empty() &&
         (IsBelow(folder, paths.floor) || folder == paths.floor);
         folder = ParentPath(folder)) {
      if ((*journal)->folders.count(folder) > 0) break;
      if (folders->count(folder) > 0) break;
      const absl::StatusOr<FileStat> stat = root_->Stat(folder);
      if (absl::IsNotFound(stat.status())) {
        RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(folder));
        if (!is_there) continue;
      }
      RECLAIM_RETURN_IF_ERROR(stat.status());
      folders->emplace(folder, *stat);
    }
  }
  return absl::OkStatus();
}

void QuarantineFolder::Remember(const RunId& run_id,
                                absl::Span<Departure> batch) {
  base::MutexLock lock(&mutex_);
  std::vector<Departure*> told;
  std::map<std::string, FileStat> folders;
  std::string items;
  QuarantineJournal* journal = nullptr;
  for (Departure& departure : batch) {
    if (departure.paths.paths.empty() && departure.note.empty()) {
      departure.status.Update(NotThere(departure.removal));
    }
    if (!departure.status.ok()) continue;
    departure.status =
        NotGone(AddFolders(run_id, departure.paths, &journal, &folders));
    if (!departure.status.ok()) continue;
    items += JournalLine(departure.removal, departure.paths.paths);
    told.push_back(&departure);
  }
  if (told.empty()) return;
  // What an append that failed has left must not join with the next line.
  std::string lines = "\n";
  for (const auto& [folder, stat] : folders) lines += JournalLine(folder, stat);
  lines += items;
  const absl::Status appended =
      NotGone(root_->Append(QuarantineRunPath(run_id, "/journal"), lines));
  for (Departure* departure : told) {
    departure->status = appended;
    if (!appended.ok()) continue;
    journal->items[departure->removal] = {departure->removal,
                                          departure->paths.paths};
  }
  if (!appended.ok()) return;
  journal->folders.merge(folders);
  MakeWays(run_id, told);
}

void QuarantineFolder::MakeWays(const RunId& run_id,
                                absl::Span<Departure* const> batch) {
  FolderSyncs syncs(root_);
  std::vector<std::vector<std::string>> made(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    for (const std::string& path : batch[i]->paths.paths) {
      batch[i]->status.Update(NotGone(root_->MakeFolders(
          ParentPath(QuarantineTreePath(run_id, path)), &made[i])));
    }
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    for (const std::string& folder : made[i]) {
      batch[i]->status.Update(syncs.Sync(ParentPath(folder)));
    }
  }
}

// For a folder that a writer takes away meanwhile, the one above answers.
absl::Status QuarantineFolder::SyncNearest(std::string folder) const {
  while (true) {
    const absl::Status synced = root_->SyncFolder(folder);
    if (!absl::IsNotFound(synced) || folder.empty()) return synced;
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(folder));
    if (is_there) return synced;
    folder = ParentPath(folder);
  }
}

absl::StatusOr<bool> QuarantineFolder::MovePath(const std::string& from,
                                                const std::string& to) {
  // Some may have gone with what came back.
  std::vector<std::string> made;
  RECLAIM_RETURN_IF_ERROR(root_->MakeFolders(ParentPath(to), &made));
  for (const std::string& folder : made) {
    RECLAIM_RETURN_IF_ERROR(NotGone(root_->SyncFolder(ParentPath(folder))));
  }
  const absl::Status moved = root_->Move(from, to);
  if (absl::IsNotFound(moved)) {
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(from));
    if (!is_there) return false;
  }
  RECLAIM_RETURN_IF_ERROR(NotGone(moved));
  return true;
}

absl::Status QuarantineFolder::MoveAll(const RunId& run_id,
                                       Departure* departure) {
  const Removal& removal = departure->removal;
  const std::string& note = departure->note;
  for (const std::string& path : departure->paths.paths) {
    RECLAIM_ASSIGN_OR_RETURN(const RemovalBytes weight,
                             Weigh(path, IsContentRemoval(removal.kind)));
    departure->bytes += weight;
  }
  if (!note.empty()) {
    RECLAIM_RETURN_IF_ERROR(NotGone(root_->WriteAtomically(
        QuarantineNotePath(run_id, removal), note, 0600)));
  }
  for (const std::string& path : departure->paths.paths) {
    RECLAIM_ASSIGN_OR_RETURN(const bool has_moved,
                             MovePath(path, QuarantineTreePath(run_id, path)));
    if (has_moved) departure->moved.push_back(path);
  }
  if (!note.empty() || !departure->moved.empty()) return absl::OkStatus();
  return NotThere(removal);
}

void QuarantineFolder::Move(const RunId& run_id, Departure* departure) {
  if (!departure->status.ok()) return;
  base::MutexLock lock(&mutex_);
  departure->status = MoveAll(run_id, departure);
}

// Where a name has come is synced before where it has gone from.
void QuarantineFolder::Finish(const RunId& run_id,
                              absl::Span<Departure> batch) {
  base::MutexLock lock(&mutex_);
  FolderSyncs entered(root_);
  for (Departure& departure : batch) {
    for (const std::string& path : departure.moved) {
      if (!departure.status.ok()) break;
      departure.status =
          entered.Sync(ParentPath(QuarantineTreePath(run_id, path)));
    }
  }
  std::map<std::string, absl::Status> left;
  for (Departure& departure : batch) {
    for (const std::string& path : departure.moved) {
      if (!departure.status.ok()) break;
      const auto [it, is_new] = left.try_emplace(ParentPath(path));
      if (is_new) it->second = NotGone(SyncNearest(it->first));
      departure.status = it->second;
    }
  }
  for (const Departure& departure : batch) {
    // Where nothing came.
    for (const std::string& path : departure.paths.paths) {
      if (departure.moved.size() == departure.paths.paths.size()) break;
      RemoveEmptyParents(QuarantineTreePath(run_id, path),
                         QuarantineTreePath(run_id, ""));
    }
    if (!departure.status.ok()) continue;
    for (const std::string& path : departure.moved) {
      RemoveEmptyParents(path, departure.paths.floor);
    }
  }
}

}  // namespace reclaim::store
