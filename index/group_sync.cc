#include "index/group_sync.h"

#include "absl/strings/str_cat.h"

namespace reclaim::index {

uint64_t GroupSync::Add() {
  base::MutexLock lock(&mutex_);
  return ++last_;
}

uint64_t GroupSync::last() const {
  base::MutexLock lock(&mutex_);
  return last_;
}

absl::Status GroupSync::status() const {
  base::MutexLock lock(&mutex_);
  return failure_;
}

void GroupSync::SyncOnce() {
  is_syncing_ = true;
  const uint64_t covered = last_;
  mutex_.Unlock();
  const absl::Status status = engine_->Sync();
  mutex_.Lock();
  is_syncing_ = false;
  if (status.ok()) {
    synced_ = covered;
  } else {
    // Also a full disk: what was written before is in doubt, not refused.
    failure_ = absl::UnavailableError(
        absl::StrCat("the database could not be synced; restart reclaimd: ",
                     status.message()));
  }
  changed_.NotifyAll();
}

absl::Status GroupSync::Wait(uint64_t commit) {
  base::MutexLock lock(&mutex_);
  while (synced_ < commit && failure_.ok()) {
    if (is_syncing_) {
      changed_.Wait(&mutex_);
    } else {
      SyncOnce();
    }
  }
  return synced_ >= commit ? absl::OkStatus() : failure_;
}

}  // namespace reclaim::index
