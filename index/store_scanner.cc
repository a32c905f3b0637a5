#include "index/store_scanner.h"

#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "index/graph_scan.h"
#include "index/scan_prints.h"

namespace reclaim::index {
namespace {

absl::StatusOr<StoreRecord> FindStore(const ReferenceGraph& graph,
                                      absl::string_view name) {
  for (StoreRecord& record : graph.Stores()) {
    if (record.name == name) return std::move(record);
  }
  return absl::NotFoundError(
      absl::StrCat("store \"", name, "\" is not registered"));
}

// What the last scan left, unless the caller wants none of it.
ScanMemory RecallScan(const StoreRecord& record, const ScanOptions& options) {
  if (options.from_nothing || record.scan_memo == nullptr) return {};
  return ParseScanMemory(*record.scan_memo);
}

}  // namespace

absl::StatusOr<ScanReport> ScanStore(ReferenceGraph* graph,
                                     absl::string_view name,
                                     const store::ContentStore& store,
                                     const base::Clock& clock,
                                     const ScanOptions& options) {
  RECLAIM_ASSIGN_OR_RETURN(StoreRecord record, FindStore(*graph, name));
  // From here on writers stamp what they touch with this epoch, and what was
  // quarantined in an earlier one is proven by this scan.
  RECLAIM_ASSIGN_OR_RETURN(const Epoch epoch, graph->BeginEpoch());
  const ScanMemory memory = RecallScan(record, options);
  GraphScan scan(graph, record, &store, &options, epoch);
  scan.report().begin = clock.Now();
  store::ScanRequest request;
  request.thread_count = options.thread_count;
  request.memo = memory.store_memo;
  request.must_list_names = options.is_proof;
  request.now = scan.report().begin;
  if (!memory.store_memo.empty()) {
    request.must_list = ChangedSections(memory, PrintsOf(*graph, record));
  }
  // Until this scan has ended, nothing in the store is judged (I5): between two
  // states of the store both may lack a reference.
  record.scan_memo.reset();
  record.unreadable_scopes = {{"",
                               "a scan is under way, or did not come to its "
                               "end; scan the store again"}};
  RECLAIM_RETURN_IF_ERROR(graph->RecordScan(record.id, record));
  RECLAIM_ASSIGN_OR_RETURN(store::ScanResult result,
                           store.Scan(request, &scan));
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("scan.before_removals"));
  RECLAIM_RETURN_IF_ERROR(scan.Finish());
  scan.report().end = clock.Now();
  ScanMemory next = scan.Memory(memory);
  next.store_memo = std::move(result.memo);
  if (!next.store_memo.empty()) {
    record.scan_memo =
        std::make_shared<const std::string>(SerializeScanMemory(next));
  }
  record.last_scan_begin = scan.report().begin;
  record.last_scan_end = scan.report().end;
  record.last_scan_epoch = epoch;
  record.unreadable_scopes = scan.UnreadableScopes();
  RECLAIM_RETURN_IF_ERROR(graph->RecordScan(record.id, record));
  return std::move(scan.report());
}

absl::Status ReadHeld(ReferenceGraph* graph, absl::string_view name,
                      const store::ContentStore& store,
                      absl::Span<const ContentName> held,
                      absl::string_view actor) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord record, FindStore(*graph, name));
  ScanOptions options;
  options.actor = std::string(actor);
  options.durability = Durability::kDurable;
  // No epoch of its own: nothing is removed.
  return GraphScan(graph, record, &store, &options,
                   std::numeric_limits<Epoch>::max())
      .ReadHeld(held);
}

}  // namespace reclaim::index
