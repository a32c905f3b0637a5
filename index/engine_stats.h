// index/engine_stats.h — how the engine fares, as figures for metrics.
//
// A plain value without a vendor's types.  Zero where an engine knows nothing
// of it.  Sums count from the opening of the engine.

#ifndef RECLAIM_INDEX_ENGINE_STATS_H_
#define RECLAIM_INDEX_ENGINE_STATS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace reclaim::index {

struct EngineStats {
  uint64_t disk_bytes = 0;    // of its sorted files
  uint64_t buffer_bytes = 0;  // written and not yet in one of them
  uint64_t cache_bytes = 0;

  // Writers had to wait for flushes and compactions so long.
  absl::Duration stalled;
  bool is_write_stopped = false;  // they wait now

  uint64_t pending_compaction_bytes = 0;
  uint64_t running_compaction_count = 0;
  uint64_t running_flush_count = 0;
  uint64_t compaction_read_bytes = 0;
  uint64_t compaction_written_bytes = 0;
  uint64_t flushed_bytes = 0;
  uint64_t background_error_count = 0;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_ENGINE_STATS_H_
