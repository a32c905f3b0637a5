#include "gc/run_store.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/run_store_keys.h"

namespace reclaim::gc {
namespace {

using index::Batch;
using index::Durability;
using index::Family;

constexpr uint64_t kItemsPerChunk = 256;

// "p/ID" is a plan, "i/ID/NUMBER" a chunk of its items.
std::string PlanKey(absl::string_view id) { return absl::StrCat("p/", id); }
std::string ItemsPrefix(absl::string_view id) {
  return absl::StrCat("i/", id, "/");
}
// Behind the last chunk of a plan: '0' follows '/'.
std::string ItemsEnd(absl::string_view id) {
  return absl::StrCat("i/", id, "0");
}
void DeleteItems(absl::string_view id, Batch* batch) {
  batch->DeleteRange(Family::kPlan, ItemsPrefix(id), ItemsEnd(id));
}
std::string ChunkKey(absl::string_view id, uint64_t chunk) {
  return ItemsPrefix(id) + BigEndian(chunk);
}
std::string EvidenceKey(index::StoreId store) {
  return absl::StrCat("cache/", store);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunStore>> RunStore::Open(
    index::Engine* engine) {
  std::unique_ptr<RunStore> runs(new RunStore(engine));
  RECLAIM_RETURN_IF_ERROR(runs->DropTornPlans());
  RECLAIM_RETURN_IF_ERROR(runs->Load());
  return runs;
}

PlanWriter::~PlanWriter() {
  if (is_finished_ || !has_written_) return;
  Batch batch;
  // The record as well: of a commit that failed nobody knows what is there.
  batch.Delete(Family::kPlan, PlanKey(id_));
  DeleteItems(id_, &batch);
  // What stays is dropped when the database is opened again.
  engine_->Commit(batch, Durability::kBuffered).IgnoreError();
}

// Full chunks, or those of at least `chunk_size_min`.
absl::Status PlanWriter::PutChunks(size_t chunk_size_min) {
  const absl::Span<const PlanItem> items = items_;
  size_t begin = 0;
  Batch batch;
  while (items.size() - begin >= chunk_size_min && begin < items.size()) {
    const auto chunk = items.subspan(begin, kItemsPerChunk);
    RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeItems(chunk));
    batch.Put(Family::kPlan, ChunkKey(id_, chunk_count_++), std::move(bytes));
    begin += chunk.size();
  }
  items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(begin));
  if (batch.empty()) return absl::OkStatus();
  has_written_ = true;
  return engine_->Commit(batch, Durability::kBuffered);
}

absl::Status PlanWriter::Add(std::vector<PlanItem> items) {
  for (PlanItem& item : items) items_.push_back(std::move(item));
  return PutChunks(kItemsPerChunk);
}

absl::Status PlanWriter::Finish(const Plan& plan) {
  RECLAIM_RETURN_IF_ERROR(PutChunks(1));
  StoredPlan stored;
  stored.plan = plan;
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodePlan(stored));
  Batch batch;
  batch.Put(Family::kPlan, PlanKey(id_), std::move(bytes));
  has_written_ = true;
  RECLAIM_RETURN_IF_ERROR(engine_->Commit(batch, Durability::kDurable));
  is_finished_ = true;
  return absl::OkStatus();
}

std::unique_ptr<PlanWriter> RunStore::NewPlan(std::string id) {
  return std::make_unique<PlanWriter>(engine_, std::move(id));
}

absl::Status RunStore::DropTornPlans() {
  Batch batch;
  std::string from = "i/";
  while (true) {
    // The first chunk from there on names a plan; then on behind all of its.
    std::string id;
    RECLAIM_RETURN_IF_ERROR(
        engine_->Scan(Family::kPlan, "i/", from,
                      [&](absl::string_view key, absl::string_view) {
                        id = std::string(key.substr(2, key.find('/', 2) - 2));
                        return false;
                      }));
    if (id.empty()) break;
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> plan,
                             engine_->Get(Family::kPlan, PlanKey(id)));
    if (!plan) DeleteItems(id, &batch);
    from = ItemsEnd(id);
  }
  if (batch.empty()) return absl::OkStatus();
  return engine_->Commit(batch, Durability::kBuffered);
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
  DeleteItems(id, &batch);
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
