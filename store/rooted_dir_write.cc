// Changing things.  Every name is given to a descriptor of the folder that
// holds it; no call here takes a path.

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "store/errno_status.h"
#include "store/rooted_dir.h"
#include "store/system_call.h"

namespace reclaim::store {
namespace {

// Writes all and syncs; false with errno set.
bool WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = RepeatedCall(
        "write.write", [&] { return write(fd, bytes.data(), bytes.size()); });
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return RepeatedCall("write.fsync", [&] { return fsync(fd); }) == 0;
}

std::string TemporaryName(const std::string& name) {
  return absl::StrCat(".reclaim-", name, ".tmp");
}

int CreateNew(int parent, const std::string& name) {
  return SystemCall("replace.openat", [&] {
    return openat(parent, name.c_str(),
                  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  });
}

int RemoveName(int parent, const std::string& name) {
  return SystemCall("replace.unlinkat",
                    [&] { return unlinkat(parent, name.c_str(), 0); });
}

int RenameOver(int parent, const std::string& from, const std::string& to) {
  return SystemCall("replace.renameat", [&] {
    return renameat(parent, from.c_str(), parent, to.c_str());
  });
}

int CreateTemporary(int parent, const std::string& name) {
  const int fd = CreateNew(parent, name);
  if (fd >= 0 || errno != EEXIST || RemoveName(parent, name) != 0) return fd;
  // It was left by a crash, or put there by somebody: never written through,
  // for it may be another name of a file outside.
  return CreateNew(parent, name);
}

// What belongs to a file and not to its bytes.  Others are no business of ours:
// they tell of the bytes (IMA, capabilities), or root alone sees them.
bool IsKept(absl::string_view attribute) {
  return absl::StartsWith(attribute, "user.") ||
         attribute == "system.posix_acl_access" ||
         attribute == "security.selinux" || attribute == "security.SMACK64";
}

// Names of the attributes to keep; false with errno set.
bool ListAttributes(int file, std::vector<std::string>* names) {
  std::string list(XATTR_LIST_MAX, '\0');
  const ssize_t size = SystemCall("like.flistxattr", [&] {
    return flistxattr(file, list.data(), list.size());
  });
  // A file system without attributes has none to lose.
  if (size < 0) return errno == EOPNOTSUPP;
  list.resize(static_cast<size_t>(size));
  for (const absl::string_view name :
       absl::StrSplit(list, '\0', absl::SkipEmpty())) {
    if (IsKept(name)) names->emplace_back(name);
  }
  return true;
}

// -1 with errno set.
ssize_t GetAttribute(int file, const std::string& name, std::string* value) {
  value->resize(XATTR_SIZE_MAX);
  const ssize_t size = SystemCall("like.fgetxattr", [&] {
    return fgetxattr(file, name.c_str(), value->data(), value->size());
  });
  value->resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return size;
}

bool CopyAttribute(int from, int to, const std::string& name) {
  std::string value;
  if (GetAttribute(from, name, &value) < 0) {
    return errno == ENODATA;  // removed meanwhile
  }
  // A label that the folder has given already may not be ours to set.
  std::string has;
  if (GetAttribute(to, name, &has) >= 0 && has == value) return true;
  return SystemCall("like.fsetxattr", [&] {
           return fsetxattr(to, name.c_str(), value.data(), value.size(), 0);
         }) == 0;
}

}  // namespace

absl::Status RootedDir::WriteAtomically(const std::string& path,
                                        absl::string_view bytes,
                                        uint32_t mode) const {
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int parent_fd, OpenParent(path, &name));
  const Descriptor parent(parent_fd);
  const std::string temporary = TemporaryName(name);
  const Descriptor file(CreateTemporary(parent.get(), temporary));
  if (file.get() < 0) return Failed("create", path);
  absl::Status status;
  if (SystemCall("replace.fchmod", [&] { return fchmod(file.get(), mode); }) !=
          0 ||
      !WriteAll(file.get(), bytes)) {
    status = Failed("write", path);
  } else if (RenameOver(parent.get(), temporary, name) != 0) {
    status = Failed("rename", path);
  }
  if (!status.ok()) {
    // What is left of it is a stray until the next write of this file.
    RemoveName(parent.get(), temporary);
    return status;
  }
  if (RepeatedCall("replace.fsync", [&] { return fsync(parent.get()); }) != 0) {
    return Failed("fsync", path);
  }
  return absl::OkStatus();
}

absl::Status RootedDir::CopyAttributes(const std::string& like,
                                       int file) const {
  RECLAIM_ASSIGN_OR_RETURN(const int like_fd, OpenFile(like));
  const Descriptor from(like_fd);
  struct stat st;
  if (SystemCall("like.fstat", [&] { return fstat(from.get(), &st); }) != 0) {
    return Failed("stat", like);
  }
  // The owner before the mode, which a change of the owner may cut.
  if (SystemCall("like.fchown",
                 [&] { return fchown(file, st.st_uid, st.st_gid); }) != 0) {
    return Failed("keep the owner of", like);
  }
  if (SystemCall("like.fchmod",
                 [&] { return fchmod(file, st.st_mode & 07777); }) != 0) {
    return Failed("keep the mode of", like);
  }
  std::vector<std::string> names;
  if (!ListAttributes(from.get(), &names)) {
    return Failed("list the attributes of", like);
  }
  for (const std::string& name : names) {
    if (CopyAttribute(from.get(), file, name)) continue;
    return Failed(absl::StrCat("keep the attribute ", name, " of").c_str(),
                  like);
  }
  return absl::OkStatus();
}

// Not synced: a time that a power cut takes back is a later one.
absl::Status RootedDir::CopyTime(const std::string& like, int file) const {
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, Stat(like));
  const struct timespec modified = absl::ToTimespec(stat.modified);
  const struct timespec times[2] = {{0, UTIME_OMIT}, modified};
  const int done =
      SystemCall("like.futimens", [&] { return futimens(file, times); });
  return done == 0 ? absl::OkStatus() : Failed("set the time of", like);
}

absl::Status RootedDir::WriteNewLike(const std::string& path,
                                     const std::string& like,
                                     absl::string_view bytes) const {
  const std::string temporary = JoinPath(
      ParentPath(path), TemporaryName(like.substr(like.rfind('/') + 1)));
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int parent_fd, OpenParent(temporary, &name));
  const Descriptor parent(parent_fd);
  const Descriptor file(CreateTemporary(parent.get(), name));
  if (file.get() < 0) return Failed("create", temporary);
  absl::Status status = CopyAttributes(like, file.get());
  if (status.ok() && !WriteAll(file.get(), bytes)) {
    status = Failed("write", temporary);
  }
  if (status.ok()) status = CopyTime(like, file.get());
  if (status.ok()) status = Move(temporary, path);
  // What is left of it is a stray until the next write of this file.
  if (!status.ok()) RemoveName(parent.get(), name);
  return status;
}

absl::Status RootedDir::Exchange(const std::string& a,
                                 const std::string& b) const {
  std::string a_name;
  std::string b_name;
  RECLAIM_ASSIGN_OR_RETURN(const int a_fd, OpenParent(a, &a_name));
  const Descriptor a_parent(a_fd);
  RECLAIM_ASSIGN_OR_RETURN(const int b_fd, OpenParent(b, &b_name));
  const Descriptor b_parent(b_fd);
  const int done = SystemCall("exchange.renameat2", [&] {
    return renameat2(a_parent.get(), a_name.c_str(), b_parent.get(),
                     b_name.c_str(), RENAME_EXCHANGE);
  });
  if (done == 0) return absl::OkStatus();
  const bool is_unknown =
      errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP;
  const absl::Status status = Failed("exchange", b);
  return is_unknown ? absl::UnimplementedError(status.message()) : status;
}

absl::Status RootedDir::Replace(const std::string& from,
                                const std::string& to) const {
  std::string from_name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(from, &from_name));
  const Descriptor parent(fd);
  return RenameOver(parent.get(), from_name, to.substr(to.rfind('/') + 1)) == 0
             ? absl::OkStatus()
             : Failed("replace", to);
}

bool RootedDir::IsTemporary(absl::string_view name) {
  return absl::StartsWith(name, ".reclaim-") && absl::EndsWith(name, ".tmp");
}

absl::Status RootedDir::RemoveTemporary(const std::string& path) const {
  const size_t slash = path.rfind('/');
  const std::string name =
      slash == std::string::npos ? path : path.substr(slash + 1);
  return RemoveFile(JoinPath(ParentPath(path), TemporaryName(name)));
}

absl::Status RootedDir::Append(const std::string& path,
                               absl::string_view bytes) const {
  // Without O_NONBLOCK a pipe in its place would hang the writer.
  RECLAIM_ASSIGN_OR_RETURN(
      const int fd, OpenAt(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK));
  const Descriptor file(fd);
  struct stat st;
  if (SystemCall("append.fstat", [&] { return fstat(file.get(), &st); }) != 0) {
    return Failed("stat", path);
  }
  if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat(JoinPath(prefix_, path),
                     " is not a file of our own: it is of another kind or has "
                     "other names; move it away"));
  }
  if (!WriteAll(file.get(), bytes)) return Failed("write", path);
  return SyncFolder(ParentPath(path));
}

absl::Status RootedDir::MakeFolder(const std::string& path,
                                   uint32_t mode) const {
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
  const Descriptor parent(fd);
  const int done = SystemCall("make.mkdirat", [&] {
    return mkdirat(parent.get(), name.c_str(), mode);
  });
  return done == 0 ? absl::OkStatus() : Failed("mkdir", path);
}

absl::Status RootedDir::MakeFolders(const std::string& path,
                                    std::vector<std::string>* made) const {
  std::string folder;
  for (const absl::string_view part :
       absl::StrSplit(path, '/', absl::SkipEmpty())) {
    folder = JoinPath(folder, part);
    const absl::Status status = MakeFolder(folder, 0700);
    if (absl::IsAlreadyExists(status)) continue;
    RECLAIM_RETURN_IF_ERROR(status);
    if (made != nullptr) made->push_back(folder);
  }
  return absl::OkStatus();
}

absl::Status RootedDir::Move(const std::string& from,
                             const std::string& to) const {
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("rooted_dir.move"));
  std::string from_name;
  std::string to_name;
  RECLAIM_ASSIGN_OR_RETURN(const int from_fd, OpenParent(from, &from_name));
  const Descriptor from_parent(from_fd);
  RECLAIM_ASSIGN_OR_RETURN(const int to_fd, OpenParent(to, &to_name));
  const Descriptor to_parent(to_fd);
  const int done = SystemCall("move.renameat2", [&] {
    return renameat2(from_parent.get(), from_name.c_str(), to_parent.get(),
                     to_name.c_str(), RENAME_NOREPLACE);
  });
  if (done == 0) return absl::OkStatus();
  return FromErrno(errno, absl::StrCat("move ", from, " to"), to);
}

absl::Status RootedDir::RemoveFile(const std::string& path) const {
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
  const Descriptor parent(fd);
  const int done = SystemCall("remove.unlinkat", [&] {
    return unlinkat(parent.get(), name.c_str(), 0);
  });
  return done == 0 ? absl::OkStatus() : Failed("remove", path);
}

absl::Status RootedDir::RemoveFolder(const std::string& path) const {
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
  const Descriptor parent(fd);
  const int done = SystemCall("remove.rmdir", [&] {
    return unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR);
  });
  return done == 0 ? absl::OkStatus() : Failed("remove folder", path);
}

absl::Status RootedDir::RemoveTree(const std::string& path) const {
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat, Stat(path));
  if (stat.type != FileType::kFolder) return RemoveFile(path);
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DirEntry> entries, List(path));
  for (const DirEntry& entry : entries) {
    RECLAIM_RETURN_IF_ERROR(RemoveTree(JoinPath(path, entry.name)));
  }
  return RemoveFolder(path);
}

absl::Status RootedDir::SetAttributes(const std::string& path,
                                      const FileStat& stat) const {
  // By descriptor: what was opened is a folder, and stays the one it was.
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenAt(path, O_RDONLY | O_DIRECTORY));
  const Descriptor folder(fd);
  const int owned = SystemCall("attributes.fchown", [&] {
    return fchown(folder.get(), stat.uid, stat.gid);
  });
  // The owner can be given away by root alone; the mode matters more.
  if (owned != 0 && errno != EPERM) return Failed("chown", path);
  if (SystemCall("attributes.fchmod",
                 [&] { return fchmod(folder.get(), stat.mode); }) != 0) {
    return Failed("chmod", path);
  }
  const timespec times[2] = {{0, UTIME_OMIT}, absl::ToTimespec(stat.modified)};
  if (SystemCall("attributes.futimens",
                 [&] { return futimens(folder.get(), times); }) != 0) {
    return Failed("set the time of", path);
  }
  return absl::OkStatus();
}

absl::Status RootedDir::SyncFolder(const std::string& path) const {
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenAt(path, O_RDONLY | O_DIRECTORY));
  const Descriptor folder(fd);
  if (RepeatedCall("sync.fsync", [&] { return fsync(folder.get()); }) != 0) {
    return Failed("fsync", path);
  }
  return absl::OkStatus();
}

}  // namespace reclaim::store
