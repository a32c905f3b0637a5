// index/testing/lossy_engine.h — an engine whose power can be cut.
//
// Commits are seen at once, and durable from the next Sync() or durable commit
// on, as on a disk behind a page cache.  AfterPowerCut() gives what a restart
// would find.  Thread-safe.

#ifndef RECLAIM_INDEX_TESTING_LOSSY_ENGINE_H_
#define RECLAIM_INDEX_TESTING_LOSSY_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "index/engine.h"
#include "index/memory_engine.h"

namespace reclaim::index {

class LossyEngine final : public Engine {
 public:
  absl::StatusOr<std::optional<std::string>> Get(
      Family family, absl::string_view key) const override {
    return seen_.Get(family, key);
  }
  absl::Status Scan(Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    return seen_.Scan(family, prefix, from, visit);
  }
  absl::Status ScanBackwards(Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override {
    return seen_.ScanBackwards(family, prefix, before, visit);
  }
  absl::Status Commit(const Batch& batch, Durability durability) override;
  absl::Status Sync() override;
  uint64_t ApproximateBytes() const override {
    return seen_.ApproximateBytes();
  }

  // Called in each Sync(), before anything is made durable; no lock is held.
  void SetOnSync(std::function<void()> on_sync);

  // The durable commits, and the first `survivor_count` of those that were not
  // synced: a power cut leaves any prefix of them.
  std::unique_ptr<Engine> AfterPowerCut(size_t survivor_count) const;

  size_t commit_count() const;
  size_t sync_count() const;
  size_t unsynced_count() const;

 private:
  MemoryEngine seen_;
  mutable base::Mutex mutex_;
  std::vector<Batch> commits_ ABSL_GUARDED_BY(mutex_);
  size_t durable_count_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t sync_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<void()> on_sync_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_TESTING_LOSSY_ENGINE_H_
