// index/watched_engine.h — an engine that remembers how its last write went.
//
// Readiness and metrics ask it whether the graph can be written, without a
// write of their own.  Everything is handed on unchanged to the engine below.
//
// Thread-safe.

#ifndef RECLAIM_INDEX_WATCHED_ENGINE_H_
#define RECLAIM_INDEX_WATCHED_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "index/engine.h"

namespace reclaim::index {

class WatchedEngine final : public Engine {
 public:
  explicit WatchedEngine(std::unique_ptr<Engine> below)
      : below_(std::move(below)) {}

  // OK; RESOURCE_EXHAUSTED while the last write found the disk full; any other
  // error of a write stays, for the graph is read-only until it is reopened.
  absl::Status Writable() const;

  // Commits that returned OK.
  uint64_t commit_count() const {
    return commit_count_.load(std::memory_order_relaxed);
  }

  absl::StatusOr<std::optional<std::string>> Get(
      Family family, absl::string_view key) const override {
    return below_->Get(family, key);
  }
  absl::Status Scan(Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    return below_->Scan(family, prefix, from, visit);
  }
  absl::Status ScanBackwards(Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override {
    return below_->ScanBackwards(family, prefix, before, visit);
  }
  absl::Status Commit(const Batch& batch, Durability durability) override;
  absl::Status Sync() override;
  uint64_t ApproximateBytes() const override {
    return below_->ApproximateBytes();
  }
  EngineStats Stats() const override { return below_->Stats(); }

 private:
  absl::Status Remember(absl::Status status);

  const std::unique_ptr<Engine> below_;
  mutable base::Mutex mutex_;
  absl::Status last_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> commit_count_{0};
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_WATCHED_ENGINE_H_
