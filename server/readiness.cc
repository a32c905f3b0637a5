#include "server/readiness.h"

#include <sys/statvfs.h>

#include "absl/strings/str_cat.h"

namespace reclaim::server {
namespace {

// With so much room a write is worth a try: as long as nobody sends one,
// nothing else would show that the disk has room again.
constexpr uint64_t kRoomBytes = uint64_t{64} << 20;

}  // namespace

void Readiness::Serve() {
  base::MutexLock lock(&mutex_);
  if (phase_ == Phase::kLoading) phase_ = Phase::kServing;
}

void Readiness::End() {
  base::MutexLock lock(&mutex_);
  phase_ = Phase::kEnding;
}

absl::Status Readiness::Check() const {
  {
    base::MutexLock lock(&mutex_);
    if (phase_ == Phase::kLoading) {
      return absl::UnavailableError("the graph is being loaded");
    }
    if (phase_ == Phase::kEnding) {
      return absl::UnavailableError("the daemon is ending");
    }
  }
  const absl::Status writable = writable_();
  if (writable.ok()) return writable;
  if (!absl::IsResourceExhausted(writable)) {
    return absl::UnavailableError(
        absl::StrCat("the graph is read-only: ", writable.message()));
  }
  if (free_bytes_() >= kRoomBytes) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the database's disk is full: ", writable.message()));
}

uint64_t FreeBytes(const std::string& folder) {
  struct statvfs disk = {};
  if (statvfs(folder.c_str(), &disk) != 0) return 0;
  return static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
}

}  // namespace reclaim::server
