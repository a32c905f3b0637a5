#include "index/rocksdb_engine.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/options.h"
#include "rocksdb/statistics.h"
#include "rocksdb/table.h"
#include "rocksdb/write_batch.h"

namespace reclaim::index {
namespace {

absl::Status FromRocks(const rocksdb::Status& status, absl::string_view path) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.ToString();
  if (status.IsNoSpace() || absl::StrContains(text, "No space left")) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the file system of the database ", path,
        " is full; nothing was changed; free some space there and retry: ",
        text));
  }
  if (absl::StrContains(text, "LOCK")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "another process has the database ", path,
        " open; stop the other reclaimd or choose another folder: ", text));
  }
  if (status.IsCorruption() || status.IsInvalidArgument()) {
    return absl::DataLossError(absl::StrCat(
        "the database ", path,
        " is damaged; move it away and start again, the graph is rebuilt "
        "from the stores: ",
        text));
  }
  return absl::UnavailableError(
      absl::StrCat("the database ", path, " failed: ", text));
}

rocksdb::Slice ToSlice(absl::string_view text) {
  return {text.data(), text.size()};
}
absl::string_view ToView(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

class RocksDbEngine final : public Engine {
 public:
  RocksDbEngine(std::string path, std::unique_ptr<rocksdb::DB> db,
                std::vector<rocksdb::ColumnFamilyHandle*> families,
                std::shared_ptr<rocksdb::Statistics> statistics)
      : path_(std::move(path)),
        db_(std::move(db)),
        families_(std::move(families)),
        statistics_(std::move(statistics)) {}

  ~RocksDbEngine() override {
    for (rocksdb::ColumnFamilyHandle* family : families_) {
      db_->DestroyColumnFamilyHandle(family);
    }
    db_->Close();
  }

  absl::StatusOr<std::optional<std::string>> Get(
      Family family, absl::string_view key) const override {
    std::string value;
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), Handle(family), ToSlice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    RECLAIM_RETURN_IF_ERROR(FromRocks(status, path_));
    return std::optional<std::string>(std::move(value));
  }

  absl::Status Scan(Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    // Who reads a whole family reads it once: what others use stays cached.
    const bool is_whole = prefix.empty() && from.empty();
    const std::unique_ptr<rocksdb::Iterator> it = Iterate(family, !is_whole);
    for (it->Seek(ToSlice(from < prefix ? prefix : from)); it->Valid();
         it->Next()) {
      if (!absl::StartsWith(ToView(it->key()), prefix)) break;
      if (!visit(ToView(it->key()), ToView(it->value()))) break;
    }
    return FromRocks(it->status(), path_);
  }

  absl::Status ScanBackwards(Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override {
    const std::unique_ptr<rocksdb::Iterator> it = Iterate(family, true);
    // No key of ours is longer than 0xff...: this sorts after every key that
    // begins with `prefix`.  A bound behind it would find what stands between.
    std::string bound = absl::StrCat(prefix, std::string(16, '\xff'));
    if (!before.empty() && before < bound) bound = std::string(before);
    it->SeekForPrev(bound);
    if (it->Valid() && ToView(it->key()) == bound) it->Prev();
    for (; it->Valid(); it->Prev()) {
      if (!absl::StartsWith(ToView(it->key()), prefix)) break;
      if (!visit(ToView(it->key()), ToView(it->value()))) break;
    }
    return FromRocks(it->status(), path_);
  }

  absl::Status Commit(const Batch& batch, Durability durability) override {
    RECLAIM_RETURN_IF_ERROR(base::FaultPoint("engine.commit"));
    rocksdb::WriteBatch write;
    for (const Batch::Entry& entry : batch.entries()) {
      rocksdb::ColumnFamilyHandle* family = Handle(entry.family);
      const rocksdb::Status status =
          !entry.end.empty() ? write.DeleteRange(family, entry.key, entry.end)
          : entry.value      ? write.Put(family, entry.key, *entry.value)
                             : write.Delete(family, entry.key);
      RECLAIM_RETURN_IF_ERROR(FromRocks(status, path_));
    }
    rocksdb::WriteOptions options;
    options.sync = durability == Durability::kDurable;
    rocksdb::Status status = db_->Write(options, &write);
    if (status.IsNoSpace()) {
      // RocksDB refuses everything from now on until it is told that there is
      // space again.
      if (db_->Resume().ok()) status = db_->Write(options, &write);
    }
    return FromRocks(status, path_);
  }

  absl::Status Sync() override {
    RECLAIM_RETURN_IF_ERROR(base::FaultPoint("engine.sync"));
    return FromRocks(db_->SyncWAL(), path_);
  }

  uint64_t ApproximateBytes() const override {
    return Sum(rocksdb::DB::Properties::kTotalSstFilesSize);
  }

  EngineStats Stats() const override {
    using Properties = rocksdb::DB::Properties;
    EngineStats stats;
    stats.disk_bytes = ApproximateBytes();
    stats.buffer_bytes = Sum(Properties::kCurSizeAllMemTables);
    // The families share one cache, one pool of threads, one error state.
    stats.cache_bytes = Of(families_[0], Properties::kBlockCacheUsage);
    stats.running_compaction_count =
        Of(families_[0], Properties::kNumRunningCompactions);
    stats.running_flush_count =
        Of(families_[0], Properties::kNumRunningFlushes);
    stats.background_error_count =
        Of(families_[0], Properties::kBackgroundErrors);
    stats.is_write_stopped = Of(families_[0], Properties::kIsWriteStopped) != 0;
    stats.pending_compaction_bytes =
        Sum(Properties::kEstimatePendingCompactionBytes);
    const auto count = [this](rocksdb::Tickers ticker) {
      return statistics_->getTickerCount(ticker);
    };
    stats.stalled = absl::Microseconds(count(rocksdb::STALL_MICROS));
    stats.compaction_read_bytes = count(rocksdb::COMPACT_READ_BYTES);
    stats.compaction_written_bytes = count(rocksdb::COMPACT_WRITE_BYTES);
    stats.flushed_bytes = count(rocksdb::FLUSH_WRITE_BYTES);
    return stats;
  }

 private:
  // A figure that cannot be had is 0.
  uint64_t Of(rocksdb::ColumnFamilyHandle* family,
              const std::string& property) const {
    uint64_t value = 0;
    db_->GetIntProperty(family, property, &value);
    return value;
  }
  uint64_t Sum(const std::string& property) const {
    uint64_t total = 0;
    for (rocksdb::ColumnFamilyHandle* family : families_) {
      total += Of(family, property);
    }
    return total;
  }

  rocksdb::ColumnFamilyHandle* Handle(Family family) const {
    // Family 0 lies in RocksDB's own "default", which always exists.
    return families_[static_cast<size_t>(family)];
  }

  std::unique_ptr<rocksdb::Iterator> Iterate(Family family,
                                             bool fills_cache) const {
    rocksdb::ReadOptions options;
    options.fill_cache = fills_cache;
    return std::unique_ptr<rocksdb::Iterator>(
        db_->NewIterator(options, Handle(family)));
  }

  std::string path_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
  const std::shared_ptr<rocksdb::Statistics> statistics_;
};

rocksdb::ColumnFamilyOptions FamilyOptions(
    const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 16 << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = 32 << 20;
  options.level_compaction_dynamic_level_bytes = true;
  return options;
}

// What an open writes at the least: a manifest, the options, a log.
constexpr uint64_t kFreeBytesMin = uint64_t{1} << 20;

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

absl::StatusOr<uint64_t> AskFreeBytes(const std::string& folder) {
  struct statvfs st;
  if (statvfs(folder.c_str(), &st) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("statvfs ", folder));
  }
  // What is set aside for root is there for root.
  const uint64_t blocks = geteuid() == 0 ? st.f_bfree : st.f_bavail;
  return blocks * st.f_frsize;
}

// On a full disk some builds of RocksDB (Debian's) fail an assertion while they
// open, and the process ends without a word of why.
absl::Status CheckFree(const RocksDbOptions& options) {
  const std::string folder = FolderOf(options.path);
  const absl::StatusOr<uint64_t> free =
      options.free_bytes ? options.free_bytes(folder) : AskFreeBytes(folder);
  // Who can't be asked does not stop a start.
  if (!free.ok() || *free >= kFreeBytesMin) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the disk of the database ", options.path, " is full (", *free,
      " bytes are free, to open it takes ", kFreeBytesMin,
      "); free some space there, and let Reclaim hold some for the next time "
      "(ballast_bytes)"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> OpenRocksDb(
    const RocksDbOptions& options) {
  RECLAIM_RETURN_IF_ERROR(CheckFree(options));
  rocksdb::DBOptions db_options;
  if (options.env != nullptr) db_options.env = options.env;
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  db_options.paranoid_checks = true;
  db_options.max_background_jobs = 2;
  // Each family makes so many threads while it is opened, be it empty: sixteen,
  // as they are by default, were half of what a start takes.
  db_options.max_file_opening_threads = 2;
  db_options.db_write_buffer_size = options.write_buffer_bytes;
  db_options.keep_log_file_num = 5;
  // Counters without timers cost a few nanoseconds an operation.
  db_options.statistics = rocksdb::CreateDBStatistics();
  db_options.statistics->set_stats_level(rocksdb::StatsLevel::kExceptTimers);
  db_options.max_total_wal_size = 128 << 20;
  // Unsynced records may be lost in a power cut, also out of a log that is not
  // the last: replay ends at the first gap, so that a prefix of the commits is
  // left (index/engine.h).  What was synced is written down in the manifest,
  // and a log that lacks some of it is damage, not a gap.
  db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db_options.track_and_verify_wals_in_manifest = true;
  const std::shared_ptr<rocksdb::Cache> cache =
      rocksdb::NewLRUCache(options.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (int i = 0; i < kFamilyCount; ++i) {
    const std::string name = i == 0 ? rocksdb::kDefaultColumnFamilyName
                                    : ToString(static_cast<Family>(i));
    descriptors.emplace_back(name, FamilyOptions(cache));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* db = nullptr;
  RECLAIM_RETURN_IF_ERROR(FromRocks(
      rocksdb::DB::Open(db_options, options.path, descriptors, &families, &db),
      options.path));
  return std::make_unique<RocksDbEngine>(
      options.path, std::unique_ptr<rocksdb::DB>(db), std::move(families),
      db_options.statistics);
}

}  // namespace reclaim::index
