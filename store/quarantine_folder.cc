#include "store/quarantine_folder.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace reclaim::store {
namespace {

using nlohmann::json;

constexpr uint64_t kJournalBytesMax = uint64_t{1} << 30;

std::string RunPath(const RunId& run_id) {
  return absl::StrCat(kReclaimFolder, "/quarantine/", run_id);
}
std::string TreePath(const RunId& run_id, absl::string_view path) {
  return JoinPath(absl::StrCat(RunPath(run_id), "/tree"), path);
}
std::string JournalPath(const RunId& run_id) {
  return RunPath(run_id) + "/journal";
}
// A note lies beside the moved files, in a file of its own.
std::string NotePath(const RunId& run_id, const Removal& removal) {
  const oci::Digest name = oci::Digest::Sha256Of(ToString(removal));
  return TreePath(run_id, absl::StrCat(".note-", name.hex()));
}

std::string ToLine(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

json ToJson(const Removal& removal) {
  return {{"kind", static_cast<int>(removal.kind)},
          {"place", removal.place},
          {"repository", removal.repository},
          {"tag", removal.tag},
          {"upload", removal.upload_id},
          {"digest", removal.digest ? removal.digest->ToString() : ""}};
}

Removal RemovalFrom(const json& value) {
  Removal removal;
  removal.kind = static_cast<RemovalKind>(value.value("kind", 0));
  removal.place = value.value("place", "");
  removal.repository = value.value("repository", "");
  removal.tag = value.value("tag", "");
  removal.upload_id = value.value("upload", "");
  const auto digest = oci::Digest::Parse(value.value("digest", ""));
  if (digest.ok()) removal.digest = *digest;
  return removal;
}

json ToJson(const std::string& path, const FileStat& stat) {
  return {{"folder", path},
          {"mode", stat.mode},
          {"uid", stat.uid},
          {"gid", stat.gid},
          {"modified", absl::ToUnixNanos(stat.modified)}};
}

FileStat FolderFrom(const json& value) {
  FileStat stat;
  stat.type = FileType::kFolder;
  stat.mode = value.value("mode", 0755u);
  stat.uid = value.value("uid", 0u);
  stat.gid = value.value("gid", 0u);
  stat.modified = absl::FromUnixNanos(value.value("modified", int64_t{0}));
  return stat;
}

bool IsBelow(const std::string& path, const std::string& floor) {
  return !path.empty() && path != floor &&
         (floor.empty() || absl::StartsWith(path, floor + "/"));
}

}  // namespace

bool IsContentRemoval(RemovalKind kind) {
  return kind == RemovalKind::kBlob || kind == RemovalKind::kUpload;
}

absl::Status QuarantineFolder::AddTree(const std::string& path, bool is_content,
                                       RemovalBytes* bytes) const {
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, root_->Stat(path));
  if (stat.type != FileType::kFolder) {
    // A file with other names frees nothing until the last of them goes; the
    // caller counts those (extents).
    const Bytes freed = stat.link_count > 1 ? Bytes() : stat.bytes;
    (is_content ? bytes->content : bytes->metadata) += freed;
    return absl::OkStatus();
  }
  bytes->metadata += stat.bytes;
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries,
                           root_->List(path));
  for (const DirEntry& entry : entries) {
    RECLAIM_RETURN_IF_ERROR(
        AddTree(JoinPath(path, entry.name), is_content, bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<QuarantineFolder::Journal*> QuarantineFolder::OpenJournal(
    const RunId& run_id) const {
  const auto [it, is_new] = journals_.try_emplace(run_id);
  Journal* journal = &it->second;
  if (!is_new) return journal;
  const absl::StatusOr<std::string> text =
      root_->Read(JournalPath(run_id), kJournalBytesMax);
  if (absl::IsNotFound(text.status())) return journal;
  if (!text.ok()) {
    journals_.erase(it);
    return text.status();
  }
  for (const absl::string_view line :
       absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    // A torn last line belongs to an item whose moves had not begun.
    const json value = json::parse(line.begin(), line.end(), nullptr,
                                   /*allow_exceptions=*/false);
    if (!value.is_object()) continue;
    if (value.contains("folder") && value["folder"].is_string()) {
      journal->folders.emplace(value["folder"].get<std::string>(),
                               FolderFrom(value));
    } else if (value.contains("removal") && value["removal"].is_object() &&
               value.contains("paths") && value["paths"].is_array()) {
      Item item;
      item.removal = RemovalFrom(value["removal"]);
      for (const json& path : value["paths"]) {
        if (path.is_string()) item.paths.push_back(path.get<std::string>());
      }
      journal->items[item.removal] = std::move(item);
    }
  }
  return journal;
}

absl::StatusOr<const QuarantineFolder::Item*> QuarantineFolder::FindItem(
    const Journal& journal, const Removal& removal) const {
  const auto it = journal.items.find(removal);
  if (it != journal.items.end()) return &it->second;
  return absl::NotFoundError(
      absl::StrCat(ToString(removal), " is not in quarantine"));
}

absl::Status QuarantineFolder::Remember(const RunId& run_id,
                                        const Removal& removal,
                                        const RemovalPaths& paths) {
  RECLAIM_RETURN_IF_ERROR(
      root_->MakeFolders(absl::StrCat(RunPath(run_id), "/tree")));
  RECLAIM_ASSIGN_OR_RETURN(Journal * journal, OpenJournal(run_id));
  std::string lines;
  for (const std::string& path : paths.paths) {
    for (std::string folder = ParentPath(path);
         !folder.empty() &&
         (IsBelow(folder, paths.floor) || folder == paths.floor);
         folder = ParentPath(folder)) {
      if (journal->folders.count(folder) > 0) break;
      RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, root_->Stat(folder));
      journal->folders.emplace(folder, stat);
      lines += ToLine(ToJson(folder, stat));
    }
  }
  lines += ToLine({{"removal", ToJson(removal)}, {"paths", paths.paths}});
  journal->items[removal] = {removal, paths.paths};
  return root_->Append(JournalPath(run_id), lines);
}

void QuarantineFolder::RemoveEmptyParents(const std::string& path,
                                          const std::string& floor) {
  for (std::string folder = ParentPath(path); IsBelow(folder, floor);
       folder = ParentPath(folder)) {
    if (!root_->RemoveFolder(folder).ok()) return;  // not empty: it stays
  }
}

absl::StatusOr<RemovalBytes> QuarantineFolder::Quarantine(
    const RunId& run_id, const Removal& removal, const RemovalPaths& paths,
    const std::string& note) {
  if (paths.paths.empty() && note.empty()) {
    return absl::NotFoundError(
        absl::StrCat(ToString(removal), " is not there"));
  }
  std::lock_guard<std::mutex> lock(mutex_);
  RemovalBytes bytes;
  for (const std::string& path : paths.paths) {
    RECLAIM_RETURN_IF_ERROR(
        AddTree(path, IsContentRemoval(removal.kind), &bytes));
  }
  RECLAIM_RETURN_IF_ERROR(Remember(run_id, removal, paths));
  if (!note.empty()) {
    RECLAIM_RETURN_IF_ERROR(
        root_->WriteAtomically(NotePath(run_id, removal), note, 0600));
  }
  for (const std::string& path : paths.paths) {
    const std::string to = TreePath(run_id, path);
    RECLAIM_RETURN_IF_ERROR(root_->MakeFolders(ParentPath(to)));
    RECLAIM_RETURN_IF_ERROR(root_->Move(path, to));
    RECLAIM_RETURN_IF_ERROR(root_->SyncFolder(ParentPath(to)));
    RECLAIM_RETURN_IF_ERROR(root_->SyncFolder(ParentPath(path)));
    RemoveEmptyParents(path, paths.floor);
  }
  return bytes;
}

absl::Status QuarantineFolder::MakeParents(const Journal& journal,
                                           const std::string& path) {
  const std::string folder = ParentPath(path);
  if (folder.empty() || root_->Exists(folder)) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(MakeParents(journal, folder));
  RECLAIM_RETURN_IF_ERROR(root_->MakeFolder(folder, 0755));
  const auto known = journal.folders.find(folder);
  if (known == journal.folders.end()) return absl::OkStatus();
  return root_->SetAttributes(folder, known->second);
}

absl::StatusOr<RemovalBytes> QuarantineFolder::Restore(const RunId& run_id,
                                                       const Removal& removal) {
  std::lock_guard<std::mutex> lock(mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const Journal* journal, OpenJournal(run_id));
  RECLAIM_ASSIGN_OR_RETURN(const Item* item, FindItem(*journal, removal));
  RemovalBytes bytes;
  bool found = root_->RemoveFile(NotePath(run_id, removal)).ok();
  for (const std::string& path : item->paths) {
    const std::string from = TreePath(run_id, path);
    if (!root_->Exists(from)) continue;  // back already
    found = true;
    RECLAIM_RETURN_IF_ERROR(
        AddTree(from, IsContentRemoval(removal.kind), &bytes));
    RECLAIM_RETURN_IF_ERROR(MakeParents(*journal, path));
    RECLAIM_RETURN_IF_ERROR(root_->Move(from, path));
    RECLAIM_RETURN_IF_ERROR(root_->SyncFolder(ParentPath(path)));
    RemoveEmptyParents(from, absl::StrCat(RunPath(run_id), "/tree"));
  }
  if (found) return bytes;
  return absl::NotFoundError(
      absl::StrCat(ToString(removal), " is not in quarantine"));
}

absl::StatusOr<RemovalBytes> QuarantineFolder::Purge(const RunId& run_id,
                                                     const Removal& removal) {
  std::lock_guard<std::mutex> lock(mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const Journal* journal, OpenJournal(run_id));
  RECLAIM_ASSIGN_OR_RETURN(const Item* item, FindItem(*journal, removal));
  RemovalBytes bytes;
  bool found = root_->RemoveFile(NotePath(run_id, removal)).ok();
  for (const std::string& path : item->paths) {
    const std::string at = TreePath(run_id, path);
    if (!root_->Exists(at)) continue;
    found = true;
    RECLAIM_RETURN_IF_ERROR(
        AddTree(at, IsContentRemoval(removal.kind), &bytes));
    RECLAIM_RETURN_IF_ERROR(root_->RemoveTree(at));
    RemoveEmptyParents(at, absl::StrCat(RunPath(run_id), "/tree"));
  }
  if (found) return bytes;
  return absl::NotFoundError(
      absl::StrCat(ToString(removal), " is not in quarantine"));
}

absl::Status QuarantineFolder::Settle(const RunId& run_id) {
  std::lock_guard<std::mutex> lock(mutex_);
  RECLAIM_ASSIGN_OR_RETURN(const Journal* journal, OpenJournal(run_id));
  for (const auto& [folder, stat] : journal->folders) {
    const absl::StatusOr<FileStat> now = root_->Stat(folder);
    // Only a folder that nobody but us has changed keeps the time it had.
    if (now.ok() && now->type == FileType::kFolder && now->mode == stat.mode) {
      // All bytes are back; a folder's later time only makes it look younger,
      // which keeps more.
      root_->SetAttributes(folder, stat).IgnoreError();
    }
  }
  const std::string tree = absl::StrCat(RunPath(run_id), "/tree");
  const absl::StatusOr<std::vector<DirEntry>> left = root_->List(tree);
  if (!left.ok() || !left->empty()) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(root_->RemoveTree(RunPath(run_id)));
  journals_.erase(run_id);
  for (const std::string& folder : {absl::StrCat(kReclaimFolder, "/quarantine"),
                                    std::string(kReclaimFolder)}) {
    if (!root_->RemoveFolder(folder).ok()) break;  // other runs are there
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<QuarantinedItem>> QuarantineFolder::List() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<QuarantinedItem> items;
  const absl::StatusOr<std::vector<DirEntry>> runs =
      root_->List(absl::StrCat(kReclaimFolder, "/quarantine"));
  if (absl::IsNotFound(runs.status())) return items;
  RECLAIM_RETURN_IF_ERROR(runs.status());
  for (const DirEntry& run : *runs) {
    RECLAIM_ASSIGN_OR_RETURN(const Journal* journal, OpenJournal(run.name));
    for (const auto& [removal, item] : journal->items) {
      QuarantinedItem found{run.name, removal, {}};
      bool is_there = root_->Exists(NotePath(run.name, removal));
      for (const std::string& path : item.paths) {
        const std::string at = TreePath(run.name, path);
        if (!root_->Exists(at)) continue;
        is_there = true;
        RECLAIM_RETURN_IF_ERROR(
            AddTree(at, IsContentRemoval(removal.kind), &found.bytes));
      }
      if (is_there) items.push_back(std::move(found));
    }
  }
  return items;
}

std::string QuarantineFolder::MovedPath(const RunId& run_id,
                                        const std::string& path) {
  return TreePath(run_id, path);
}

absl::StatusOr<std::string> QuarantineFolder::Note(
    const RunId& run_id, const Removal& removal) const {
  return root_->Read(NotePath(run_id, removal), kJournalBytesMax);
}

absl::StatusOr<RemovalBytes> QuarantineFolder::Measure(
    const std::vector<std::pair<Removal, RemovalPaths>>& removals) const {
  RemovalBytes bytes;
  std::set<std::string> gone;
  for (const auto& [removal, paths] : removals) {
    gone.insert(paths.paths.begin(), paths.paths.end());
  }
  // What lies below something that goes is counted with it.
  const auto is_below_gone = [&](const std::string& path) {
    for (std::string at = ParentPath(path); !at.empty(); at = ParentPath(at)) {
      if (gone.count(at) > 0) return true;
    }
    return false;
  };
  std::set<std::string> counted;
  std::map<std::string, std::string> floors;  // parent -> floor
  for (const auto& [removal, paths] : removals) {
    for (const std::string& path : paths.paths) {
      if (is_below_gone(path) || !counted.insert(path).second) continue;
      RECLAIM_RETURN_IF_ERROR(
          AddTree(path, IsContentRemoval(removal.kind), &bytes));
      floors[ParentPath(path)] = paths.floor;
    }
  }
  // Folders that become empty, last in order first: a parent is known to go
  // once all of its entries go.
  while (!floors.empty()) {
    const auto deepest = std::prev(floors.end());
    const std::string folder = deepest->first;
    const std::string floor = deepest->second;
    floors.erase(deepest);
    if (!IsBelow(folder, floor) || gone.count(folder) > 0) continue;
    const absl::StatusOr<std::vector<DirEntry>> entries = root_->List(folder);
    if (!entries.ok()) continue;
    bool is_empty = true;
    for (const DirEntry& entry : *entries) {
      is_empty &= gone.count(JoinPath(folder, entry.name)) > 0;
    }
    if (!is_empty) continue;
    RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, root_->Stat(folder));
    bytes.metadata += stat.bytes;
    gone.insert(folder);
    floors.emplace(ParentPath(folder), floor);
  }
  return bytes;
}

}  // namespace reclaim::store
