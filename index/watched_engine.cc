#include "index/watched_engine.h"

#include <utility>

namespace reclaim::index {

absl::Status WatchedEngine::Writable() const {
  base::MutexLock lock(&mutex_);
  return last_;
}

absl::Status WatchedEngine::Remember(absl::Status status) {
  base::MutexLock lock(&mutex_);
  // A full disk refuses a batch whole, and the next one may find room.  After
  // any other failure only a new start knows what is on the disk.
  if (last_.ok() || absl::IsResourceExhausted(last_)) last_ = status;
  return status;
}

absl::Status WatchedEngine::Commit(const Batch& batch, Durability durability) {
  absl::Status status = below_->Commit(batch, durability);
  if (status.ok()) commit_count_.fetch_add(1, std::memory_order_relaxed);
  return Remember(std::move(status));
}

absl::Status WatchedEngine::Sync() {
  const absl::Status status = below_->Sync();
  if (status.ok()) return status;
  // Also a full disk: what of the commits has reached it nobody knows.  The
  // caller gets its own status below; being remembered only stops deletions.
  Remember(absl::UnavailableError(status.message())).IgnoreError();
  return status;
}

}  // namespace reclaim::index
