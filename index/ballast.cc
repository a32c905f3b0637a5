#include "index/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::index {
namespace {

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

Ballast::Ballast(std::string path, uint64_t bytes)
    : path_(std::move(path)), bytes_(bytes) {
  struct stat st;
  if (lstat(path_.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return;
  // One of another size, or half made, is made anew when there is space.
  if (bytes_ == 0 || static_cast<uint64_t>(st.st_blocks) * 512 < bytes_) {
    unlink(path_.c_str());
    return;
  }
  is_held_ = true;
}

bool Ballast::is_held() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return is_held_;
}

absl::StatusOr<uint64_t> Ballast::FreeBytes() const {
  struct statvfs st;
  if (statvfs(FolderOf(path_).c_str(), &st) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("statvfs ", path_));
  }
  return uint64_t{st.f_bavail} * st.f_frsize;
}

absl::Status Ballast::Refill() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_held_ || bytes_ == 0) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const uint64_t free, FreeBytes());
  if (free < 2 * bytes_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no space for a ballast of ", bytes_, " bytes at ", path_, ": ", free,
        " are free; make it smaller (ballast_bytes) "
        "or free some space"));
  }
  const int fd =
      open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
           0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("open ", path_));
  const int error = posix_fallocate(fd, 0, static_cast<off_t>(bytes_));
  close(fd);
  if (error != 0) {
    unlink(path_.c_str());
    return absl::ErrnoToStatus(error, absl::StrCat("allocate ", path_));
  }
  is_held_ = true;
  return absl::OkStatus();
}

bool Ballast::Release() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!is_held_) return false;
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) return false;
  is_held_ = false;
  return true;
}

void Ballast::ReleaseIfLow() {
  if (!is_held()) return;
  const absl::StatusOr<uint64_t> free = FreeBytes();
  if (free.ok() && *free < bytes_ / 4) Release();
}

namespace {

class BallastedEngine final : public Engine {
 public:
  BallastedEngine(Engine* engine, Ballast* ballast)
      : engine_(engine), ballast_(ballast) {}

  absl::StatusOr<std::optional<std::string>> Get(
      Family family, absl::string_view key) const override {
    return engine_->Get(family, key);
  }
  absl::Status Scan(Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    return engine_->Scan(family, prefix, from, visit);
  }
  absl::Status ScanBackwards(Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override {
    return engine_->ScanBackwards(family, prefix, before, visit);
  }
  absl::Status Commit(const Batch& batch, Durability durability) override {
    // Before: what else writes to this disk (journals of stores) has to go on
    // as well.
    ballast_->ReleaseIfLow();
    const absl::Status status = engine_->Commit(batch, durability);
    if (!absl::IsResourceExhausted(status)) return status;
    // Released just now or by another commit: there may be space by now.
    ballast_->Release();
    return engine_->Commit(batch, durability);
  }
  // What a sync that failed has left is not known, so it is not tried again.
  absl::Status Sync() override {
    ballast_->ReleaseIfLow();
    return engine_->Sync();
  }
  uint64_t ApproximateBytes() const override {
    return engine_->ApproximateBytes();
  }
  EngineStats Stats() const override { return engine_->Stats(); }

 private:
  Engine* engine_;
  Ballast* ballast_;
};

}  // namespace

std::unique_ptr<Engine> MakeBallastedEngine(Engine* engine, Ballast* ballast) {
  return std::make_unique<BallastedEngine>(engine, ballast);
}

}  // namespace reclaim::index
