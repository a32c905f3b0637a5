// The quarantine entries of a run store.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/run_store.h"
#include "gc/run_store_keys.h"

namespace reclaim::gc {
namespace {

using index::Family;

std::string KeyOf(const QuarantineKey& key) {
  return absl::StrCat(key.first, "/", BigEndian(key.second));
}

// What an item is about.
store::Place PlaceOf(const PlanItem& item) {
  return item.removal ? item.removal->place : "";
}
oci::Digest DigestOf(const PlanItem& item) {
  return item.digest.value_or(oci::Digest());
}

uint32_t HashOf(const QuarantineKey& key, const QuarantineRecord& record) {
  const PlanItem& item = record.item;
  if (!item.digest) return QuarantineIndex::HashOf(key);
  return QuarantineIndex::HashOf(record.store, PlaceOf(item), *item.digest);
}

void TakeOff(const store::Bytes& bytes, store::Bytes* sum) {
  sum->logical_bytes -= bytes.logical_bytes;
  sum->allocated_bytes -= bytes.allocated_bytes;
}

}  // namespace

absl::Status RunStore::Load() {
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(
      engine_->Scan(Family::kQuarantine, "", "",
                    [&](absl::string_view, absl::string_view value) {
                      const auto record = DecodeQuarantine(value);
                      status = record.status();
                      if (record.ok()) {
                        base::MutexLock lock(&mutex_);
                        NoteOne(*record);
                      }
                      return status.ok();
                    }));
  return status;
}

bool RunStore::HasQuarantine(const std::string& run_id) const {
  base::MutexLock lock(&mutex_);
  return quarantine_.HasRun(run_id);
}

absl::StatusOr<std::vector<index::RecordWrite>> RunStore::QuarantineWrites(
    const QuarantineChanges& changes) {
  std::vector<index::RecordWrite> writes;
  for (const QuarantineRecord& record : changes.put) {
    RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeQuarantine(record));
    writes.push_back({Family::kQuarantine,
                      KeyOf({record.run_id, record.number}), std::move(bytes)});
  }
  for (const QuarantineKey& key : changes.removed) {
    writes.push_back({Family::kQuarantine, KeyOf(key), std::nullopt});
  }
  return writes;
}

void RunStore::Note(const QuarantineChanges& changes) {
  {
    base::MutexLock lock(&mutex_);
    for (const QuarantineRecord& record : changes.put) NoteOne(record);
    for (const QuarantineKey& key : changes.removed) {
      ForgetAdopted(key);
      quarantine_.Remove(key);
    }
  }
  TellAdopted();
}

void RunStore::NoteOne(const QuarantineRecord& record) {
  const QuarantineKey key{record.run_id, record.number};
  ForgetAdopted(key);
  quarantine_.Put(key, HashOf(key, record));
  // The node of a second copy stands for the first.
  const bool is_second = record.state == QuarantineState::kSuperseded;
  const bool has_node = record.item.node != index::kNoNode && !is_second;
  if (has_node || !record.item.removal ||
      record.item.removal->kind != store::RemovalKind::kBlob) {
    return;
  }
  const store::Bytes held = is_second ? record.item.held : store::Bytes();
  AdoptedBlob& blob = adopted_blobs_[key];
  blob = {record.store, record.item.bytes + held, held};
  index::AdoptedTally& tally = adopted_[record.store];
  ++tally.all.count;
  tally.all.bytes += blob.bytes;
  tally.held += blob.held;
  untold_.insert(record.store);
}

void RunStore::ForgetAdopted(const QuarantineKey& key) {
  const auto it = adopted_blobs_.find(key);
  if (it == adopted_blobs_.end()) return;
  const AdoptedBlob& blob = it->second;
  index::AdoptedTally& tally = adopted_[blob.store];
  --tally.all.count;
  TakeOff(blob.bytes, &tally.all.bytes);
  TakeOff(blob.held, &tally.held);
  untold_.insert(blob.store);
  adopted_blobs_.erase(it);
}

index::AdoptedTally RunStore::Adopted(const std::string& store) const {
  base::MutexLock lock(&mutex_);
  const auto it = adopted_.find(store);
  return it == adopted_.end() ? index::AdoptedTally() : it->second;
}

void RunStore::SetAdoptedListener(AdoptedListener listener) {
  base::MutexLock telling(&telling_);
  listener_ = std::move(listener);
}

void RunStore::TellAdopted() {
  base::MutexLock telling(&telling_);
  if (!listener_) return;
  std::set<std::string> stores;
  {
    base::MutexLock lock(&mutex_);
    stores.swap(untold_);
  }
  for (const std::string& store : stores) listener_(store, Adopted(store));
}

absl::StatusOr<QuarantineRecord> RunStore::GetQuarantine(
    const QuarantineKey& key) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kQuarantine, KeyOf(key)));
  if (!value) return NoSuch("quarantined item of the run", key.first);
  return DecodeQuarantine(*value);
}

absl::Status RunStore::ForEachQuarantined(
    absl::string_view store,
    absl::FunctionRef<bool(QuarantineRecord)> visit) const {
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kQuarantine, "", "",
      [&](absl::string_view, absl::string_view value) {
        auto record = DecodeQuarantine(value);
        status = record.status();
        if (!record.ok()) return false;
        return record->store != store || visit(*std::move(record));
      }));
  return status;
}

absl::StatusOr<std::vector<QuarantineRecord>> RunStore::ListQuarantine(
    absl::string_view store,
    absl::FunctionRef<bool(const QuarantineRecord&)> is_wanted) const {
  std::vector<QuarantineRecord> records;
  RECLAIM_RETURN_IF_ERROR(
      ForEachQuarantined(store, [&](QuarantineRecord record) {
        if (is_wanted(record)) records.push_back(std::move(record));
        return true;
      }));
  return records;
}

absl::StatusOr<std::vector<QuarantineRecord>> RunStore::FindQuarantined(
    const std::string& store, const store::Place& place,
    const oci::Digest& digest) const {
  std::vector<QuarantineKey> keys;
  {
    base::MutexLock lock(&mutex_);
    keys = quarantine_.Find(QuarantineIndex::HashOf(store, place, digest));
  }
  std::vector<QuarantineRecord> records;
  for (const QuarantineKey& key : keys) {
    absl::StatusOr<QuarantineRecord> record = GetQuarantine(key);
    if (absl::IsNotFound(record.status())) continue;  // settled meanwhile
    RECLAIM_RETURN_IF_ERROR(record.status());
    // Another content may have the same hash.
    if (record->store != store || PlaceOf(record->item) != place ||
        DigestOf(record->item) != digest) {
      continue;
    }
    records.push_back(*std::move(record));
  }
  return records;
}

}  // namespace reclaim::gc
