#include "metrics/graph_gauges.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "index/totals.h"
#include "metrics/gauge_family.h"

namespace reclaim::metrics {
namespace {

using prometheus::MetricFamily;

// What one store shows, taken under one read lock.
struct Shown {
  std::string store;
  index::StoreTotals totals;
};

std::vector<Shown> ReadGraph(const index::ReferenceGraph& graph) {
  const std::vector<index::StoreRecord> stores = graph.Stores();
  std::vector<Shown> all;
  const auto reader = graph.Read();
  for (const index::StoreRecord& store : stores) {
    all.push_back({store.name, reader->totals(store.id)});
  }
  return all;
}

void AddStates(const std::vector<Shown>& stores,
               std::vector<MetricFamily>* families) {
  GaugeFamily blobs("reclaim_blobs",
                    "Blobs and uploads by state: live (a root reaches them), "
                    "garbage (none does), quarantined, orphan (unexplained "
                    "files); of live and garbage together, leased (a lease "
                    "names them) and pending (uploads).");
  GaugeFamily bytes("reclaim_blob_bytes",
                    "Bytes on disk of blobs and uploads by state.");
  GaugeFamily reclaimable("reclaim_reclaimable_bytes",
                          "Bytes on disk that the default prune frees now.");
  GaugeFamily images("reclaim_images", "Images, by whether a tag names them.");
  GaugeFamily tags("reclaim_tags", "Tags.");
  for (const Shown& shown : stores) {
    const index::StoreTotals& totals = shown.totals;
    const std::pair<const char*, const index::Tally*> states[] = {
        {"live", &totals.live},
        {"garbage", &totals.candidate},
        {"quarantined", &totals.quarantined},
        {"orphan", &totals.orphan},
        {"leased", &totals.leased},
        {"pending",
         &totals.by_kind[static_cast<size_t>(index::NodeKind::kUpload)]}};
    for (const auto& [state, tally] : states) {
      blobs.Set({{"store", shown.store}, {"state", state}}, D(tally->count));
      bytes.Set({{"store", shown.store}, {"state", state}},
                D(tally->bytes.allocated_bytes));
    }
    reclaimable.Set({{"store", shown.store}},
                    D(totals.candidate.bytes.allocated_bytes));
    images.Set({{"store", shown.store}, {"state", "tagged"}},
               D(totals.image_count - totals.dangling_image_count));
    images.Set({{"store", shown.store}, {"state", "dangling"}},
               D(totals.dangling_image_count));
    tags.Set(
        {{"store", shown.store}},
        D(totals.by_kind[static_cast<size_t>(index::NodeKind::kTag)].count));
  }
  blobs.MoveTo(families);
  bytes.MoveTo(families);
  reclaimable.MoveTo(families);
  images.MoveTo(families);
  tags.MoveTo(families);
}

void AddLeases(const std::vector<Shown>& stores, absl::Time now,
               std::vector<MetricFamily>* families) {
  GaugeFamily leases("reclaim_leases",
                     "Leases, expired ones not yet removed "
                     "included.");
  GaugeFamily age("reclaim_oldest_lease_age_seconds",
                  "Age of the oldest lease; 0 without leases.");
  for (const Shown& shown : stores) {
    const uint64_t count =
        shown.totals.by_kind[static_cast<size_t>(index::NodeKind::kLease)]
            .count;
    leases.Set({{"store", shown.store}}, D(count));
    const absl::Duration oldest =
        count == 0 ? absl::ZeroDuration() : now - shown.totals.oldest_lease;
    age.Set({{"store", shown.store}},
            std::max(0.0, absl::ToDoubleSeconds(oldest)));
  }
  leases.MoveTo(families);
  age.MoveTo(families);
}

void AddDisks(const std::vector<Shown>& stores,
              const Metrics::CapacityOf& capacity,
              std::vector<MetricFamily>* families) {
  GaugeFamily size("reclaim_store_filesystem_size_bytes",
                   "Size of the file system below a store.");
  GaugeFamily free("reclaim_store_filesystem_free_bytes",
                   "Bytes of it that are free for others than root.");
  GaugeFamily up(
      "reclaim_store_up",
      "Whether a store answers: 0 while its engine or disk is away.");
  for (const Shown& shown : stores) {
    const absl::StatusOr<store::Capacity> disk =
        capacity ? capacity(shown.store)
                 : absl::NotFoundError("nobody knows the disks");
    up.Set({{"store", shown.store}},
           absl::IsUnavailable(disk.status()) ? 0 : 1);
    if (!disk.ok()) continue;
    size.Set({{"store", shown.store}}, D(disk->capacity_bytes));
    free.Set({{"store", shown.store}}, D(disk->available_bytes));
  }
  size.MoveTo(families);
  free.MoveTo(families);
  up.MoveTo(families);
}

}  // namespace

void AddGraph(const index::ReferenceGraph& graph,
              const Metrics::CapacityOf& capacity, const base::Clock& clock,
              std::vector<MetricFamily>* families) {
  const std::vector<Shown> stores = ReadGraph(graph);
  AddStates(stores, families);
  AddLeases(stores, clock.Now(), families);
  AddDisks(stores, capacity, families);
  GaugeFamily lost("reclaim_database_loss_unconfirmed",
                   "1 while nothing is deleted because the database was lost "
                   "and nobody has confirmed that what it knew is recorded "
                   "again.");
  lost.Set({}, graph.UnconfirmedLoss() ? 1 : 0);
  lost.MoveTo(families);
}

void AddProcess(const base::Clock& clock, const std::string& version,
                std::vector<MetricFamily>* families) {
  static const absl::Time start = clock.Now();
  GaugeFamily build("reclaim_build_info", "1, with the version as a label.");
  build.Set({{"version", version}}, 1);
  build.MoveTo(families);
  GaugeFamily since("process_start_time_seconds",
                    "When the daemon began to count.");
  since.Set({}, absl::ToDoubleSeconds(start - absl::UnixEpoch()));
  since.MoveTo(families);
  // Pages: the second field (proc(5)).
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  std::ifstream statm("/proc/self/statm");
  if (!(statm >> total_pages >> resident_pages)) return;
  GaugeFamily resident("process_resident_memory_bytes", "Resident memory.");
  resident.Set(
      {}, D(resident_pages) * D(static_cast<uint64_t>(sysconf(_SC_PAGESIZE))));
  resident.MoveTo(families);
}

}  // namespace reclaim::metrics
