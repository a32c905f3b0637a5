// store/testing/temp_dir.h — a folder that goes away with its test, and a
// picture of a folder that two moments can be compared by.

#ifndef RECLAIM_STORE_TESTING_TEMP_DIR_H_
#define RECLAIM_STORE_TESTING_TEMP_DIR_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace reclaim::store {

// Aborts the test on any failure: a test without its folder says nothing.
// Not thread-safe.
class TempDir {
 public:
  TempDir();
  ~TempDir();  // removes everything below, also what has no permissions
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string Join(absl::string_view relative) const;

  // Writes a file, with the folders above it, and returns its full path.
  std::string Write(absl::string_view relative, absl::string_view bytes) const;
  void MakeDir(absl::string_view relative) const;
  bool Exists(absl::string_view relative) const;  // of any kind; no following
  std::string Read(absl::string_view relative) const;

 private:
  std::string path_;
};

// Everything below `directory`: relative path -> "type mode uid:gid mtime size
// bytes", without what lies in the top folder `.reclaim`.  Two equal pictures
// are two identical trees, to the nanosecond.
std::map<std::string, std::string> PictureOf(const std::string& directory);

// What `du` says: the sums over every inode below `directory` once, itself
// included.
struct DiskUse {
  uint64_t allocated_bytes = 0;
  uint64_t file_logical_bytes = 0;  // st_size of regular files only
};
DiskUse DiskUseOf(const std::string& directory);

// Sets both times of a path, without following it.
void SetTimes(const std::string& path, int64_t seconds,
              int64_t nanoseconds = 0);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TESTING_TEMP_DIR_H_
