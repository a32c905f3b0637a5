#include "accounting/disk_usage.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::accounting {
namespace {

using index::NodeKind;
using index::StoreTotals;
using index::Tally;

Tally Of(uint64_t count, uint64_t bytes) {
  return {count, {bytes, bytes + 4096}};
}

void Set(StoreTotals* totals, NodeKind kind, const Tally& tally) {
  totals->by_kind[static_cast<size_t>(kind)] = tally;
}

UsageRow RowOf(const DiskUsage& usage, const std::string& type) {
  for (const UsageRow& row : usage.rows) {
    if (row.type == type) return row;
  }
  ADD_FAILURE() << "no row " << type;
  return UsageRow();
}

TEST(DiskUsageTest, NothingIsZeroInDockersOrder) {
  const DiskUsage usage = MakeDiskUsage(StoreTotals(), true);
  std::vector<std::string> types;
  for (const UsageRow& row : usage.rows) {
    types.push_back(row.type);
    EXPECT_EQ(row.total_count, 0u);
    EXPECT_EQ(row.bytes, store::Bytes());
    EXPECT_EQ(row.reclaimable, store::Bytes());
  }
  EXPECT_THAT(types, ::testing::ElementsAre(
                         "Images", "Containers", "Local Volumes", "Build Cache",
                         "Other Content", "Quarantine", "Orphans"));
}

TEST(DiskUsageTest, ImagesAreJudgedByContainersWhereTheyAreKnown) {
  StoreTotals totals;
  totals.image_count = 3;
  totals.active_image_count = 1;
  totals.imaged = Of(9, 100);
  totals.imaged_live = Of(7, 80);
  totals.imaged_without_tags = Of(3, 30);
  const UsageRow known = RowOf(MakeDiskUsage(totals, true), "Images");
  EXPECT_EQ(known.total_count, 3u);
  EXPECT_EQ(known.active_count, 1u);
  EXPECT_EQ(known.bytes.logical_bytes, 100u);
  EXPECT_EQ(known.reclaimable.logical_bytes, 70u);
  const UsageRow unknown = RowOf(MakeDiskUsage(totals, false), "Images");
  EXPECT_EQ(unknown.reclaimable.logical_bytes, 20u)
      << "what no root needs, for nobody knows who uses the rest";
}

TEST(DiskUsageTest, TheOtherRowsOfDockers) {
  StoreTotals totals;
  Set(&totals, NodeKind::kContainer, Of(2, 50));
  totals.running_container_count = 1;
  totals.running_containers = {1, {20, 20}};
  totals.unknown_size_count = 4;
  Set(&totals, NodeKind::kVolume, Of(3, 30));
  totals.unused_volumes = Of(1, 5);
  Set(&totals, NodeKind::kBuildCache, Of(6, 60));
  totals.used_cache_count = 2;
  totals.reclaimable_cache = Of(4, 40);
  const DiskUsage usage = MakeDiskUsage(totals, true);
  const UsageRow containers = RowOf(usage, "Containers");
  EXPECT_EQ(containers.total_count, 2u);
  EXPECT_EQ(containers.active_count, 1u);
  EXPECT_EQ(containers.reclaimable.logical_bytes, 30u);
  EXPECT_EQ(containers.unknown_size_count, 4u);
  const UsageRow volumes = RowOf(usage, "Local Volumes");
  EXPECT_EQ(volumes.active_count, 2u);
  EXPECT_EQ(volumes.reclaimable.logical_bytes, 5u);
  const UsageRow cache = RowOf(usage, "Build Cache");
  EXPECT_EQ(cache.active_count, 2u);
  EXPECT_EQ(cache.reclaimable.logical_bytes, 40u);
}

TEST(DiskUsageTest, UnpackedLayersAreJudgedAsTheirImages) {
  StoreTotals totals;
  EXPECT_EQ(MakeDiskUsage(totals, true).rows.size(), 7u)
      << "a store that unpacks nothing has no such row";
  Set(&totals, NodeKind::kSnapshot, Of(5, 500));
  totals.active_unpacked_count = 1;
  totals.unpacked_kept = Of(4, 400);
  totals.unpacked_without_tags = Of(2, 150);
  totals.unknown_unpacked_count = 1;
  totals.unknown_size_count = 3;
  const UsageRow known = RowOf(MakeDiskUsage(totals, true), "Unpacked Layers");
  EXPECT_EQ(known.total_count, 5u);
  EXPECT_EQ(known.active_count, 1u);
  EXPECT_EQ(known.bytes.logical_bytes, 500u);
  EXPECT_EQ(known.reclaimable.logical_bytes, 350u);
  EXPECT_EQ(known.unknown_size_count, 1u);
  const DiskUsage unknown = MakeDiskUsage(totals, false);
  EXPECT_EQ(RowOf(unknown, "Unpacked Layers").reclaimable.logical_bytes, 100u)
      << "what is tagged may be in use";
  EXPECT_EQ(RowOf(unknown, "Containers").unknown_size_count, 2u);
  const DiskUsage parts[] = {MakeDiskUsage(StoreTotals(), true), unknown,
                             unknown};
  EXPECT_EQ(RowOf(AddUp(parts), "Unpacked Layers").total_count, 10u);
}

TEST(DiskUsageTest, OurRowsAndTheIdentity) {
  StoreTotals totals;
  totals.live = Of(5, 500);
  totals.candidate = Of(2, 70);
  totals.quarantined = Of(3, 33);
  totals.orphan = Of(1, 9);
  totals.loose = Of(4, 44);
  totals.loose_live = Of(1, 4);
  Set(&totals, NodeKind::kSnapshot, Of(2, 200));
  const DiskUsage usage = MakeDiskUsage(totals, false);
  EXPECT_EQ(RowOf(usage, "Other Content").reclaimable.logical_bytes, 40u);
  EXPECT_EQ(RowOf(usage, "Quarantine").reclaimable.logical_bytes, 33u);
  totals.quarantined_held = Of(1, 13);
  EXPECT_EQ(RowOf(MakeDiskUsage(totals, false), "Quarantine")
                .reclaimable.logical_bytes,
            20u)
      << "names elsewhere keep the rest on the disk";
  EXPECT_EQ(RowOf(usage, "Orphans").reclaimable.logical_bytes, 0u)
      << "nobody can say what they are";
  EXPECT_EQ(usage.content.bytes.logical_bytes, 570u);
  EXPECT_EQ(usage.unpacked.bytes.logical_bytes, 200u);
  EXPECT_EQ(totals.stored().logical_bytes,
            usage.live.bytes.logical_bytes +
                usage.candidate.bytes.logical_bytes +
                usage.quarantined.bytes.logical_bytes +
                usage.orphan.bytes.logical_bytes);
}

TEST(DiskUsageTest, NothingIsNegativeAndNothingMoreThanItsRow) {
  StoreTotals totals;
  totals.imaged = {1, {10, 4096}};
  totals.imaged_without_tags = {1, {20, 0}};
  const UsageRow images = RowOf(MakeDiskUsage(totals, true), "Images");
  EXPECT_EQ(images.reclaimable.logical_bytes, 0u);
  EXPECT_EQ(images.reclaimable.allocated_bytes, 4096u)
      << "each measure is clamped alone";
}

TEST(DiskUsageTest, StoresAddUpRowByRow) {
  StoreTotals a;
  a.image_count = 1;
  a.dangling_image_count = 1;
  a.imaged = Of(1, 10);
  a.live = Of(1, 10);
  StoreTotals b;
  b.image_count = 2;
  b.imaged = Of(2, 20);
  b.quarantined = Of(1, 5);
  Set(&b, NodeKind::kTag, Of(7, 0));
  const DiskUsage parts[] = {MakeDiskUsage(a, false), MakeDiskUsage(b, true)};
  const DiskUsage sum = AddUp(parts);
  EXPECT_EQ(RowOf(sum, "Images").total_count, 3u);
  EXPECT_EQ(RowOf(sum, "Images").bytes.logical_bytes, 30u);
  EXPECT_EQ(sum.image_count, 3u);
  EXPECT_EQ(sum.dangling_image_count, 1u);
  EXPECT_EQ(sum.tag_count, 7u);
  EXPECT_EQ(sum.live.count, 1u);
  EXPECT_EQ(sum.quarantined.bytes.logical_bytes, 5u);
  EXPECT_EQ(AddUp({}).rows.size(), sum.rows.size());
}

}  // namespace
}  // namespace reclaim::accounting
