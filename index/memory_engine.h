// index/memory_engine.h — an engine in memory, for tests and for stores that
// live no longer than the daemon.

#ifndef RECLAIM_INDEX_MEMORY_ENGINE_H_
#define RECLAIM_INDEX_MEMORY_ENGINE_H_

#include <array>
#include <map>
#include <string>

#include "base/mutex.h"
#include "index/engine.h"

namespace reclaim::index {

// Passes the fault point "engine.commit" (base/fault_point.h) in each Commit().
class MemoryEngine : public Engine {
 public:
  absl::StatusOr<std::optional<std::string>> Get(
      Family family, absl::string_view key) const override;
  absl::Status Scan(Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override;
  absl::Status ScanBackwards(Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override;
  absl::Status Commit(const Batch& batch, Durability durability) override;
  // Passes the fault point "engine.sync".
  absl::Status Sync() override;
  uint64_t ApproximateBytes() const override;

 private:
  using Table = std::map<std::string, std::string>;
  // A copy of the range, so that `visit` may call back and the lock is not
  // held.
  Table Range(Family family, absl::string_view prefix) const;

  mutable base::Mutex mutex_;
  std::array<Table, kFamilyCount> tables_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_MEMORY_ENGINE_H_
