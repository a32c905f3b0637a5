#include "store/quarantine_folder.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "oci/digest.h"
#include "store/quarantine_paths.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kJournalBytesMax = uint64_t{1} << 30;
constexpr uint64_t kLinkBytesMax = 1024;
// The file of a registry's link, in a folder of its own.
constexpr char kLinkName[] = "link";
constexpr char kHashStates[] = "hashstates";

bool IsLinkRemoval(RemovalKind kind) {
  return kind == RemovalKind::kRevisionLink || kind == RemovalKind::kLayerLink;
}

// "" if there is none.
absl::StatusOr<std::string> ReadJournal(const RootedDir& root,
                                        const RunId& run_id) {
  RECLAIM_ASSIGN_OR_RETURN(
      std::optional<std::string> text,
      root.ReadIfThere(QuarantineRunPath(run_id, "/journal"),
                       kJournalBytesMax));
  return text ? *std::move(text) : std::string();
}

}  // namespace

bool IsContentRemoval(RemovalKind kind) {
  return kind == RemovalKind::kBlob || kind == RemovalKind::kUpload;
}

absl::StatusOr<QuarantineJournal*> QuarantineFolder::OpenJournal(
    const RunId& run_id) const {
  const auto [it, is_new] = journals_.try_emplace(run_id);
  QuarantineJournal* journal = &it->second;
  if (!is_new) return journal;
  const absl::StatusOr<std::string> text = ReadJournal(*root_, run_id);
  if (!text.ok()) {
    journals_.erase(it);
    return text.status();
  }
  ParseJournal(*text, journal);
  return journal;
}

absl::StatusOr<const QuarantineJournal::Item*> QuarantineFolder::FindItem(
    const QuarantineJournal& journal, const Removal& removal) const {
  const auto it = journal.items.find(removal);
  if (it != journal.items.end()) return &it->second;
  return absl::NotFoundError(
      absl::StrCat(ToString(removal), " is not in quarantine"));
}

void QuarantineFolder::RemoveEmptyParents(const std::string& path,
                                          const std::string& floor) {
  for (std::string folder = ParentPath(path); IsBelow(folder, floor);
       folder = ParentPath(folder)) {
    absl::Status removed = root_->RemoveFolder(folder);
    // One answer that it is not there is not believed.
    if (absl::IsNotFound(removed)) removed = root_->RemoveFolder(folder);
    if (absl::IsNotFound(removed)) continue;  // this one went before
    if (!removed.ok()) return;                // not empty: it stays
  }
}

absl::Status QuarantineFolder::MakeParents(const QuarantineJournal& journal,
                                           const std::string& path) {
  const std::string folder = ParentPath(path);
  if (folder.empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(folder));
  if (is_there) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(MakeParents(journal, folder));
  RECLAIM_RETURN_IF_ERROR(root_->MakeFolder(folder, 0755));
  RECLAIM_RETURN_IF_ERROR(root_->SyncFolder(ParentPath(folder)));
  const auto known = journal.folders.find(folder);
  if (known == journal.folders.end()) return absl::OkStatus();
  return root_->SetAttributes(folder, known->second);
}

absl::StatusOr<std::string> QuarantineFolder::FindNote(
    const RunId& run_id, const Removal& removal) const {
  std::string path = QuarantineNotePath(run_id, removal);
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(path));
  if (is_there) return path;
  if (!proof_) return std::string();
  path = OldQuarantineNotePath(run_id, removal);
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> note,
                           root_->ReadIfThere(path, kJournalBytesMax));
  return note && proof_(removal, *note) ? path : std::string();
}

absl::StatusOr<bool> QuarantineFolder::RemoveNote(const RunId& run_id,
                                                  const Journal::Item& item) {
  // What has files has no note.
  if (!item.paths.empty()) return false;
  RECLAIM_ASSIGN_OR_RETURN(const std::string path,
                           FindNote(run_id, item.removal));
  return path.empty() ? false : RemoveIfThere(*root_, path);
}

absl::StatusOr<bool> QuarantineFolder::IsRuin(const std::string& path,
                                              RemovalKind kind) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> all, root_->List(path));
  if (all.empty()) return true;
  if (kind == RemovalKind::kUpload) {
    return all.size() == 1 && all[0].name == kHashStates &&
           all[0].type == FileType::kFolder;
  }
  if (all.size() != 1 || all[0].name != kLinkName) return false;
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat,
                           root_->Stat(JoinPath(path, kLinkName)));
  return stat.type == FileType::kFile && stat.bytes.logical_bytes == 0;
}

absl::StatusOr<bool> QuarantineFolder::HoldsLink(
    const std::string& path, const oci::Digest& digest) const {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string text,
      root_->Read(JoinPath(path, kLinkName), kLinkBytesMax));
  return absl::StripAsciiWhitespace(text) == digest.ToString();
}

absl::Status QuarantineFolder::RemoveRuin(const std::string& path,
                                          RemovalKind kind) const {
  // A registry hashes once more what it finds no note of.
  if (kind == RemovalKind::kUpload) return root_->RemoveTree(path);
  const absl::Status removed = root_->RemoveFile(JoinPath(path, kLinkName));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  return root_->RemoveFolder(path);
}

// In one step, for the graph takes a ruin for a link: were there neither for a
// moment, and that the last one, the good one would be freed as one that was
// made anew.  What writers do to the ruin meanwhile is no loss: the path of a
// link determines what it says, so theirs says what ours says.  What has gone
// wrong after the step leaves a ruin in quarantine, where it does no harm: to
// restore it or to free it leaves the link in its place alone.
absl::Status QuarantineFolder::MoveOverRuin(const std::string& from,
                                            const std::string& path,
                                            const Removal& removal) const {
  const absl::Status moved = root_->Move(from, path);
  if (!absl::IsAlreadyExists(moved)) return moved;
  const bool is_upload = removal.kind == RemovalKind::kUpload;
  if (!IsLinkRemoval(removal.kind) && !is_upload) {
    // Of these a writer may say something else: the kernel sees to it that what
    // goes is empty.  The graph knows that they are in quarantine.
    return root_->RemoveFolder(path).ok() ? root_->Move(from, path) : moved;
  }
  const auto holds_the_same = [&] {
    return is_upload || HoldsLink(path, *removal.digest).value_or(false);
  };
  // What can't be looked at is none, and stays.
  if (IsRuin(path, removal.kind).value_or(false)) {
    const absl::Status exchanged = root_->Exchange(from, path);
    // As near as it gets, also where its folder is not ours to change.
    if (absl::IsUnimplemented(exchanged) ||
        absl::IsPermissionDenied(exchanged)) {
      return RemoveRuin(path, removal.kind).ok() ? root_->Move(from, path)
                                                 : moved;
    }
    RECLAIM_RETURN_IF_ERROR(exchanged);
  } else if (!IsRuin(from, removal.kind).value_or(false) || !holds_the_same()) {
    return moved;
  }
  // They have changed places, now or before a crash.
  RECLAIM_RETURN_IF_ERROR(root_->SyncFolder(ParentPath(path)));
  RECLAIM_RETURN_IF_ERROR(root_->SyncFolder(ParentPath(from)));
  // What was taken is in its place; what is left of the ruin goes with a purge.
  return RemoveRuin(from, removal.kind).ok() ? absl::OkStatus() : moved;
}

absl::StatusOr<RemovalBytes> QuarantineFolder::Restore(const RunId& run_id,
                                                       const Removal& removal) {
  base::MutexLock lock(&mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const QuarantineJournal* journal,
                           OpenJournal(run_id));
  RECLAIM_ASSIGN_OR_RETURN(const QuarantineJournal::Item* item,
                           FindItem(*journal, removal));
  RemovalBytes bytes;
  RECLAIM_ASSIGN_OR_RETURN(bool found, RemoveNote(run_id, *item));
  for (const std::string& path : item->paths) {
    const std::string from = QuarantineTreePath(run_id, path);
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(from));
    if (!is_there) continue;  // back already
    found = true;
    RECLAIM_RETURN_IF_ERROR(
        NotGone(AddTree(from, IsContentRemoval(removal.kind), &bytes)));
    RECLAIM_RETURN_IF_ERROR(NotGone(MakeParents(*journal, path)));
    RECLAIM_RETURN_IF_ERROR(NotGone(MoveOverRuin(from, path, removal)));
    RECLAIM_RETURN_IF_ERROR(NotGone(root_->SyncFolder(ParentPath(path))));
    RemoveEmptyParents(from, QuarantineTreePath(run_id, ""));
  }
  if (found) return bytes;
  return absl::NotFoundError(
      absl::StrCat(ToString(removal), " is not in quarantine"));
}

absl::StatusOr<RemovalBytes> QuarantineFolder::Purge(const RunId& run_id,
                                                     const Removal& removal) {
  base::MutexLock lock(&mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const QuarantineJournal* journal,
                           OpenJournal(run_id));
  RECLAIM_ASSIGN_OR_RETURN(const QuarantineJournal::Item* item,
                           FindItem(*journal, removal));
  RemovalBytes bytes;
  RECLAIM_ASSIGN_OR_RETURN(bool found, RemoveNote(run_id, *item));
  for (const std::string& path : item->paths) {
    const std::string at = QuarantineTreePath(run_id, path);
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(at));
    if (!is_there) continue;
    found = true;
    RECLAIM_RETURN_IF_ERROR(
        NotGone(AddTree(at, IsContentRemoval(removal.kind), &bytes)));
    RECLAIM_RETURN_IF_ERROR(NotGone(root_->RemoveTree(at)));
    RemoveEmptyParents(at, QuarantineTreePath(run_id, ""));
  }
  if (found) return bytes;
  return absl::NotFoundError(
      absl::StrCat(ToString(removal), " is not in quarantine"));
}

absl::StatusOr<std::vector<QuarantinedItem>> QuarantineFolder::List() const {
  base::MutexLock lock(&mutex_);
  std::vector<QuarantinedItem> items;
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::vector<DirEntry>> runs,
                           root_->ListIfThere(QuarantineTop()));
  if (!runs) return items;
  for (const DirEntry& run : *runs) {
    RECLAIM_ASSIGN_OR_RETURN(const QuarantineJournal* journal,
                             OpenJournal(run.name));
    for (const auto& [removal, item] : journal->items) {
      QuarantinedItem found{run.name, removal, {}};
      bool is_there = false;
      if (item.paths.empty()) {
        RECLAIM_ASSIGN_OR_RETURN(const std::string note,
                                 FindNote(run.name, removal));
        is_there = !note.empty();
      }
      for (const std::string& path : item.paths) {
        const std::string at = QuarantineTreePath(run.name, path);
        RECLAIM_ASSIGN_OR_RETURN(const bool has_moved, root_->Exists(at));
        if (!has_moved) continue;
        is_there = true;
        RECLAIM_RETURN_IF_ERROR(
            NotGone(AddTree(at, IsContentRemoval(removal.kind), &found.bytes)));
      }
      if (is_there) items.push_back(std::move(found));
    }
  }
  return items;
}

std::string QuarantineFolder::MovedPath(const RunId& run_id,
                                        const std::string& path) {
  return QuarantineTreePath(run_id, path);
}

absl::StatusOr<std::string> QuarantineFolder::Note(
    const RunId& run_id, const Removal& removal) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string path, FindNote(run_id, removal));
  std::optional<std::string> note;
  if (!path.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(note, root_->ReadIfThere(path, kJournalBytesMax));
  }
  if (note) return *std::move(note);
  return absl::NotFoundError(
      absl::StrCat(ToString(removal), " is not in quarantine"));
}

}  // namespace reclaim::store
