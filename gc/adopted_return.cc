#include "gc/adopted_return.h"

#include <array>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/graph_changes.h"
#include "gc/restore.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "oci/digest.h"

namespace reclaim::gc {
namespace {

using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using index::NodeState;

// As often as a reader of millions gives the graph up.
constexpr uint64_t kYieldInterval = 4096;

bool IsAdopted(const QuarantineRecord& record) {
  return record.state == QuarantineState::kQuarantined && IsBlob(record) &&
         record.item.node == kNoNode;
}

// As long as the first copy is there, the graph has its node.
bool IsSecondCopy(const QuarantineRecord& record) {
  return record.state == QuarantineState::kSuperseded && IsBlob(record);
}

// Whether somebody holds it wherever it is, by the node in the place "", and it
// is not here: that place may be a layout which has a copy of its own.
bool IsHeldElsewhere(const index::GraphView& view,
                     const std::array<NodeId, 2>& nodes) {
  const bool is_absent = nodes[0] == kNoNode || !view.Exists(nodes[0]) ||
                         view.state(nodes[0]) == NodeState::kAbsent;
  if (!is_absent || nodes[1] == kNoNode) return false;
  bool is_held = false;
  view.ForEachKeeper(nodes[1], [&](NodeId above) {
    const NodeKind kind = view.kind(above);
    is_held = view.Exists(above) &&
              (kind == NodeKind::kPin || kind == NodeKind::kLease ||
               kind == NodeKind::kContainer || kind == NodeKind::kSnapshot);
    return !is_held;
  });
  return is_held;
}

// Whether the store has one now that it had not when these were listed.  What
// others made of the rest meanwhile says nothing: their number may be the same.
absl::StatusOr<bool> HasComeBack(
    const RunStore& runs, const std::vector<const QuarantineRecord*>& listed) {
  for (const QuarantineRecord* before : listed) {
    const absl::StatusOr<QuarantineRecord> now =
        runs.GetQuarantine({before->run_id, before->number});
    if (absl::IsNotFound(now.status())) return true;
    RECLAIM_RETURN_IF_ERROR(now.status());
    // A copy of the store's own came to light.  Of what was a second copy
    // before, the scan that told of none would tell of none again.
    if (IsAdopted(*before) && IsSecondCopy(*now)) return true;
  }
  return false;
}

// What no reference restores.
absl::StatusOr<std::vector<QuarantineRecord>> RecordsWithoutNode(
    const CollectedStore& site) {
  if (site.runs->Adopted(site.name).all.count == 0) {
    return std::vector<QuarantineRecord>();
  }
  return site.runs->ListQuarantine(
      site.name, [](const QuarantineRecord& record) {
        return IsAdopted(record) || IsSecondCopy(record);
      });
}

}  // namespace

absl::Status TakeForOnlyCopies(CollectedStore* site,
                               absl::Span<const QuarantineKey> keys,
                               absl::string_view actor) {
  base::MutexLock deed(&site->deed);
  QuarantineChanges taken;
  for (const QuarantineKey& key : keys) {
    absl::StatusOr<QuarantineRecord> record = site->runs->GetQuarantine(key);
    if (absl::IsNotFound(record.status())) continue;
    RECLAIM_RETURN_IF_ERROR(record.status());
    if (record->state != QuarantineState::kSuperseded) continue;
    taken.put.push_back(*std::move(record));
  }
  if (taken.put.empty()) return absl::OkStatus();
  const auto order = site->graph->HoldWriteOrder();
  for (QuarantineRecord& record : taken.put) {
    record.state = QuarantineState::kQuarantined;
    if (IsBlob(record)) record.item.node = kNoNode;
    record.epoch = order->reader().epoch();
    record.quarantined = site->clock->Now();
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::RecordWrite> writes,
                           RunStore::QuarantineWrites(taken));
  RECLAIM_RETURN_IF_ERROR(order->Commit({}, {}, writes, actor));
  site->runs->Note(taken);
  return absl::OkStatus();
}

absl::StatusOr<AdoptedBlobs> ListAdopted(const CollectedStore& site) {
  AdoptedBlobs listed;
  if (site.runs->Adopted(site.name).all.count == 0) return listed;
  RECLAIM_RETURN_IF_ERROR(site.runs->ForEachQuarantined(
      site.name, [&](const QuarantineRecord& record) {
        if (!IsAdopted(record)) return true;
        listed.Add(record.item.removal->place, *record.item.removal->digest);
        return true;
      }));
  const auto reader = site.graph->Read();
  listed.LookUp(reader->view(), site.id);
  return listed;
}

absl::StatusOr<bool> ReturnNamed(CollectedStore* site,
                                 absl::string_view actor) {
  if (site->store->traits().is_read_only) return false;
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<QuarantineRecord> all,
                           RecordsWithoutNode(*site));
  std::vector<const QuarantineRecord*> named;
  std::set<std::pair<store::Place, oci::Digest>> contents;
  std::vector<QuarantineKey> second_copies;
  {
    const auto reader = site->graph->Read();
    uint64_t look_count = 0;
    for (const QuarantineRecord& record : all) {
      if (++look_count % kYieldInterval == 0) reader->view().Yield();
      const store::Removal& blob = *record.item.removal;
      const std::array<NodeId, 2> nodes =
          NodesOf(reader->view(), site->id, blob.place, *blob.digest);
      if (!IsNamedAndAbsent(*reader, nodes[0]) &&
          !IsNamedAndAbsent(*reader, nodes[1]) &&
          !IsHeldElsewhere(reader->view(), nodes)) {
        continue;
      }
      named.push_back(&record);
      contents.emplace(blob.place, *blob.digest);
      if (!IsSecondCopy(record)) continue;
      second_copies.emplace_back(record.run_id, record.number);
    }
  }
  // The store has lost what it had of its own.
  RECLAIM_RETURN_IF_ERROR(TakeForOnlyCopies(site, second_copies, actor));
  // Links come with their content (I4).
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> wanted,
                           RecordsOfContent(*site, contents));
  if (wanted.empty()) return false;
  const absl::Status restored = RestoreRecords(
      site, std::move(wanted), actor, nullptr, RestoreOrder::kBytesLast);
  // What lies in the way of one keeps it where it is, and would so for ever.
  if (!absl::IsAlreadyExists(restored)) RECLAIM_RETURN_IF_ERROR(restored);
  return HasComeBack(*site->runs, named);
}

absl::StatusOr<index::ScanReport> ScanAndReturn(
    CollectedStore* site, const index::ScanOptions& options) {
  uint64_t added_count = 0;
  uint64_t removed_count = 0;
  while (true) {
    RECLAIM_ASSIGN_OR_RETURN(
        index::ScanReport report,
        index::ScanStore(site->graph, site->name, *site->store, *site->clock,
                         options));
    report.added_count += std::exchange(added_count, 0);
    report.removed_count += std::exchange(removed_count, 0);
    RECLAIM_ASSIGN_OR_RETURN(const bool has_returned,
                             ReturnNamed(site, options.actor));
    if (!has_returned) return report;
    added_count = report.added_count;
    removed_count = report.removed_count;
  }
}

}  // namespace reclaim::gc
