#include "store/folder_size.h"

#include <dirent.h>
#include <fts.h>
#include <sys/stat.h>

#include <memory>
#include <set>
#include <utility>

namespace reclaim::store {
namespace {

constexpr uint64_t kSector = 512;

}  // namespace

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.c_str()),
                                                closedir);
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

FolderSize SizeOfFolder(const std::string& path) {
  FolderSize size;
  std::set<std::pair<uint64_t, uint64_t>> linked;
  std::string top = path;
  char* tops[] = {top.data(), nullptr};
  FTS* walk = fts_open(tops, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr);
  if (walk == nullptr) return size;
  while (const FTSENT* entry = fts_read(walk)) {
    const int kind = entry->fts_info;
    if (kind == FTS_DP || kind == FTS_NS || kind == FTS_ERR) continue;
    const struct stat& st = *entry->fts_statp;
    if (st.st_nlink > 1 && !S_ISDIR(st.st_mode) &&
        !linked.insert({st.st_dev, st.st_ino}).second) {
      continue;
    }
    if (S_ISREG(st.st_mode)) {
      size.file_bytes += static_cast<uint64_t>(st.st_size);
    }
    size.allocated_bytes += static_cast<uint64_t>(st.st_blocks) * kSector;
  }
  fts_close(walk);
  return size;
}

}  // namespace reclaim::store
