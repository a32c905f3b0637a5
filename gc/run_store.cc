#include "gc/run_store.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace reclaim::gc {
namespace {

using index::Batch;
using index::Durability;
using index::Family;

constexpr uint64_t kItemsPerChunk = 256;
constexpr size_t kChunksPerCommit = 64;

std::string BigEndian(uint64_t value) {
  std::string key(8, '\0');
  for (int i = 7; i >= 0; --i, value >>= 8) {
    key[static_cast<size_t>(i)] = static_cast<char>(value & 0xff);
  }
  return key;
}

// "p/ID" is a plan, "i/ID/NUMBER" a chunk of its items.
std::string PlanKey(absl::string_view id) { return absl::StrCat("p/", id); }
std::string ItemsPrefix(absl::string_view id) {
  return absl::StrCat("i/", id, "/");
}
std::string ChunkKey(absl::string_view id, uint64_t chunk) {
  return ItemsPrefix(id) + BigEndian(chunk);
}
std::string KeyOf(const QuarantineKey& key) {
  return absl::StrCat(key.first, "/", BigEndian(key.second));
}

std::string EvidenceKey(index::StoreId store) {
  return absl::StrCat("cache/", store);
}

absl::Status NoSuch(const char* what, absl::string_view id) {
  return absl::NotFoundError(absl::StrCat("there is no ", what, " ", id));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunStore>> RunStore::Open(
    index::Engine* engine) {
  std::unique_ptr<RunStore> runs(new RunStore(engine));
  RECLAIM_RETURN_IF_ERROR(runs->Load());
  return runs;
}

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

absl::Status RunStore::PutPlan(const Plan& plan) {
  const absl::Span<const PlanItem> items = plan.items;
  Batch batch;
  uint64_t chunk = 0;
  for (size_t begin = 0; begin < items.size(); begin += kItemsPerChunk) {
    RECLAIM_ASSIGN_OR_RETURN(std::string bytes,
                             EncodeItems(items.subspan(begin, kItemsPerChunk)));
    batch.Put(Family::kPlan, ChunkKey(plan.id, chunk++), std::move(bytes));
    if (batch.entries().size() < kChunksPerCommit) continue;
    RECLAIM_RETURN_IF_ERROR(engine_->Commit(batch, Durability::kBuffered));
    batch = Batch();
  }
  // The plan itself comes last: it stands only with all of its items.
  StoredPlan stored;
  stored.plan = plan;
  stored.plan.items.clear();
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodePlan(stored));
  batch.Put(Family::kPlan, PlanKey(plan.id), std::move(bytes));
  return engine_->Commit(batch, Durability::kDurable);
}

absl::Status RunStore::UpdatePlan(const StoredPlan& plan) {
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodePlan(plan));
  Batch batch;
  batch.Put(Family::kPlan, PlanKey(plan.plan.id), std::move(bytes));
  return engine_->Commit(batch, Durability::kDurable);
}

absl::StatusOr<StoredPlan> RunStore::GetPlan(absl::string_view id) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kPlan, PlanKey(id)));
  if (!value) return NoSuch("plan", id);
  return DecodePlan(*value);
}

absl::StatusOr<std::vector<PlanItem>> RunStore::GetItems(absl::string_view id,
                                                         uint64_t offset,
                                                         uint64_t limit) const {
  std::vector<PlanItem> page;
  uint64_t chunk = offset / kItemsPerChunk;
  uint64_t skip = offset % kItemsPerChunk;
  while (page.size() < limit) {
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                             engine_->Get(Family::kPlan, ChunkKey(id, chunk)));
    if (!value) break;
    RECLAIM_ASSIGN_OR_RETURN(std::vector<PlanItem> items, DecodeItems(*value));
    for (size_t i = skip; i < items.size() && page.size() < limit; ++i) {
      page.push_back(std::move(items[i]));
    }
    skip = 0;
    ++chunk;
  }
  return page;
}

absl::StatusOr<std::vector<StoredPlan>> RunStore::ListPlans() const {
  std::vector<StoredPlan> plans;
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kPlan, "p/", "", [&](absl::string_view, absl::string_view value) {
        auto plan = DecodePlan(value);
        status = plan.status();
        if (plan.ok()) plans.push_back(*std::move(plan));
        return status.ok();
      }));
  RECLAIM_RETURN_IF_ERROR(status);
  std::sort(plans.begin(), plans.end(),
            [](const StoredPlan& a, const StoredPlan& b) {
              return std::make_pair(a.plan.created, a.plan.epoch) >
                     std::make_pair(b.plan.created, b.plan.epoch);
            });
  return plans;
}

absl::Status RunStore::DeletePlan(absl::string_view id) {
  RECLAIM_RETURN_IF_ERROR(GetPlan(id).status());
  Batch batch;
  batch.Delete(Family::kPlan, PlanKey(id));
  RECLAIM_RETURN_IF_ERROR(
      engine_->Scan(Family::kPlan, ItemsPrefix(id), "",
                    [&](absl::string_view key, absl::string_view) {
                      batch.Delete(Family::kPlan, std::string(key));
                      return true;
                    }));
  return engine_->Commit(batch, Durability::kDurable);
}

absl::StatusOr<StoredRun> RunStore::GetRun(absl::string_view id) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kRun, id));
  if (!value) return NoSuch("run", id);
  return DecodeRun(*value);
}

absl::StatusOr<std::vector<StoredRun>> RunStore::ListRuns(
    absl::string_view before_id, size_t limit) const {
  std::vector<StoredRun> runs;
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kRun, "", "", [&](absl::string_view, absl::string_view value) {
        auto run = DecodeRun(value);
        status = run.status();
        if (run.ok()) runs.push_back(*std::move(run));
        return status.ok();
      }));
  RECLAIM_RETURN_IF_ERROR(status);
  const auto newer = [](const StoredRun& a, const StoredRun& b) {
    if (a.run.started != b.run.started) return a.run.started > b.run.started;
    if (a.run.epoch != b.run.epoch) return a.run.epoch > b.run.epoch;
    return a.run.id < b.run.id;
  };
  std::sort(runs.begin(), runs.end(), newer);
  if (!before_id.empty()) {
    const auto at = std::find_if(
        runs.begin(), runs.end(),
        [&](const StoredRun& run) { return run.run.id == before_id; });
    if (at == runs.end()) return NoSuch("run", before_id);
    runs.erase(runs.begin(), at + 1);
  }
  if (runs.size() > limit) runs.resize(limit);
  return runs;
}

bool RunStore::HasQuarantine(const std::string& run_id) const {
  base::MutexLock lock(&mutex_);
  const auto first = quarantine_.lower_bound({run_id, 0});
  return first != quarantine_.end() && first->first.first == run_id;
}

absl::Status RunStore::DropOldRuns(absl::Time cutoff, uint64_t count_max) {
  constexpr size_t kDroppedAtOnce = 100;
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<StoredRun> runs,
                           ListRuns("", std::numeric_limits<size_t>::max()));
  Batch batch;
  size_t rank = runs.size();
  for (auto it = runs.rbegin(); it != runs.rend(); ++it, --rank) {
    if (batch.entries().size() == kDroppedAtOnce) break;
    const Run& run = it->run;
    const bool has_ended =
        run.phase != RunPhase::kRunning && run.phase != RunPhase::kInterrupted;
    const bool is_old = run.ended < cutoff || rank > count_max;
    if (!has_ended || !is_old || HasQuarantine(run.id)) continue;
    batch.Delete(Family::kRun, run.id);
  }
  if (batch.empty()) return absl::OkStatus();
  return engine_->Commit(batch, Durability::kDurable);
}

absl::StatusOr<index::RecordWrite> RunStore::RunWrite(const StoredRun& run) {
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeRun(run));
  return index::RecordWrite{Family::kRun, run.run.id, std::move(bytes)};
}

absl::Status RunStore::PutRun(const StoredRun& run) {
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeRun(run));
  Batch batch;
  batch.Put(Family::kRun, run.run.id, std::move(bytes));
  return engine_->Commit(batch, Durability::kDurable);
}

absl::Status RunStore::BeginApply(const StoredPlan& plan,
                                  const StoredRun& run) {
  RECLAIM_ASSIGN_OR_RETURN(std::string plan_bytes, EncodePlan(plan));
  RECLAIM_ASSIGN_OR_RETURN(std::string run_bytes, EncodeRun(run));
  Batch batch;
  batch.Put(Family::kPlan, PlanKey(plan.plan.id), std::move(plan_bytes));
  batch.Put(Family::kRun, run.run.id, std::move(run_bytes));
  return engine_->Commit(batch, Durability::kDurable);
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
    for (const QuarantineKey& key : changes.removed) ForgetOne(key);
  }
  TellAdopted();
}

void RunStore::NoteOne(const QuarantineRecord& record) {
  const QuarantineKey key{record.run_id, record.number};
  ForgetOne(key);
  const store::Place place =
      record.item.removal ? record.item.removal->place : "";
  const std::string digest =
      record.item.digest ? record.item.digest->ToString() : "";
  Held held{{record.store, place, digest}, std::nullopt};
  // The node of a second copy stands for the first.
  const bool has_node = record.item.node != index::kNoNode &&
                        record.state != QuarantineState::kSuperseded;
  if (!has_node && record.item.removal &&
      record.item.removal->kind == store::RemovalKind::kBlob) {
    held.adopted = record.item.bytes;
    index::Tally& tally = adopted_[record.store];
    ++tally.count;
    tally.bytes += record.item.bytes;
    untold_.insert(record.store);
  }
  by_content_[held.content].insert(key);
  quarantine_[key] = std::move(held);
}

void RunStore::ForgetOne(const QuarantineKey& key) {
  const auto it = quarantine_.find(key);
  if (it == quarantine_.end()) return;
  const auto content = by_content_.find(it->second.content);
  content->second.erase(key);
  if (content->second.empty()) by_content_.erase(content);
  if (const std::optional<store::Bytes>& bytes = it->second.adopted) {
    const std::string& store = std::get<0>(it->second.content);
    index::Tally& tally = adopted_[store];
    --tally.count;
    tally.bytes.logical_bytes -= bytes->logical_bytes;
    tally.bytes.allocated_bytes -= bytes->allocated_bytes;
    untold_.insert(store);
  }
  quarantine_.erase(it);
}

index::Tally RunStore::Adopted(const std::string& store) const {
  base::MutexLock lock(&mutex_);
  const auto it = adopted_.find(store);
  return it == adopted_.end() ? index::Tally() : it->second;
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

absl::StatusOr<std::vector<QuarantineRecord>> RunStore::ListQuarantine(
    absl::string_view store) const {
  std::vector<QuarantineRecord> records;
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(
      engine_->Scan(Family::kQuarantine, "", "",
                    [&](absl::string_view, absl::string_view value) {
                      auto record = DecodeQuarantine(value);
                      status = record.status();
                      if (record.ok() && record->store == store) {
                        records.push_back(*std::move(record));
                      }
                      return status.ok();
                    }));
  RECLAIM_RETURN_IF_ERROR(status);
  return records;
}

absl::StatusOr<std::vector<QuarantineRecord>> RunStore::FindQuarantined(
    const std::string& store, const store::Place& place,
    const oci::Digest& digest) const {
  std::set<QuarantineKey> keys;
  {
    base::MutexLock lock(&mutex_);
    const auto it = by_content_.find({store, place, digest.ToString()});
    if (it != by_content_.end()) keys = it->second;
  }
  std::vector<QuarantineRecord> records;
  for (const QuarantineKey& key : keys) {
    absl::StatusOr<QuarantineRecord> record = GetQuarantine(key);
    if (absl::IsNotFound(record.status())) continue;  // settled meanwhile
    RECLAIM_RETURN_IF_ERROR(record.status());
    records.push_back(*std::move(record));
  }
  return records;
}

absl::StatusOr<CacheEvidence> RunStore::GetEvidence(
    index::StoreId store) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kMeta, EvidenceKey(store)));
  if (!value) return CacheEvidence();
  return DecodeEvidence(*value);
}

absl::StatusOr<index::RecordWrite> RunStore::EvidenceWrite(
    index::StoreId store, const CacheEvidence& evidence) {
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeEvidence(evidence));
  return index::RecordWrite{Family::kMeta, EvidenceKey(store),
                            std::move(bytes)};
}

}  // namespace reclaim::gc
