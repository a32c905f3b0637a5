#include "gc/leftovers.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/graph_changes.h"
#include "gc/records.h"
#include "gc/run_store.h"
#include "index/reference_graph.h"
#include "store/content_store.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

// A writer waits for one batch at most (I10).
constexpr size_t kBatchSize = 64;

int StageOf(const QuarantineRecord& record) {
  return record.item.removal ? store::DeedStage(record.item.removal->kind) : 0;
}

// All of one run.
absl::Status KeepBatch(CollectedStore* site,
                       absl::Span<const QuarantineRecord> records,
                       absl::string_view actor) {
  std::vector<store::Removal> removals;
  for (const QuarantineRecord& record : records) {
    if (record.item.removal) removals.push_back(*record.item.removal);
  }
  if (!removals.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<store::RemovalOutcome> outcomes,
                             site->store->Restore(records[0].run_id, removals));
    for (const store::RemovalOutcome& outcome : outcomes) {
      if (!absl::IsNotFound(outcome.status)) {
        RECLAIM_RETURN_IF_ERROR(outcome.status);
      }
    }
  }
  GraphChanges changes;
  QuarantineChanges settled;
  const std::unique_ptr<index::WriteOrder> order =
      site->graph->HoldWriteOrder();
  for (const QuarantineRecord& record : records) {
    AddStaying(order->reader().view(), site->id, record, &changes);
    settled.removed.push_back({record.run_id, record.number});
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(settled));
  RECLAIM_RETURN_IF_ERROR(
      order->Commit(changes.states, changes.operations, writes, actor));
  site->runs->Note(settled);
  return absl::OkStatus();
}

}  // namespace

absl::Status KeepLeftovers(CollectedStore* site, absl::string_view run_id,
                           absl::string_view actor) {
  if (!site->store->traits().deletes_for_good) return absl::OkStatus();
  base::MutexLock deed(&site->deed);
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records,
                           site->runs->ListQuarantine(
                               site->name, [&](const QuarantineRecord& record) {
                                 return run_id.empty() ||
                                        record.run_id == run_id;
                               }));
  // Bytes before what names them, as in every restore.
  const auto key = [](const QuarantineRecord& record) {
    return std::make_tuple(-StageOf(record), record.run_id, record.number);
  };
  std::sort(records.begin(), records.end(),
            [&](const auto& a, const auto& b) { return key(a) < key(b); });
  for (size_t begin = 0; begin < records.size();) {
    size_t end = begin;
    while (end < records.size() && end - begin < kBatchSize &&
           records[end].run_id == records[begin].run_id &&
           StageOf(records[end]) == StageOf(records[begin])) {
      ++end;
    }
    RECLAIM_RETURN_IF_ERROR(KeepBatch(
        site, absl::MakeSpan(records).subspan(begin, end - begin), actor));
    begin = end;
  }
  return absl::OkStatus();
}

}  // namespace reclaim::gc
