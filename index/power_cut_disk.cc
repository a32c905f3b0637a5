#include "index/power_cut_disk.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ios>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "rocksdb/file_system.h"

namespace reclaim::index {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// How much of each file is where; shared with the files that are open.
struct Ledger {
  struct Extent {
    uint64_t written = 0;
    uint64_t synced = 0;
  };
  std::mutex mutex;  // also held while bytes are written, so that Cut() sees
                     // files that stand still
  std::map<std::string, Extent> files;
};

class WatchedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WatchedFile(std::unique_ptr<FSWritableFile> file, std::string path,
              std::shared_ptr<Ledger> ledger)
      : FSWritableFileOwnerWrapper(std::move(file)),
        path_(std::move(path)),
        ledger_(std::move(ledger)) {}

  IOStatus Append(const Slice& data, const IOOptions& options,
                  IODebugContext* context) override {
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    return Written(data.size(), target()->Append(data, options, context));
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& verification,
                  IODebugContext* context) override {
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    return Written(data.size(),
                   target()->Append(data, options, verification, context));
  }
  // Space that is set aside ahead of a write is no byte of a file, and in
  // memory it costs as much as all the rest: tens of megabytes for each log.
  void PrepareWrite(size_t /*offset*/, size_t /*bytes*/,
                    const IOOptions& /*options*/,
                    IODebugContext* /*context*/) override {}
  IOStatus Sync(const IOOptions& options, IODebugContext* context) override {
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    return Synced(target()->Sync(options, context));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    return Synced(target()->Fsync(options, context));
  }

 private:
  IOStatus Written(uint64_t bytes, IOStatus status) {
    if (status.ok()) ledger_->files[path_].written += bytes;
    return status;
  }
  IOStatus Synced(IOStatus status) {
    if (status.ok()) {
      Ledger::Extent& extent = ledger_->files[path_];
      extent.synced = extent.written;
    }
    return status;
  }

  const std::string path_;
  const std::shared_ptr<Ledger> ledger_;
};

std::string ReadAll(const std::filesystem::path& path) {
  std::error_code gone;
  const uintmax_t size = std::filesystem::file_size(path, gone);
  if (gone) return "";
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

// Some part of `bytes` behind the first `synced`; how many are not as written.
uint64_t Forget(uint64_t synced, std::string* bytes, std::mt19937_64* random) {
  if (bytes->size() <= synced) return 0;
  const uint64_t unsynced = bytes->size() - synced;
  const uint64_t kept = (*random)() % (unsynced + 1);
  const uint64_t lost = unsynced - kept;
  bytes->resize(synced + kept);
  const uint64_t spoilt = (*random)() % 3 == 0 ? (*random)() % (kept + 1) : 0;
  const bool is_zero = (*random)() % 2 == 0;
  for (uint64_t i = bytes->size() - spoilt; i < bytes->size(); ++i) {
    (*bytes)[i] = is_zero ? '\0' : static_cast<char>((*random)());
  }
  return lost + spoilt;
}

}  // namespace

class PowerCutDisk::FileSystem final : public rocksdb::FileSystemWrapper {
 public:
  FileSystem() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "PowerCutDisk"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file,
                           IODebugContext* context) override {
    const IOStatus status =
        target()->NewWritableFile(path, options, file, context);
    if (!status.ok()) return status;
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    ledger_->files[path] = {};
    *file = std::make_unique<WatchedFile>(std::move(*file), path, ledger_);
    return status;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to,
                      const IOOptions& options,
                      IODebugContext* context) override {
    const IOStatus status = target()->RenameFile(from, to, options, context);
    if (!status.ok()) return status;
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    const auto it = ledger_->files.find(from);
    if (it == ledger_->files.end()) return status;
    ledger_->files[to] = it->second;
    ledger_->files.erase(from);
    return status;
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* context) override {
    const IOStatus status = target()->DeleteFile(path, options, context);
    if (!status.ok()) return status;
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    ledger_->files.erase(path);
    return status;
  }

  void Cut(const std::string& from, const std::string& to,
           std::mt19937_64* random) {
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    std::filesystem::create_directories(to);
    for (const auto& entry : std::filesystem::directory_iterator(from)) {
      if (!entry.is_regular_file()) continue;
      std::string bytes = ReadAll(entry.path());
      const auto it = ledger_->files.find(entry.path());
      // What nobody has written since the disk began was there before.
      if (it != ledger_->files.end()) {
        lost_bytes_ += Forget(it->second.synced, &bytes, random);
      }
      std::ofstream(to + "/" + entry.path().filename().string(),
                    std::ios::binary)
          << bytes;
    }
  }
  uint64_t lost_bytes() {
    std::lock_guard<std::mutex> lock(ledger_->mutex);
    return lost_bytes_;
  }

 private:
  const std::shared_ptr<Ledger> ledger_ = std::make_shared<Ledger>();
  uint64_t lost_bytes_ = 0;
};

PowerCutDisk::PowerCutDisk()
    : files_(std::make_shared<FileSystem>()),
      env_(rocksdb::NewCompositeEnv(files_)) {}

PowerCutDisk::~PowerCutDisk() = default;

void PowerCutDisk::Cut(const std::string& from, const std::string& to,
                       std::mt19937_64* random) const {
  files_->Cut(from, to, random);
}

uint64_t PowerCutDisk::lost_bytes() const { return files_->lost_bytes(); }

}  // namespace reclaim::index
