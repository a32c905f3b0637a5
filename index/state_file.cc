#include "index/state_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "oci/digest.h"

namespace reclaim::index {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status Failed(absl::string_view did, const StateFile& file) {
  const int error = errno;
  return absl::ErrnoToStatus(
      error, absl::StrCat("cannot ", did, " ", file.what, " ", file.path));
}

absl::Status WriteAll(int fd, absl::string_view bytes, const StateFile& file) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failed("write", file);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status WriteSynced(absl::string_view bytes, const StateFile& file) {
  const FileDescriptor fd(
      open(file.path.c_str(),
           O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0) return Failed("make", file);
  RECLAIM_RETURN_IF_ERROR(WriteAll(fd.get(), bytes, file));
  return fsync(fd.get()) == 0 ? absl::OkStatus() : Failed("sync", file);
}

absl::Status SyncFolderOf(const StateFile& file) {
  const std::string folder = file.path.substr(0, file.path.rfind('/') + 1);
  const FileDescriptor fd(open(folder.empty() ? "." : folder.c_str(),
                               O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const bool is_synced = fd.get() >= 0 && fsync(fd.get()) == 0;
  return is_synced ? absl::OkStatus() : Failed("sync the folder of", file);
}

}  // namespace

absl::StatusOr<std::optional<std::string>> ReadStateFile(const StateFile& file,
                                                         size_t bytes_max) {
  const FileDescriptor fd(
      open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (fd.get() < 0) {
    if (errno == ENOENT) return std::optional<std::string>();
    return Failed("open", file);
  }
  std::string bytes;
  char buffer[65536];
  while (bytes.size() <= bytes_max) {
    const ssize_t count = read(fd.get(), buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failed("read", file);
    if (count == 0) break;
    bytes.append(buffer, static_cast<size_t>(count));
  }
  return std::optional<std::string>(std::move(bytes));
}

absl::Status ReplaceStateFile(const StateFile& file, absl::string_view bytes) {
  const StateFile fresh = {absl::StrCat(file.path, ".new"), file.what};
  RECLAIM_RETURN_IF_ERROR(WriteSynced(bytes, fresh));
  if (rename(fresh.path.c_str(), file.path.c_str()) != 0) {
    return Failed("replace", file);
  }
  return SyncFolderOf(file);
}

std::string SumLine(absl::string_view bytes) {
  return absl::StrCat(kSumMark, oci::Digest::Sha256Of(bytes).ToString(), "\n");
}

}  // namespace reclaim::index
