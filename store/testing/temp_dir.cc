#include "store/testing/temp_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace reclaim::store {
namespace fs = std::filesystem;
namespace {

struct stat LstatOf(const std::string& path) {
  struct stat found = {};
  RECLAIM_CHECK(lstat(path.c_str(), &found) == 0, path.c_str());
  return found;
}

std::string ContentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TempDir::TempDir() {
  const char* base = getenv("TEST_TMPDIR");
  std::string pattern =
      absl::StrCat(base != nullptr ? base : "/tmp", "/store.XXXXXX");
  RECLAIM_CHECK(mkdtemp(pattern.data()) != nullptr, "no folder for tests");
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(
           path_, fs::directory_options::skip_permission_denied, error);
       it != fs::end(it); it.increment(error)) {
    if (it->is_directory(error) && !it->is_symlink(error)) {
      fs::permissions(it->path(), fs::perms::owner_all, fs::perm_options::add,
                      error);
    }
  }
  fs::remove_all(path_, error);
}

std::string TempDir::Join(absl::string_view relative) const {
  return relative.empty() ? path_ : absl::StrCat(path_, "/", relative);
}

std::string TempDir::Write(absl::string_view relative,
                           absl::string_view bytes) const {
  const std::string path = Join(relative);
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  RECLAIM_CHECK(file.good(), path.c_str());
  return path;
}

void TempDir::MakeDir(absl::string_view relative) const {
  fs::create_directories(Join(relative));
}

bool TempDir::Exists(absl::string_view relative) const {
  struct stat found = {};
  return lstat(Join(relative).c_str(), &found) == 0;
}

std::string TempDir::Read(absl::string_view relative) const {
  return ContentOf(Join(relative));
}

std::map<std::string, std::string> PictureOf(const std::string& directory) {
  std::map<std::string, std::string> picture;
  for (auto it = fs::recursive_directory_iterator(directory); it != fs::end(it);
       ++it) {
    const std::string path = it->path().string();
    const std::string relative = path.substr(directory.size() + 1);
    if (relative == ".reclaim") {
      it.disable_recursion_pending();
      continue;
    }
    const struct stat found = LstatOf(path);
    std::string line = absl::StrCat(
        absl::Hex(found.st_mode), " ", found.st_uid, ":", found.st_gid, " ",
        found.st_mtim.tv_sec, ".", found.st_mtim.tv_nsec);
    if (S_ISREG(found.st_mode)) {
      absl::StrAppend(&line, " ", found.st_size, " ", ContentOf(path));
    }
    picture[relative] = std::move(line);
  }
  return picture;
}

DiskUse DiskUseOf(const std::string& directory) {
  DiskUse use;
  std::set<std::pair<dev_t, ino_t>> seen;
  const auto add = [&](const std::string& path) {
    const struct stat found = LstatOf(path);
    if (!seen.insert({found.st_dev, found.st_ino}).second) return;
    use.allocated_bytes += static_cast<uint64_t>(found.st_blocks) * 512;
    if (S_ISREG(found.st_mode)) {
      use.file_logical_bytes += static_cast<uint64_t>(found.st_size);
    }
  };
  add(directory);
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    add(entry.path().string());
  }
  return use;
}

void SetTimes(const std::string& path, int64_t seconds, int64_t nanoseconds) {
  const struct timespec times[2] = {{seconds, nanoseconds},
                                    {seconds, nanoseconds}};
  RECLAIM_CHECK(
      utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0,
      path.c_str());
}

}  // namespace reclaim::store
