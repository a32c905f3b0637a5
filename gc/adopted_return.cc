#include "gc/adopted_return.h"

#include <algorithm>
#include <cstdint>
#include <utility>

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
using index::NodeState;

// The graph knows its digest, of something that is there, and not its bytes.
bool IsNamedIn(const index::GraphReader& reader, index::PlaceId place,
               const oci::Digest& digest) {
  const index::GraphView& view = reader.view();
  if (place == index::kNoPlace) return false;
  const NodeId node = view.FindContent(place, digest);
  if (node == kNoNode || view.state(node) != NodeState::kAbsent) return false;
  if (reader.IsLive(node)) return true;
  bool is_named = false;
  view.ForEachKeeper(node, [&](NodeId above) {
    is_named = view.Exists(above) && (!IsContent(view.kind(above)) ||
                                      view.state(above) == NodeState::kPresent);
    return !is_named;
  });
  return is_named;
}

// Also by who holds it wherever it is: then it is named in the place "".
bool IsNamed(const index::GraphReader& reader, index::PlaceId place,
             const oci::Digest& digest) {
  if (IsNamedIn(reader, place, digest)) return true;
  if (place == index::kNoPlace) return false;
  const index::GraphView& view = reader.view();
  const index::PlaceId nowhere = view.FindPlace(view.PlaceStore(place), "");
  return nowhere != place && IsNamedIn(reader, nowhere, digest);
}

bool IsAdopted(const QuarantineRecord& record) {
  return record.state == QuarantineState::kQuarantined && IsBlob(record) &&
         record.item.node == kNoNode;
}

absl::StatusOr<std::vector<QuarantineRecord>> AdoptedRecords(
    const CollectedStore& site) {
  if (site.runs->Adopted(site.name).all.count == 0) {
    return std::vector<QuarantineRecord>();
  }
  return site.runs->ListQuarantine(site.name, IsAdopted);
}

}  // namespace

absl::StatusOr<AdoptedBlobs> ListAdopted(const CollectedStore& site) {
  AdoptedBlobs blobs;
  if (site.runs->Adopted(site.name).all.count == 0) return blobs;
  RECLAIM_RETURN_IF_ERROR(site.runs->ForEachQuarantined(
      site.name, [&](const QuarantineRecord& record) {
        if (!IsAdopted(record)) return true;
        const store::Removal& blob = *record.item.removal;
        blobs[blob.place].push_back(*blob.digest);
        return true;
      }));
  return blobs;
}

std::set<store::Place> NamedPlaces(const index::GraphReader& reader,
                                   index::StoreId store,
                                   const AdoptedBlobs& adopted,
                                   absl::Span<const QuarantineRecord> batch) {
  std::set<store::Place> asked;
  for (const QuarantineRecord& record : batch) {
    if (record.number < kFirstAdopted || !record.item.removal) continue;
    asked.insert(record.item.removal->place);
  }
  std::set<store::Place> places;
  for (const store::Place& name : asked) {
    const auto blobs = adopted.find(name);
    if (blobs == adopted.end()) continue;
    const index::PlaceId place = reader.view().FindPlace(store, name);
    const bool is_named =
        std::any_of(blobs->second.begin(), blobs->second.end(),
                    [&](const oci::Digest& digest) {
                      return IsNamed(reader, place, digest);
                    });
    if (is_named) places.insert(name);
  }
  return places;
}

absl::StatusOr<bool> ReturnNamed(CollectedStore* site,
                                 absl::string_view actor) {
  if (site->store->traits().is_read_only) return false;
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<QuarantineRecord> adopted,
                           AdoptedRecords(*site));
  std::vector<const QuarantineRecord*> named;
  {
    const auto reader = site->graph->Read();
    for (const QuarantineRecord& record : adopted) {
      const store::Removal& blob = *record.item.removal;
      const index::PlaceId place =
          reader->view().FindPlace(site->id, blob.place);
      if (IsNamed(*reader, place, *blob.digest)) named.push_back(&record);
    }
  }
  std::vector<QuarantineRecord> wanted;
  for (const QuarantineRecord* record : named) {
    // Links come with their content (I4).
    RECLAIM_ASSIGN_OR_RETURN(
        std::vector<QuarantineRecord> found,
        site->runs->FindQuarantined(site->name, record->item.removal->place,
                                    *record->item.removal->digest));
    for (QuarantineRecord& one : found) {
      if (one.item.removal->kind == store::RemovalKind::kTag) continue;
      wanted.push_back(std::move(one));
    }
  }
  if (wanted.empty()) return false;
  const absl::Status restored = RestoreRecords(
      site, std::move(wanted), actor, nullptr, RestoreOrder::kBytesLast);
  // What lies in the way of one keeps it where it is, and would so for ever.
  if (!absl::IsAlreadyExists(restored)) RECLAIM_RETURN_IF_ERROR(restored);
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<QuarantineRecord> left,
                           AdoptedRecords(*site));
  return left.size() < adopted.size();
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
