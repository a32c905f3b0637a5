#include "index/memory_engine.h"

#include "absl/strings/match.h"
#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace reclaim::index {

absl::StatusOr<std::optional<std::string>> MemoryEngine::Get(
    Family family, absl::string_view key) const {
  base::MutexLock lock(&mutex_);
  const Table& table = tables_[static_cast<size_t>(family)];
  const auto it = table.find(std::string(key));
  if (it == table.end()) return std::optional<std::string>();
  return std::optional<std::string>(it->second);
}

MemoryEngine::Table MemoryEngine::Range(Family family,
                                        absl::string_view prefix) const {
  base::MutexLock lock(&mutex_);
  const Table& table = tables_[static_cast<size_t>(family)];
  Table range;
  for (auto it = table.lower_bound(std::string(prefix));
       it != table.end() && absl::StartsWith(it->first, prefix); ++it) {
    range.insert(range.end(), *it);
  }
  return range;
}

absl::Status MemoryEngine::Scan(Family family, absl::string_view prefix,
                                absl::string_view from, Visitor visit) const {
  const Table range = Range(family, prefix);
  for (auto it = range.lower_bound(std::string(from)); it != range.end();
       ++it) {
    if (!visit(it->first, it->second)) break;
  }
  return absl::OkStatus();
}

absl::Status MemoryEngine::ScanBackwards(Family family,
                                         absl::string_view prefix,
                                         absl::string_view before,
                                         Visitor visit) const {
  const Table range = Range(family, prefix);
  auto it =
      before.empty() ? range.end() : range.lower_bound(std::string(before));
  while (it != range.begin()) {
    --it;
    if (!visit(it->first, it->second)) break;
  }
  return absl::OkStatus();
}

absl::Status MemoryEngine::Commit(const Batch& batch, Durability) {
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("engine.commit"));
  base::MutexLock lock(&mutex_);
  for (const Batch::Entry& entry : batch.entries()) {
    Table& table = tables_[static_cast<size_t>(entry.family)];
    if (!entry.end.empty()) {
      table.erase(table.lower_bound(entry.key), table.lower_bound(entry.end));
    } else if (entry.value) {
      table[entry.key] = *entry.value;
    } else {
      table.erase(entry.key);
    }
  }
  return absl::OkStatus();
}

absl::Status MemoryEngine::Sync() { return base::FaultPoint("engine.sync"); }

uint64_t MemoryEngine::ApproximateBytes() const {
  base::MutexLock lock(&mutex_);
  uint64_t bytes = 0;
  for (const Table& table : tables_) {
    for (const auto& [key, value] : table) bytes += key.size() + value.size();
  }
  return bytes;
}

}  // namespace reclaim::index
