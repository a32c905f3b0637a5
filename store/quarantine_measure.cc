// What a quarantine would move, in bytes.

#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/quarantine_folder.h"

namespace reclaim::store {
namespace {

constexpr int kAttemptMax = 3;

// A file all of whose names go is freed with the last of them.
void ChargeLastNames(Measurement* measured) {
  std::map<Extent, std::vector<const SharedFile*>> files;
  for (const SharedFile& name : measured->shared) {
    files[name.file].push_back(&name);
  }
  measured->held = {};
  for (const auto& [file, names] : files) {
    const bool goes = names.size() >= names.back()->link_count;
    (goes ? measured->content : measured->held) += names.back()->bytes;
  }
}

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

absl::StatusOr<Measurement> QuarantineFolder::Measure(
    const std::vector<std::pair<Removal, RemovalPaths>>& removals) const {
  Measurement bytes;
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
  for (size_t i = 0; i < removals.size(); ++i) {
    const auto& [removal, paths] = removals[i];
    for (const std::string& path : paths.paths) {
      if (is_below_gone(path) || !counted.insert(path).second) continue;
      std::vector<FileStat> shared;
      RECLAIM_ASSIGN_OR_RETURN(
          const RemovalBytes weight,
          Weigh(path, IsContentRemoval(removal.kind), &shared));
      bytes += weight;
      for (const FileStat& file : shared) {
        bytes.shared.push_back(
            {i, {file.device, file.inode}, file.link_count, file.bytes});
      }
      floors[ParentPath(path)] = paths.floor;
    }
  }
  ChargeLastNames(&bytes);
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
    const absl::StatusOr<FileStat> stat = root_->Stat(folder);
    if (absl::IsNotFound(stat.status())) continue;  // a writer was faster
    RECLAIM_RETURN_IF_ERROR(stat.status());
    bytes.metadata += stat->bytes;
    gone.insert(folder);
    floors.emplace(ParentPath(folder), floor);
  }
  return bytes;
}

}  // namespace reclaim::store
