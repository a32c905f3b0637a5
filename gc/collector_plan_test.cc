// Plans of several pages: what is stored is what was decided.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

// Trees in memory, where the kernel has it: thousands of files are moved, with
// an fsync for each step.
class TreesInMemory final : public ::testing::Environment {
 public:
  void SetUp() override {
    if (access("/dev/shm", W_OK) == 0) setenv("TEST_TMPDIR", "/dev/shm", 1);
  }
};
const ::testing::Environment* const kTreesInMemory =
    ::testing::AddGlobalTestEnvironment(new TreesInMemory);

// Each is an item for its bytes and one for its link: three pages, and folders
// that become empty with the last of them.
constexpr int kLayerCount = 1200;

class CollectorPlanTest : public CollectorFixture {
 protected:
  CollectorPlanTest() {
    live_ = tree_.Image("live", "v1", {"base"});
    for (int i = 0; i < kLayerCount; ++i) {
      tree_.Layer("old", absl::StrCat("layer ", i));
    }
    Open(store::StoreKind::kRegistry);
    Scan();
  }
  int ItemRecordCount() const {
    int count = 0;
    EXPECT_THAT(engine_->Scan(index::Family::kPlan, "i/", "",
                              [&](absl::string_view, absl::string_view) {
                                ++count;
                                return true;
                              }),
                IsOk());
    return count;
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest live_;
};

TEST_F(CollectorPlanTest, EveryItemIsStoredMeasuredAndTaken) {
  const WholePlan plan = MakePlan(Request());
  ASSERT_EQ(plan.items.size(), size_t{2 * kLayerCount});
  std::set<std::string> names;
  std::vector<store::Removal> removals;
  store::Bytes bytes;
  for (const PlanItem& item : plan.items) {
    names.insert(ToString(*item.removal));
    removals.push_back(*item.removal);
    bytes += item.bytes;
  }
  EXPECT_EQ(names.size(), plan.items.size()) << "an item twice";
  EXPECT_EQ(plan.totals.item_count, plan.items.size());
  EXPECT_EQ(plan.totals.blob_count, uint64_t{kLayerCount});
  EXPECT_EQ(plan.totals.bytes.content, bytes);
  // Measured piece by piece, and all at once.
  const auto measured = store_->Measure(removals);
  ASSERT_THAT(measured, IsOk());
  EXPECT_EQ(plan.totals.bytes.content, measured->content);
  EXPECT_EQ(plan.totals.bytes.metadata, measured->metadata);
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_EQ(run->item_count, plan.items.size());
  EXPECT_EQ(run->bytes.content, bytes);
  ExpectExact();
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(live_)));
  EXPECT_EQ(MakePlan(Request()).totals.item_count, 0u);
}

TEST_F(CollectorPlanTest, AWriterAfterTheDecisionIsSparedAtTheDeed) {
  const WholePlan plan = MakePlan(Request());
  tree_.Image("new", "v1", {"layer 7", "layer 1100"});
  Scan();
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  for (const int i : {7, 1100}) {
    EXPECT_EQ(StateOf(oci::Digest::Sha256Of(absl::StrCat("layer ", i))),
              index::NodeState::kPresent);
  }
  EXPECT_GE(run->skipped_count, 2u);
  ExpectExact();
}

TEST_F(CollectorPlanTest, APlanThatIsCancelledWhileItIsStoredLeavesNothing) {
  // However late: in the mark, or between two pages.
  int polls = 0;
  RunControl control;
  control.is_cancelled = [&polls] { return ++polls < 0; };
  ASSERT_THAT(collector_->MakePlan(Request(), control), IsOk());
  ASSERT_THAT(collector_->DeletePlan((*collector_->ListPlans())[0].id), IsOk());
  const int all = polls;
  for (int last = 0; last < all; ++last) {
    polls = 0;
    control.is_cancelled = [&polls, last] { return ++polls > last; };
    EXPECT_THAT(collector_->MakePlan(Request(), control),
                StatusIs(absl::StatusCode::kCancelled));
    EXPECT_EQ(ItemRecordCount(), 0) << "after poll " << last;
    EXPECT_TRUE(collector_->ListPlans()->empty());
  }
}

TEST_F(CollectorPlanTest, APlanWhoseDatabaseFailsMidwayIsNone) {
  bool has_failed = true;
  for (int commit = 0; has_failed; ++commit) {
    {
      base::ScopedFault fault("engine.commit", absl::UnavailableError("crash"),
                              commit);
      has_failed = !collector_->MakePlan(Request(), {}).ok();
    }
    ASSERT_LT(commit, 100);
    if (has_failed) {
      EXPECT_TRUE(collector_->ListPlans()->empty());
    }
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
    if (has_failed) {
      EXPECT_EQ(ItemRecordCount(), 0) << "commit " << commit;
    }
  }
  EXPECT_EQ(collector_->ListPlans()->size(), 1u);
  EXPECT_GT(ItemRecordCount(), 0);
}

// Of a file with several names the last item has the bytes, in whatever pages
// the others are: that is known when all of them have been stored once.
class SharedFilesPlanTest : public CollectorFixture {
 protected:
  static constexpr int kSharedCount = 8;

  SharedFilesPlanTest() {
    a_.Entry(a_.Image({"kept"}), "v1");
    c_.Entry(c_.Image({"kept"}), "v1");
    for (int i = 0; i < kLayerCount; ++i) a_.Blob(LayerOf(i));
    for (int i = 0; i < kSharedCount; ++i) Link(PathIn(a_, i), PathIn(c_, i));
    Age();
    Open(store::StoreKind::kImageLayout);
    Scan();
  }
  static std::string LayerOf(int i) { return absl::StrCat("layer ", i); }
  std::string PathIn(const store::LayoutTree& tree, int i) const {
    const auto digest = oci::Digest::Sha256Of(LayerOf(i));
    return absl::StrCat(folder_.path(), "/",
                        tree.Path("blobs/sha256/" + digest.hex()));
  }
  static void Link(const std::string& from, const std::string& to) {
    std::filesystem::create_hard_link(from, to);
  }
  // By place and digest.
  std::map<std::string, store::Bytes> BytesOf(const WholePlan& plan) const {
    std::map<std::string, store::Bytes> bytes;
    store::RemovalBytes sum;
    for (const PlanItem& item : plan.items) {
      bytes[absl::StrCat(item.removal->place, " ", item.digest->ToString())] =
          item.bytes;
      sum.content += item.bytes;
      sum.held += item.held;
    }
    EXPECT_EQ(bytes.size(), plan.items.size()) << "an item twice";
    EXPECT_EQ(plan.totals.item_count, plan.items.size());
    EXPECT_EQ(plan.totals.blob_count, plan.items.size());
    EXPECT_EQ(plan.totals.bytes.content, sum.content);
    EXPECT_EQ(plan.totals.bytes.held, sum.held);
    return bytes;
  }

  store::TempFolder outside_;
  store::LayoutTree a_{&folder_, "a"};
  store::LayoutTree c_{&folder_, "c"};
};

TEST_F(SharedFilesPlanTest, TheLastItemHasTheBytesInWhateverPage) {
  const WholePlan plan = MakePlan(Request());
  ASSERT_EQ(plan.items.size(), size_t{kLayerCount + kSharedCount});
  const std::map<std::string, store::Bytes> bytes = BytesOf(plan);
  for (int i = 0; i < kSharedCount; ++i) {
    SCOPED_TRACE(i);
    const std::string digest = oci::Digest::Sha256Of(LayerOf(i)).ToString();
    EXPECT_EQ(bytes.at("a " + digest), store::Bytes());
    EXPECT_EQ(bytes.at("c " + digest).logical_bytes, LayerOf(i).size());
  }
  EXPECT_EQ(plan.totals.bytes.held, store::Bytes());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  ExpectExact();
}

TEST_F(SharedFilesPlanTest, ANameElsewhereHoldsTheBytesOfAllPages) {
  Link(PathIn(a_, 0), outside_.path() + "/backup");
  const WholePlan plan = MakePlan(Request());
  const std::map<std::string, store::Bytes> bytes = BytesOf(plan);
  const std::string digest = oci::Digest::Sha256Of(LayerOf(0)).ToString();
  EXPECT_EQ(bytes.at("a " + digest), store::Bytes());
  EXPECT_EQ(bytes.at("c " + digest), store::Bytes());
  EXPECT_EQ(plan.totals.bytes.held.logical_bytes, LayerOf(0).size());
}

}  // namespace
}  // namespace reclaim::gc
