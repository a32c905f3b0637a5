#include "index/testing/lossy_engine.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"

namespace reclaim::index {

absl::Status LossyEngine::Commit(const Batch& batch, Durability durability) {
  {
    base::MutexLock lock(&mutex_);
    RECLAIM_RETURN_IF_ERROR(seen_.Commit(batch, durability));
    commits_.push_back(batch);
  }
  return durability == Durability::kDurable ? Sync() : absl::OkStatus();
}

absl::Status LossyEngine::Sync() {
  size_t covered = 0;
  std::function<void()> on_sync;
  {
    base::MutexLock lock(&mutex_);
    covered = commits_.size();
    ++sync_count_;
    on_sync = on_sync_;
  }
  if (on_sync) on_sync();
  RECLAIM_RETURN_IF_ERROR(seen_.Sync());
  base::MutexLock lock(&mutex_);
  durable_count_ = std::max(durable_count_, covered);
  return absl::OkStatus();
}

void LossyEngine::SetOnSync(std::function<void()> on_sync) {
  base::MutexLock lock(&mutex_);
  on_sync_ = std::move(on_sync);
}

std::unique_ptr<Engine> LossyEngine::AfterPowerCut(
    size_t survivor_count) const {
  auto engine = std::make_unique<MemoryEngine>();
  base::MutexLock lock(&mutex_);
  const size_t end = std::min(commits_.size(), durable_count_ + survivor_count);
  for (size_t i = 0; i < end; ++i) {
    const absl::Status status =
        engine->Commit(commits_[i], Durability::kDurable);
    RECLAIM_CHECK(status.ok(), "memory takes every commit");
  }
  return engine;
}

size_t LossyEngine::commit_count() const {
  base::MutexLock lock(&mutex_);
  return commits_.size();
}

size_t LossyEngine::sync_count() const {
  base::MutexLock lock(&mutex_);
  return sync_count_;
}

size_t LossyEngine::unsynced_count() const {
  base::MutexLock lock(&mutex_);
  return commits_.size() - durable_count_;
}

}  // namespace reclaim::index
