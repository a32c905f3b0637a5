// index/rocksdb_engine.h — the durable engine: RocksDB, a column family each.
//
// Settings follow PERFORMANCE.md 4.3 (their sources are named there): whole-key
// bloom filters, checksums verified on each read.  The cache is smaller than
// there: ten million objects are to be served within 1 GiB
// (docs/BENCHMARKS.md), and what is read often lies in the graph's arrays.

#ifndef RECLAIM_INDEX_ROCKSDB_ENGINE_H_
#define RECLAIM_INDEX_ROCKSDB_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "index/engine.h"

namespace rocksdb {
class Env;
}

namespace reclaim::index {

struct RocksDbOptions {
  std::string path;  // a folder; made if it is not there
  uint64_t block_cache_bytes = uint64_t{64} << 20;
  // The disk below; null for the machine's.  Tests put one that loses what was
  // not synced.  Not owned, outlives the engine.
  rocksdb::Env* env = nullptr;
  // Bytes that are free for us on the file system of a folder; null asks it.
  std::function<absl::StatusOr<uint64_t>(const std::string& folder)> free_bytes;
  // Of all families together, before they are written out.
  uint64_t write_buffer_bytes = uint64_t{64} << 20;
};

// FAILED_PRECONDITION if another process has the database open, DATA_LOSS if
// it is damaged or written by a later version (move the folder away and start
// again: the graph is rebuilt from the stores), RESOURCE_EXHAUSTED if its disk
// is full, UNAVAILABLE otherwise.
absl::StatusOr<std::unique_ptr<Engine>> OpenRocksDb(
    const RocksDbOptions& options);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_ROCKSDB_ENGINE_H_
