// index/power_cut_disk.h — a disk that forgets what was not synced.  FOR TESTS
// ONLY.
//
// Stands below RocksDB as its file system and remembers, for every file that is
// written, how much of it was synced.  Cut() copies a folder as a power cut may
// leave it: of each file, on its own, some part of the bytes that were not
// synced, and instead of the last of them perhaps other bytes (blocks that were
// allocated and never written).  Losing different parts of different files is
// what a reordering disk does.  Names are taken as durable at once: RocksDB
// syncs the folder before it relies on one.
//
// Thread-safe: RocksDB writes from threads of its own.

#ifndef RECLAIM_INDEX_POWER_CUT_DISK_H_
#define RECLAIM_INDEX_POWER_CUT_DISK_H_

#include <memory>
#include <random>
#include <string>

#include "rocksdb/env.h"

namespace reclaim::index {

class PowerCutDisk {
 public:
  PowerCutDisk();
  ~PowerCutDisk();

  rocksdb::Env* env() const { return env_.get(); }

  // What a power cut now leaves of the folder `from`, written to `to`, which is
  // made.  Only files directly in it.
  void Cut(const std::string& from, const std::string& to,
           std::mt19937_64* random) const;
  // Bytes that Cut() has lost or spoilt so far.
  uint64_t lost_bytes() const;

 private:
  class FileSystem;
  std::shared_ptr<FileSystem> files_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_POWER_CUT_DISK_H_
