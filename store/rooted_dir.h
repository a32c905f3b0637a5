// store/rooted_dir.h — a folder that no operation leaves.
//
// Every path is relative to the root and resolved by openat2(2) with
// RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS and
// RESOLVE_NO_XDEV: neither a symbolic link nor ".." nor a mount leads out, also
// when somebody swaps folders meanwhile (TRUST.md E.2).  Symbolic links are
// never followed.
//
// The only place of the store layer with system calls; each of them can be made
// to fail (store/system_call.h).
//
// Thread-safe.  Errors name the path: NOT_FOUND, PERMISSION_DENIED,
// FAILED_PRECONDITION (a link, or another kind of file than asked),
// RESOURCE_EXHAUSTED (disk or quota full), ALREADY_EXISTS, UNAVAILABLE (I/O).

#ifndef RECLAIM_STORE_ROOTED_DIR_H_
#define RECLAIM_STORE_ROOTED_DIR_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "store/types.h"

namespace reclaim::store {

enum class FileType : uint8_t { kFile, kFolder, kLink, kOther };

struct DirEntry {
  std::string name;
  FileType type = FileType::kOther;
};

struct FileStat {
  FileType type = FileType::kOther;
  Bytes bytes;
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t link_count = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  absl::Time modified;
  // When the inode last changed in any way; nobody can set it.
  absl::Time changed;
};

class RootedDir {
 public:
  // NOT_FOUND or FAILED_PRECONDITION if `path` is no folder.
  static absl::StatusOr<std::unique_ptr<RootedDir>> Open(
      const std::string& path);
  ~RootedDir();
  RootedDir(const RootedDir&) = delete;
  RootedDir& operator=(const RootedDir&) = delete;

  // A folder below, with its own paths; its errors name them from this root.
  absl::StatusOr<std::unique_ptr<RootedDir>> OpenBelow(
      const std::string& path) const;

  const std::string& root() const { return root_; }

  // UNAVAILABLE if its path leads to another folder by now: this one was moved
  // away or deleted, or something was mounted over it.  What is said of this
  // one is then no word about the store.
  absl::Status CheckInPlace() const;

  // Ascending by name, without "." and "..".  "" is the root.
  absl::StatusOr<std::vector<DirEntry>> List(const std::string& path) const;
  // Of the entry itself (lstat).
  absl::StatusOr<FileStat> Stat(const std::string& path) const;
  // The same, or nothing if there is nothing.  Asks twice, and that the root is
  // there and in its place, before it says so: who is told that something is
  // gone forgets it.
  absl::StatusOr<std::optional<FileStat>> StatIfThere(
      const std::string& path) const;
  // As sure as StatIfThere().  An error is neither.
  absl::StatusOr<bool> Exists(const std::string& path) const;
  // Nothing if there is no such folder or file, as sure as StatIfThere().
  absl::StatusOr<std::optional<std::vector<DirEntry>>> ListIfThere(
      const std::string& path) const;
  absl::StatusOr<std::optional<std::string>> ReadIfThere(
      const std::string& path, uint64_t max_bytes) const;
  // A regular file of at most `max_bytes`; RESOURCE_EXHAUSTED beyond.
  absl::StatusOr<std::string> Read(const std::string& path,
                                   uint64_t max_bytes) const;
  // The same of any size, piece by piece.
  absl::Status ReadPieces(
      const std::string& path,
      absl::FunctionRef<absl::Status(absl::string_view)> visit) const;

  // Temporary file, fsync, rename, fsync of the folder.
  absl::Status WriteAtomically(const std::string& path, absl::string_view bytes,
                               uint32_t mode) const;
  // A new file beside the file `like`, synced, with that one's owner, mode,
  // access list, attributes and time.  ALREADY_EXISTS; PERMISSION_DENIED if the
  // owner can't be given.  Nothing is at `path` before all of it is there.
  absl::Status WriteNewLike(const std::string& path, const std::string& like,
                            absl::string_view bytes) const;
  // Two names change places, in one step; their folders may differ.
  // UNIMPLEMENTED if the file system has no such step.
  absl::Status Exchange(const std::string& a, const std::string& b) const;
  // `from` takes the place of `to`, in the same folder.
  absl::Status Replace(const std::string& from, const std::string& to) const;
  // What a crash may have left of WriteAtomically(path), or of WriteNewLike()
  // beside it.  NOT_FOUND: nothing.
  absl::Status RemoveTemporary(const std::string& path) const;
  static bool IsTemporary(absl::string_view name);
  // Appends and syncs; makes the file.  FAILED_PRECONDITION if the file has
  // other names.
  absl::Status Append(const std::string& path, absl::string_view bytes) const;
  absl::Status MakeFolder(const std::string& path, uint32_t mode) const;
  // Mode 0700.  Appends those that it has made to `made`, the outer ones first;
  // they are durable when the folders that hold them have been synced.
  absl::Status MakeFolders(const std::string& path,
                           std::vector<std::string>* made = nullptr) const;
  // ALREADY_EXISTS if `to` is there.
  absl::Status Move(const std::string& from, const std::string& to) const;
  absl::Status RemoveFile(const std::string& path) const;
  // FAILED_PRECONDITION if it is not empty.
  absl::Status RemoveFolder(const std::string& path) const;
  // Never follows links; removes what is below and the entry itself.
  absl::Status RemoveTree(const std::string& path) const;
  // Owner, mode and time of a folder.
  absl::Status SetAttributes(const std::string& path,
                             const FileStat& stat) const;
  absl::Status SyncFolder(const std::string& path) const;
  absl::StatusOr<Capacity> GetCapacity() const;

 private:
  // Of the folder that was opened as the root.
  struct Identity {
    uint64_t device = 0;
    uint64_t inode = 0;
  };
  RootedDir(std::string root, Identity identity, std::string prefix, int fd)
      : root_(std::move(root)),
        identity_(identity),
        prefix_(std::move(prefix)),
        fd_(fd) {}
  absl::StatusOr<int> OpenAt(const std::string& path, int flags) const;
  // The folder that holds `path`, and its last component.
  absl::StatusOr<int> OpenParent(const std::string& path,
                                 std::string* name) const;
  absl::StatusOr<int> OpenFile(const std::string& path) const;
  absl::Status CopyAttributes(const std::string& like, int file) const;
  absl::Status CopyTime(const std::string& like, int file) const;
  absl::Status Failed(const char* what, absl::string_view path) const;

  std::string root_;
  Identity identity_;
  std::string prefix_;  // what errors show before a path
  int fd_;
};

// For what has been seen: NOT_FOUND, which would say that there is nothing to
// do, becomes UNAVAILABLE.
absl::Status NotGone(const absl::Status& status);

// "a/b" from "a" and "b"; either may be "".
std::string JoinPath(absl::string_view a, absl::string_view b);
// "a" of "a/b"; "" of "a".
std::string ParentPath(absl::string_view path);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_ROOTED_DIR_H_
