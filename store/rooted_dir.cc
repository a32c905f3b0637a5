// Opening, looking and reading; rooted_dir_write.cc changes things.

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
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/errno_status.h"
#include "store/system_call.h"

namespace reclaim::store {
namespace {

FileType TypeOf(mode_t mode) {
  if (S_ISREG(mode)) return FileType::kFile;
  if (S_ISDIR(mode)) return FileType::kFolder;
  if (S_ISLNK(mode)) return FileType::kLink;
  return FileType::kOther;
}

FileStat ToFileStat(const struct stat& st) {
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
  out.changed = absl::TimeFromTimespec(st.st_ctim);
  return out;
}

// The type of an entry; a file system may leave it to stat().
FileType TypeOf(int folder, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return TypeOf(DTTOIF(entry.d_type));
  struct stat st;
  const int done = SystemCall("list.fstatat", [&] {
    return fstatat(folder, entry.d_name, &st, AT_SYMLINK_NOFOLLOW);
  });
  return done == 0 ? TypeOf(st.st_mode) : FileType::kOther;
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

absl::Status NotGone(const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  return absl::UnavailableError(
      absl::StrCat(status.message(), "; it was there a moment ago: try again"));
}

absl::Status RootedDir::Failed(const char* what, absl::string_view path) const {
  const int error = errno;
  const std::string shown = JoinPath(prefix_, path);
  return FromErrno(error, what, shown.empty() ? root_ : shown);
}

absl::StatusOr<std::unique_ptr<RootedDir>> RootedDir::Open(
    const std::string& path) {
  const int fd = RepeatedCall("root.open", [&] {
    return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  });
  if (fd < 0) return FromErrno(errno, "open folder", path);
  Descriptor folder(fd);
  struct stat st;
  if (SystemCall("root.fstat", [&] { return fstat(folder.get(), &st); }) != 0) {
    return FromErrno(errno, "stat folder", path);
  }
  return std::unique_ptr<RootedDir>(
      new RootedDir(path, {st.st_dev, st.st_ino}, "", folder.release()));
}

// By what Open() found, not by the descriptor: a folder below has another one.
absl::Status RootedDir::CheckInPlace() const {
  struct stat st;
  const int done =
      RepeatedCall("root.stat", [&] { return stat(root_.c_str(), &st); });
  if (done != 0 && errno != ENOENT && errno != ENOTDIR) {
    return absl::UnavailableError(
        FromErrno(errno, "stat folder", root_).message());
  }
  if (done == 0 && st.st_dev == identity_.device &&
      st.st_ino == identity_.inode) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(
      root_,
      ": the folder of the store was replaced or another disk was mounted "
      "there: restart reclaimd, or remove and add the store"));
}

absl::StatusOr<std::unique_ptr<RootedDir>> RootedDir::OpenBelow(
    const std::string& path) const {
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenAt(path, O_RDONLY | O_DIRECTORY));
  return std::unique_ptr<RootedDir>(
      new RootedDir(root_, identity_, JoinPath(prefix_, path), fd));
}

RootedDir::~RootedDir() { close(fd_); }

absl::StatusOr<int> RootedDir::OpenAt(const std::string& path,
                                      int flags) const {
  open_how how;
  std::memset(&how, 0, sizeof(how));
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  if ((flags & O_CREAT) != 0) how.mode = 0600;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
                RESOLVE_NO_XDEV;
  const char* name = path.empty() ? "." : path.c_str();
  // EAGAIN: somebody renamed something meanwhile; the kernel asks to retry.
  for (int attempt = 0; attempt < kInterruptedMax; ++attempt) {
    const long fd = SystemCall("open.openat2", [&] {
      return syscall(SYS_openat2, fd_, name, &how, sizeof(how));
    });
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return Failed("open", path);
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
    const absl::Status status = Failed("list", path);
    close(fd);
    return status;
  }
  std::vector<DirEntry> entries;
  errno = SystemCall("list.readdir", [] { return 0; }) == 0 ? 0 : errno;
  while (errno == 0) {
    const dirent* entry = readdir(dir);
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    entries.push_back({name, TypeOf(fd, *entry)});
    errno = 0;
  }
  const absl::Status status =
      errno == 0 ? absl::OkStatus() : Failed("list", path);
  closedir(dir);
  RECLAIM_RETURN_IF_ERROR(status);
  std::sort(
      entries.begin(), entries.end(),
      [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  return entries;
}

absl::StatusOr<FileStat> RootedDir::Stat(const std::string& path) const {
  struct stat st;
  if (path.empty()) {
    if (SystemCall("stat.fstat", [&] { return fstat(fd_, &st); }) != 0) {
      return Failed("stat", path);
    }
    return ToFileStat(st);
  }
  std::string name;
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenParent(path, &name));
  const Descriptor parent(fd);
  const int done = SystemCall("stat.fstatat", [&] {
    return fstatat(parent.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW);
  });
  if (done != 0) return Failed("stat", path);
  return ToFileStat(st);
}

absl::StatusOr<std::optional<FileStat>> RootedDir::StatIfThere(
    const std::string& path) const {
  std::optional<FileStat> found;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::StatusOr<FileStat> stat = Stat(path);
    if (stat.ok()) {
      found = *stat;
      return found;
    }
    if (!absl::IsNotFound(stat.status())) return stat.status();
  }
  const absl::Status root = Stat("").status();
  if (root.ok()) {
    RECLAIM_RETURN_IF_ERROR(CheckInPlace());
    return found;
  }
  return absl::UnavailableError(
      absl::StrCat("the store's folder cannot be looked at: ", root.message()));
}

absl::StatusOr<bool> RootedDir::Exists(const std::string& path) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                           StatIfThere(path));
  return stat.has_value();
}

absl::StatusOr<std::optional<std::vector<DirEntry>>> RootedDir::ListIfThere(
    const std::string& path) const {
  std::optional<std::vector<DirEntry>> found;
  absl::StatusOr<std::vector<DirEntry>> entries = List(path);
  if (entries.ok()) {
    found = *std::move(entries);
    return found;
  }
  if (!absl::IsNotFound(entries.status())) return entries.status();
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, Exists(path));
  if (is_there) return NotGone(entries.status());
  return found;
}

absl::StatusOr<std::optional<std::string>> RootedDir::ReadIfThere(
    const std::string& path, uint64_t max_bytes) const {
  std::optional<std::string> found;
  absl::StatusOr<std::string> bytes = Read(path, max_bytes);
  if (bytes.ok()) {
    found = *std::move(bytes);
    return found;
  }
  if (!absl::IsNotFound(bytes.status())) return bytes.status();
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, Exists(path));
  if (is_there) return NotGone(bytes.status());
  return found;
}

absl::StatusOr<int> RootedDir::OpenFile(const std::string& path) const {
  // Without O_NONBLOCK a pipe in the place of a file would hang the reader.
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenAt(path, O_RDONLY | O_NONBLOCK));
  Descriptor file(fd);
  struct stat st;
  if (SystemCall("read.fstat", [&] { return fstat(file.get(), &st); }) != 0) {
    return Failed("stat", path);
  }
  if (!S_ISREG(st.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(JoinPath(prefix_, path), " is not a regular file"));
  }
  return file.release();
}

absl::Status RootedDir::ReadPieces(
    const std::string& path,
    absl::FunctionRef<absl::Status(absl::string_view)> visit) const {
  RECLAIM_ASSIGN_OR_RETURN(const int fd, OpenFile(path));
  const Descriptor file(fd);
  std::vector<char> buffer(1 << 16);
  while (true) {
    const ssize_t n = RepeatedCall("read.read", [&] {
      return read(file.get(), buffer.data(), buffer.size());
    });
    if (n < 0) return Failed("read", path);
    if (n == 0) return absl::OkStatus();
    RECLAIM_RETURN_IF_ERROR(
        visit(absl::string_view(buffer.data(), static_cast<size_t>(n))));
  }
}

absl::StatusOr<std::string> RootedDir::Read(const std::string& path,
                                            uint64_t max_bytes) const {
  std::string bytes;
  RECLAIM_RETURN_IF_ERROR(ReadPieces(path, [&](absl::string_view piece) {
    bytes.append(piece.data(), piece.size());
    if (bytes.size() <= max_bytes) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat(
        JoinPath(prefix_, path), " is larger than ", max_bytes, " bytes"));
  }));
  return bytes;
}

absl::StatusOr<Capacity> RootedDir::GetCapacity() const {
  struct statvfs st;
  const int done =
      SystemCall("capacity.fstatvfs", [&] { return fstatvfs(fd_, &st); });
  if (done != 0) return Failed("statvfs", "");
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
