#include "store/rooted_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/fault_point.h"
#include "base/status_macros.h"

namespace reclaim::store {
namespace {

absl::Status FromErrno(int error, absl::string_view what,
                       absl::string_view path) {
  const std::string message =
      absl::StrCat(what, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(message, "; run reclaimd as the owner of the store"));
    case EROFS:
      return absl::FailedPreconditionError(
          absl::StrCat(message, "; mount the store read-write"));
    case ELOOP:
    case EXDEV:
    case EISDIR:
    case ENOTEMPTY:
      return absl::FailedPreconditionError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

FileType TypeOf(mode_t mode) {
  if (S_ISREG(mode)) return FileType::kFile;
  if (S_ISDIR(mode)) return FileType::kFolder;
  if (S_ISLNK(mode)) return FileType::kLink;
  return FileType::kOther;
}

absl::Status WriteAll(int fd, absl::string_view bytes,
                      const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, "write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd) != 0) return FromErrno(errno, "fsync", path);
  return absl::OkStatus();
}

}  // namespace

std::string JoinPath(absl::string_view a, absl::string_view b) {
  if (a.empty()) return std::string(b);
  if (b.empty()) return std::string(a);
  return absl::StrCat(a, "/", b);
}

std::string ParentPath(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? ""
                                          : std::string(path.substr(0, slash));
}

absl::StatusOr<std::unique_ptr<RootedDir>> RootedDir::Open(
    const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FromErrno(errno, "open folder", path);
  return std::unique_ptr<RootedDir>(new RootedDir(path, fd));
}

RootedDir::~RootedDir() { close(fd_); }

absl::StatusOr<int> RootedDir::OpenAt(const std::string& path,
                                      int flags) const {
  open_how how;
  std::memset(&how, 0, sizeof(how));
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  if ((flags & O_CREAT) != 0) how.mode = 0600;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  // EAGAIN: somebody renamed something meanwhile; the kernel asks to retry.
  for (int attempt = 0; attempt < 16; ++attempt) {
    const long fd = syscall(SYS_openat2, fd_, name, &how, sizeof(how));
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return FromErrno(errno, "open", path);
}

absl::StatusOr<int> RootedDir::OpenParent(const std::string& path,
                                          std::string* name) const {
  const size_t slash = path.rfind('/');
  *name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name->empty() || *name == "." || *name == "..") {
    return absl::InvalidArgumentError(absl::StrCat("not a path: ", path));
  }
  return OpenAt(ParentPath(path), O_RDONLY | O_DIRECTORY);
}

absl::StatusOr<std::vector<DirEntry>> RootedDir::List(
    const std::string& path) const {
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenAt(path, O_RDONLY | O_DIRECTORY));
  DIR* dir = fdopendir(fd);
  if (dir == nullptr) {
    close(fd);
    return FromErrno(errno, "list", path);
  }
  std::vector<DirEntry> entries;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    FileType type = FileType::kOther;
    if (entry->d_type == DT_UNKNOWN) {
      struct stat st;
      if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        type = TypeOf(st.st_mode);
      }
    } else {
      type = TypeOf(DTTOIF(entry->d_type));
    }
    entries.push_back({name, type});
    errno = 0;
  }
  const int error = errno;
  closedir(dir);
  if (error != 0) return FromErrno(error, "list", path);
  std::sort(
      entries.begin(), entries.end(),
      [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  return entries;
}

absl::StatusOr<FileStat> RootedDir::Stat(const std::string& path) const {
  struct stat st;
  if (path.empty()) {
    if (fstat(fd_, &st) != 0) return FromErrno(errno, "stat", root_);
  } else {
    std::string name;
    RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
    const Descriptor parent(fd);
    if (fstatat(parent.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return FromErrno(errno, "stat", path);
    }
  }
  FileStat out;
  out.type = TypeOf(st.st_mode);
  out.bytes = {static_cast<uint64_t>(st.st_size),
               static_cast<uint64_t>(st.st_blocks) * 512};
  out.device = st.st_dev;
  out.inode = st.st_ino;
  out.link_count = st.st_nlink;
  out.mode = st.st_mode & 07777;
  out.uid = st.st_uid;
  out.gid = st.st_gid;
  out.modified = absl::TimeFromTimespec(st.st_mtim);
  return out;
}

bool RootedDir::Exists(const std::string& path) const {
  return Stat(path).ok();
}

absl::StatusOr<int> RootedDir::OpenFile(const std::string& path) const {
  // Without O_NONBLOCK a pipe in the place of a file would hang the reader.
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenAt(path, O_RDONLY | O_NONBLOCK));
  Descriptor file(fd);
  struct stat st;
  if (fstat(file.get(), &st) != 0) return FromErrno(errno, "stat", path);
  if (!S_ISREG(st.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a regular file"));
  }
  return file.release();
}

absl::StatusOr<std::string> RootedDir::Read(const std::string& path,
                                            uint64_t max_bytes) const {
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenFile(path));
  const Descriptor file(fd);
  std::string bytes;
  char buffer[16384];
  while (true) {
    const ssize_t n = read(file.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, "read", path);
    if (n == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(n));
    if (bytes.size() > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, " is larger than ", max_bytes, " bytes"));
    }
  }
}

absl::Status RootedDir::WriteAtomically(const std::string& path,
                                        absl::string_view bytes,
                                        uint32_t mode) const {
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int parent_fd, OpenParent(path, &name));
  const Descriptor parent(parent_fd);
  const std::string temporary = absl::StrCat(".reclaim-", name, ".tmp");
  const Descriptor file(
      openat(parent.get(), temporary.c_str(),
             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return FromErrno(errno, "create", path);
  if (fchmod(file.get(), mode) != 0) return FromErrno(errno, "chmod", path);
  absl::Status status = WriteAll(file.get(), bytes, path);
  if (status.ok() && renameat(parent.get(), temporary.c_str(), parent.get(),
                              name.c_str()) != 0) {
    status = FromErrno(errno, "rename", path);
  }
  if (!status.ok()) {
    unlinkat(parent.get(), temporary.c_str(), 0);
    return status;
  }
  if (fsync(parent.get()) != 0) return FromErrno(errno, "fsync", path);
  return absl::OkStatus();
}

absl::Status RootedDir::Append(const std::string& path,
                               absl::string_view bytes) const {
  RECLAIM_ASSIGN_OR_RETURN(const int fd,
                           OpenAt(path, O_WRONLY | O_CREAT | O_APPEND));
  const Descriptor file(fd);
  RECLAIM_RETURN_IF_ERROR(WriteAll(file.get(), bytes, path));
  return SyncFolder(ParentPath(path));
}

absl::Status RootedDir::MakeFolder(const std::string& path,
                                   uint32_t mode) const {
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
  const Descriptor parent(fd);
  if (mkdirat(parent.get(), name.c_str(), mode) != 0) {
    return FromErrno(errno, "mkdir", path);
  }
  return absl::OkStatus();
}

absl::Status RootedDir::MakeFolders(const std::string& path) const {
  std::string made;
  for (const absl::string_view part :
       absl::StrSplit(path, '/', absl::SkipEmpty())) {
    made = JoinPath(made, part);
    const absl::Status status = MakeFolder(made, 0700);
    if (!status.ok() && !absl::IsAlreadyExists(status)) return status;
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
  if (renameat2(from_parent.get(), from_name.c_str(), to_parent.get(),
                to_name.c_str(), RENAME_NOREPLACE) != 0) {
    return FromErrno(errno, absl::StrCat("move ", from, " to"), to);
  }
  return absl::OkStatus();
}

absl::Status RootedDir::RemoveFile(const std::string& path) const {
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
  const Descriptor parent(fd);
  if (unlinkat(parent.get(), name.c_str(), 0) != 0) {
    return FromErrno(errno, "remove", path);
  }
  return absl::OkStatus();
}

absl::Status RootedDir::RemoveFolder(const std::string& path) const {
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
  const Descriptor parent(fd);
  if (unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) != 0) {
    return FromErrno(errno, "remove folder", path);
  }
  return absl::OkStatus();
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
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
  const Descriptor parent(fd);
  // The owner can be given away by root alone; the mode matters more.
  if (fchownat(parent.get(), name.c_str(), stat.uid, stat.gid,
               AT_SYMLINK_NOFOLLOW) != 0 &&
      errno != EPERM) {
    return FromErrno(errno, "chown", path);
  }
  if (fchmodat(parent.get(), name.c_str(), stat.mode, 0) != 0) {
    return FromErrno(errno, "chmod", path);
  }
  const timespec times[2] = {{0, UTIME_OMIT}, absl::ToTimespec(stat.modified)};
  if (utimensat(parent.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return FromErrno(errno, "set the time of", path);
  }
  return absl::OkStatus();
}

absl::Status RootedDir::SyncFolder(const std::string& path) const {
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenAt(path, O_RDONLY | O_DIRECTORY));
  const Descriptor folder(fd);
  if (fsync(folder.get()) != 0) return FromErrno(errno, "fsync", path);
  return absl::OkStatus();
}

absl::StatusOr<Capacity> RootedDir::GetCapacity() const {
  struct statvfs st;
  if (fstatvfs(fd_, &st) != 0) return FromErrno(errno, "statvfs", root_);
  Capacity capacity;
  capacity.capacity_bytes = uint64_t{st.f_blocks} * st.f_frsize;
  capacity.available_bytes =
      std::min(capacity.capacity_bytes, uint64_t{st.f_bavail} * st.f_frsize);
  capacity.inode_count = st.f_files;
  capacity.available_inode_count =
      std::min(uint64_t{st.f_files}, uint64_t{st.f_favail});
  return capacity;
}

}  // namespace reclaim::store
