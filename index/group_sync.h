// index/group_sync.h — private: many commits, one sync.
//
// Writers commit to the engine's log without a sync, one after the other in the
// write order, and then wait here, outside of it, until a sync has covered
// their commit.  One of those who wait does the sync for all that were
// committed before it began; who comes meanwhile waits for the next one (group
// commit: DeWitt et al., "Implementation techniques for main memory database
// systems", 1984).
//
// A sync that fails is remembered: nobody knows what is on the disk then, and
// no later wait succeeds.
//
// Thread-safe.

#ifndef RECLAIM_INDEX_GROUP_SYNC_H_
#define RECLAIM_INDEX_GROUP_SYNC_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "index/engine.h"

namespace reclaim::index {

class GroupSync {
 public:
  // Not owned.
  explicit GroupSync(Engine* engine) : engine_(engine) {}

  // Notes a commit that the engine has taken; gives its number.  Numbers grow
  // in the order of the calls, which must be that of the commits.
  uint64_t Add();
  // The number of the newest commit.
  uint64_t last() const;

  // Waits until `commit` and all before it are durable.
  absl::Status Wait(uint64_t commit);

  // OK, or why a sync failed.
  absl::Status status() const;

 private:
  void SyncOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Engine* engine_;
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t synced_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_syncing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_GROUP_SYNC_H_
