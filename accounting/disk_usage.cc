#include "accounting/disk_usage.h"

#include <algorithm>

#include "index/node.h"

namespace reclaim::accounting {
namespace {

using index::NodeKind;
using index::StoreTotals;
using index::Tally;

// Logical and allocated bytes are different measures: each is clamped alone.
store::Bytes Less(const store::Bytes& a, const store::Bytes& b) {
  return {a.logical_bytes - std::min(a.logical_bytes, b.logical_bytes),
          a.allocated_bytes - std::min(a.allocated_bytes, b.allocated_bytes)};
}

const Tally& Of(const StoreTotals& totals, NodeKind kind) {
  return totals.by_kind[static_cast<size_t>(kind)];
}

Tally Sum(const Tally& a, const Tally& b) {
  return {a.count + b.count, a.bytes + b.bytes};
}

UsageRow Images(const StoreTotals& totals, bool knows_containers) {
  UsageRow row;
  row.type = "Images";
  row.total_count = totals.image_count;
  row.active_count = totals.active_image_count;
  row.bytes = totals.imaged.bytes;
  row.reclaimable = Less(totals.imaged.bytes,
                         knows_containers ? totals.imaged_without_tags.bytes
                                          : totals.imaged_live.bytes);
  return row;
}

UsageRow Containers(const StoreTotals& totals) {
  const Tally& all = Of(totals, NodeKind::kContainer);
  UsageRow row;
  row.type = "Containers";
  row.total_count = all.count;
  row.active_count = totals.running_container_count;
  row.bytes = all.bytes;
  row.reclaimable = Less(all.bytes, totals.running_containers.bytes);
  return row;
}

UsageRow Volumes(const StoreTotals& totals) {
  const Tally& all = Of(totals, NodeKind::kVolume);
  UsageRow row;
  row.type = "Local Volumes";
  row.total_count = all.count;
  row.active_count =
      all.count - std::min(all.count, totals.unused_volumes.count);
  row.bytes = all.bytes;
  row.reclaimable = totals.unused_volumes.bytes;
  return row;
}

UsageRow BuildCache(const StoreTotals& totals) {
  const Tally& all = Of(totals, NodeKind::kBuildCache);
  UsageRow row;
  row.type = "Build Cache";
  row.total_count = all.count;
  row.active_count = totals.used_cache_count;
  row.bytes = all.bytes;
  row.reclaimable = totals.reclaimable_cache.bytes;
  return row;
}

UsageRow OtherContent(const StoreTotals& totals) {
  UsageRow row;
  row.type = "Other Content";
  row.total_count = totals.loose.count;
  row.active_count = totals.loose_live.count;
  row.bytes = totals.loose.bytes;
  row.reclaimable = Less(totals.loose.bytes, totals.loose_live.bytes);
  return row;
}

// An engine keeps an image twice, as it was pulled and unpacked.  The two are
// never added into one figure of images.
UsageRow UnpackedLayers(const StoreTotals& totals, bool knows_containers) {
  const Tally& all = Of(totals, NodeKind::kSnapshot);
  UsageRow row;
  row.type = "Unpacked Layers";
  row.total_count = all.count;
  row.active_count = totals.active_unpacked_count;
  row.bytes = all.bytes;
  row.reclaimable =
      Less(all.bytes, knows_containers ? totals.unpacked_without_tags.bytes
                                       : totals.unpacked_kept.bytes);
  row.unknown_size_count = totals.unknown_unpacked_count;
  return row;
}

UsageRow Quarantine(const StoreTotals& totals) {
  UsageRow row;
  row.type = "Quarantine";
  row.total_count = totals.quarantined.count;
  row.bytes = totals.quarantined.bytes;
  row.reclaimable =
      Less(totals.quarantined.bytes, totals.quarantined_held.bytes);
  return row;
}

// Orphans are kept because nobody can say what they are: never reclaimable.
UsageRow Orphans(const StoreTotals& totals) {
  UsageRow row;
  row.type = "Orphans";
  row.total_count = totals.orphan.count;
  row.active_count = totals.orphan.count;
  row.bytes = totals.orphan.bytes;
  return row;
}

void Add(UsageRow* to, const UsageRow& from) {
  to->type = from.type;
  to->total_count += from.total_count;
  to->active_count += from.active_count;
  to->bytes += from.bytes;
  to->reclaimable += from.reclaimable;
  to->unknown_size_count += from.unknown_size_count;
}

}  // namespace

DiskUsage MakeDiskUsage(const StoreTotals& totals, bool knows_containers) {
  DiskUsage usage;
  usage.rows = {Images(totals, knows_containers),
                Containers(totals),
                Volumes(totals),
                BuildCache(totals),
                OtherContent(totals),
                Quarantine(totals),
                Orphans(totals)};
  // Of all records but those that have a row of their own.
  usage.rows[1].unknown_size_count =
      totals.unknown_size_count -
      std::min(totals.unknown_size_count, totals.unknown_unpacked_count);
  usage.live = totals.live;
  usage.candidate = totals.candidate;
  usage.quarantined = totals.quarantined;
  usage.orphan = totals.orphan;
  usage.content = Sum(totals.live, totals.candidate);
  usage.unpacked = Of(totals, NodeKind::kSnapshot);
  if (usage.unpacked.count > 0) {
    usage.rows.push_back(UnpackedLayers(totals, knows_containers));
  }
  usage.image_count = totals.image_count;
  usage.dangling_image_count = totals.dangling_image_count;
  usage.tag_count = Of(totals, NodeKind::kTag).count;
  usage.repository_count = Of(totals, NodeKind::kRepository).count;
  return usage;
}

DiskUsage AddUp(absl::Span<const DiskUsage> parts) {
  DiskUsage sum = MakeDiskUsage(StoreTotals{}, false);
  for (const DiskUsage& part : parts) {
    // A store has more rows than another, never other ones.
    sum.rows.resize(std::max(sum.rows.size(), part.rows.size()));
    for (size_t i = 0; i < part.rows.size(); ++i) {
      Add(&sum.rows[i], part.rows[i]);
    }
    sum.live = Sum(sum.live, part.live);
    sum.candidate = Sum(sum.candidate, part.candidate);
    sum.quarantined = Sum(sum.quarantined, part.quarantined);
    sum.orphan = Sum(sum.orphan, part.orphan);
    sum.content = Sum(sum.content, part.content);
    sum.unpacked = Sum(sum.unpacked, part.unpacked);
    sum.image_count += part.image_count;
    sum.dangling_image_count += part.dangling_image_count;
    sum.tag_count += part.tag_count;
    sum.repository_count += part.repository_count;
  }
  return sum;
}

}  // namespace reclaim::accounting
