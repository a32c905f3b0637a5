// Files with several names: what a plan promises, a purge reports and the disk
// gives is one figure, whoever has the other names.

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/totals.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

namespace fs = std::filesystem;

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

using store::Bytes;

constexpr uint64_t kBlock = 4096;
const std::string kLayer(20 * kBlock, 'x');
const Bytes kLayerBytes = {20 * kBlock, 20 * kBlock};

class SharedFilesTest : public CollectorFixture {
 protected:
  SharedFilesTest() {
    a_.Entry(a_.Image({"kept"}), "v1");
    a_.Image({kLayer});
    c_.Entry(c_.Image({"kept"}), "v1");
  }
  void Begin() {
    Open(store::StoreKind::kImageLayout);
    Scan();
  }

  std::string PathIn(const store::LayoutTree& tree) const {
    return folder_.path() + "/" +
           tree.Path("blobs/sha256/" + oci::Digest::Sha256Of(kLayer).hex());
  }
  // A name that no store knows.
  std::string Backup() const { return outside_.path() + "/backup"; }
  void LinkOutside() { fs::create_hard_link(PathIn(a_), Backup()); }
  // The layer in the other layout: an image that nothing names, with the file
  // of the first.
  oci::Digest ShareWithOther() {
    const oci::Digest image = c_.Image({kLayer});
    MakeOne();
    return image;
  }
  void MakeOne() {
    fs::remove(PathIn(c_));
    fs::create_hard_link(PathIn(a_), PathIn(c_));
    Age();
  }

  // What lies on the disk, each file once.
  uint64_t OnDisk() const {
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> files;
    for (const std::string& top : {folder_.path(), outside_.path()}) {
      for (const auto& entry : fs::recursive_directory_iterator(top)) {
        struct stat st;
        if (lstat(entry.path().c_str(), &st) != 0) continue;
        files[{st.st_dev, st.st_ino}] =
            static_cast<uint64_t>(st.st_blocks) * 512;
      }
    }
    uint64_t sum = 0;
    for (const auto& [file, bytes] : files) sum += bytes;
    return sum;
  }
  index::StoreTotals Totals() const { return graph_->Read()->totals(id_); }

  // Prunes and purges: returns what the plan promised, checked against what the
  // run and the disk say.
  store::RemovalBytes PruneAll() { return Prune(Request()); }
  store::RemovalBytes Prune(const PruneRequest& request) {
    const uint64_t before = OnDisk();
    const Plan plan = MakePlan(request);
    const auto applied = Apply(plan);
    EXPECT_THAT(applied, IsOk());
    EXPECT_EQ(applied->bytes.total(), plan.totals.bytes.total());
    EXPECT_EQ(applied->bytes.held, plan.totals.bytes.held);
    ExpectExact();
    const auto purged = PurgeNow();
    EXPECT_THAT(purged, IsOk());
    EXPECT_EQ(purged->bytes.total(), plan.totals.bytes.total());
    EXPECT_EQ(purged->bytes.held, plan.totals.bytes.held);
    EXPECT_EQ(before - OnDisk(), plan.totals.bytes.total().allocated_bytes);
    ExpectExact();
    return plan.totals.bytes;
  }

  store::TempFolder outside_;
  store::LayoutTree a_{&folder_, "a"};
  store::LayoutTree c_{&folder_, "c"};
};

TEST_F(SharedFilesTest, ANameOutsideKeepsTheBytes) {
  LinkOutside();
  Begin();
  const Bytes live = Totals().live.bytes;
  const Plan plan = MakePlan(Request());
  EXPECT_EQ(plan.totals.bytes.held, kLayerBytes);
  EXPECT_EQ(Totals().candidate.bytes.logical_bytes,
            plan.totals.bytes.content.logical_bytes)
      << "df calls nothing reclaimable that no purge gives";
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(Totals().quarantined_held.bytes, kLayerBytes);
  EXPECT_EQ(Totals().live.bytes.logical_bytes + kLayerBytes.logical_bytes,
            live.logical_bytes);
  EXPECT_EQ(PurgeNow()->bytes.held, kLayerBytes);
  EXPECT_TRUE(fs::exists(Backup()));
  ExpectExact();
}

// A new name changes no folder of the store: no scan would see it.
TEST_F(SharedFilesTest, ANameThatNoScanHasSeenKeepsTheBytes) {
  Begin();
  LinkOutside();
  Scan();
  EXPECT_EQ(PruneAll().held, kLayerBytes);
}

// The run has seen it, and df is told.
TEST_F(SharedFilesTest, WhatTheQuarantineHoldsForOthersIsKnown) {
  Begin();
  LinkOutside();
  const auto run = Apply(MakePlan(Request()));
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(Totals().quarantined_held.bytes, kLayerBytes);
  ExpectExact();
  Restart();
  EXPECT_EQ(Totals().quarantined_held.bytes, kLayerBytes);
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_EQ(Totals().quarantined_held.bytes, Bytes());
  fs::remove(Backup());
  Scan();
  EXPECT_EQ(PruneAll().held, Bytes());
}

TEST_F(SharedFilesTest, AnItemSaysWhoKeepsItsBytes) {
  Begin();
  LinkOutside();
  const WholePlan plan = MakePlan(Request());
  int count = 0;
  for (const PlanItem& item : plan.items) {
    if (item.held == Bytes()) continue;
    ++count;
    EXPECT_EQ(item.bytes, Bytes());
    EXPECT_THAT(item.detail, HasSubstr("other names of its file"));
  }
  EXPECT_EQ(count, 1);
}

TEST_F(SharedFilesTest, WhatLeavesTheStoreCountsForALargePlan) {
  Begin();
  LinkOutside();
  PruneRequest request = Request();
  request.policy.large_plan_percent = 50;
  EXPECT_THAT(Apply(MakePlan(request)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("--allow-large")));
}

// What the disk gives is known at the deed.
TEST_F(SharedFilesTest, ANameThatGoesMeanwhileFreesTheBytes) {
  Begin();
  LinkOutside();
  const Plan plan = MakePlan(Request());
  ASSERT_THAT(Apply(plan), IsOk());
  fs::remove(Backup());
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->bytes.held, Bytes());
  EXPECT_EQ(purged->bytes.content, plan.totals.bytes.content + kLayerBytes);
}

TEST_F(SharedFilesTest, ANameThatComesMeanwhileKeepsTheBytes) {
  Begin();
  const uint64_t before = OnDisk();
  const Plan plan = MakePlan(Request());
  EXPECT_EQ(plan.totals.bytes.held, Bytes());
  LinkOutside();
  ASSERT_THAT(Apply(plan), IsOk());
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->bytes.held, kLayerBytes);
  EXPECT_EQ(before - OnDisk(), purged->bytes.total().allocated_bytes);
}

TEST_F(SharedFilesTest, TheLastNameInAStoreFreesTheBytes) {
  ShareWithOther();
  Begin();
  EXPECT_EQ(Totals().candidate.bytes.logical_bytes,
            MakePlan(Request()).totals.bytes.content.logical_bytes);
  EXPECT_EQ(PruneAll().held, Bytes());
}

TEST_F(SharedFilesTest, ANameBesideThoseOfAStoreKeepsTheBytesOnce) {
  ShareWithOther();
  Begin();
  LinkOutside();
  EXPECT_EQ(PruneAll().held, kLayerBytes);
}

// Two blobs became one file since the scan: their bytes are counted once.
TEST_F(SharedFilesTest, FilesThatWereMadeOneAreCountedOnce) {
  c_.Image({kLayer});
  Begin();
  MakeOne();
  EXPECT_EQ(PruneAll().held, Bytes());
}

// A copy that the store keeps is none of "elsewhere".
TEST_F(SharedFilesTest, ANameThatStaysInTheStoreIsNotTold) {
  c_.Entry(ShareWithOther(), "v2");
  Begin();
  EXPECT_EQ(PruneAll().held, Bytes());
  EXPECT_TRUE(fs::exists(PathIn(c_)));
}

// The first of a file's names frees nothing, the last all of it.
TEST_F(SharedFilesTest, NamesThatGoOneAfterTheOtherFreeTheBytesAtLast) {
  c_.Entry(ShareWithOther(), "later");
  Begin();
  EXPECT_LT(PruneAll().content.logical_bytes, 2 * kLayerBytes.logical_bytes);
  PruneRequest request = Request(PruneVerb::kImages);
  request.only_references = {"c:later"};
  const store::RemovalBytes last = Prune(request);
  EXPECT_EQ(last.held, Bytes());
  EXPECT_GE(last.content.logical_bytes, 2 * kLayerBytes.logical_bytes)
      << "the layer and the config, without another scan";
}

// Of the other nothing has changed: only its file says how many are left.
TEST_F(SharedFilesTest, ANameThatSomebodyRemovesHoldsNothingAnyMore) {
  ShareWithOther();
  Begin();
  const uint64_t candidate = Totals().candidate.bytes.logical_bytes;
  fs::remove(PathIn(c_));
  Scan();
  EXPECT_EQ(Totals().candidate.bytes.logical_bytes, candidate)
      << "the layer is of one name now, and garbage as before";
  EXPECT_EQ(PruneAll().held, Bytes());
}

TEST_F(SharedFilesTest, ANameThatMovesOutOfTheStoreHoldsTheBytes) {
  ShareWithOther();
  Begin();
  const uint64_t candidate = Totals().candidate.bytes.logical_bytes;
  fs::rename(PathIn(c_), Backup());
  Scan();
  EXPECT_EQ(Totals().candidate.bytes.logical_bytes + kLayerBytes.logical_bytes,
            candidate);
  EXPECT_EQ(PruneAll().held, kLayerBytes);
}

// Of what lies in quarantine a purge frees the names as well.
TEST_F(SharedFilesTest, ANameInQuarantineIsNoneElsewhere) {
  c_.Entry(ShareWithOther(), "later");
  Begin();
  ASSERT_THAT(Apply(MakePlan(Request())), IsOk());
  PruneRequest request = Request(PruneVerb::kImages);
  request.only_references = {"c:later"};
  const Plan plan = MakePlan(request);
  EXPECT_EQ(plan.totals.bytes.held, Bytes());
  EXPECT_GE(plan.totals.bytes.content.logical_bytes,
            2 * kLayerBytes.logical_bytes);
}

}  // namespace
}  // namespace reclaim::gc
