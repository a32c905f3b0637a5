// A repository of many links is read with pauses, in which writers write (I10).

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "index/store_scanner.h"
#include "oci/digest.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/testing/store_tree.h"
#include "store/types.h"
#include "tests/support/held_reads.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;

constexpr uint64_t kLinkCount = 10'000;

class ScanPausesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    registry_.Image("app", "v1", {"base"});
    GraphOptions options;
    options.grace_period = absl::ZeroDuration();
    auto graph = ReferenceGraph::Open(&engine_, &clock_, options);
    ASSERT_THAT(graph, IsOk());
    graph_ = *std::move(graph);
    auto store =
        store::OpenStore({store::StoreKind::kRegistry, folder_.path()}, true);
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
    StoreRecord record;
    record.name = "s";
    record.kind = store::StoreKind::kRegistry;
    ASSERT_THAT(graph_->RegisterStore(record), IsOk());
  }

  absl::Status Link(uint64_t count) {
    Mutation mutation;
    for (uint64_t i = 0; i < count; ++i) {
      PutMembership put;
      put.store = "s";
      put.repository = "app";
      put.digest = oci::Digest::Sha256Of(absl::StrCat(i));
      put.kind = store::MembershipKind::kLayer;
      put.linked = clock_.Now() - absl::Hours(1);
      mutation.operations.push_back(std::move(put));
    }
    return graph_->Apply(mutation, Durability::kDurable).status();
  }

  ScanReport Scan() {
    folder_.WaitForClock();
    tests::HeldReadsGraph watched(graph_.get(), &reads_);
    auto report = ScanStore(&watched, "s", *store_, clock_, {});
    EXPECT_THAT(report, IsOk());
    folder_.WaitForClock();
    return report.ok() ? *std::move(report) : ScanReport();
  }

  // Later than the files of the test.
  base::SimulatedClock clock_{absl::FromUnixSeconds(4102444800)};
  store::TempFolder folder_;
  store::RegistryTree registry_{&folder_};
  MemoryEngine engine_;
  std::unique_ptr<ReferenceGraph> graph_;
  std::unique_ptr<store::ContentStore> store_;
  tests::HeldReads reads_;
};

TEST_F(ScanPausesTest, LinksThatHaveGoneAreFoundWithPauses) {
  ASSERT_THAT(Link(kLinkCount), IsOk());
  const ScanReport report = Scan();
  EXPECT_EQ(report.removed_count, kLinkCount);
  EXPECT_GE(reads_.count, kLinkCount);
  EXPECT_LE(reads_.longest, tests::kHeldReadsMax);
}

// A scan that compares what the last one saw with the graph.
TEST_F(ScanPausesTest, LinksAreComparedWithPauses) {
  Scan();
  ASSERT_THAT(Link(kLinkCount), IsOk());
  reads_ = {};
  EXPECT_EQ(Scan().removed_count, kLinkCount);
  EXPECT_GE(reads_.count, 2 * kLinkCount) << "compared, and then removed";
  EXPECT_LE(reads_.longest, tests::kHeldReadsMax);
}

}  // namespace
}  // namespace reclaim::index
