// What a cache that remembers content by repository hears of links: those that
// a run takes away and gives back while the content stays.

#include <set>
#include <string>
#include <tuple>

#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/event.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::IsEmpty;

using Row = std::tuple<std::string, std::string, std::string>;

class LinkFeedTest : public CollectorFixture {
 protected:
  LinkFeedTest() {
    store::RegistryTree tree(&folder_);
    image_ = tree.Image("keep", "v1", {"base"});
    tree.Image("lose", "", {"base"});
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  // Of content in the scope of a repository: (scope, digest, detail).
  std::multiset<Row> Rows(index::EventKind kind) const {
    std::multiset<Row> rows;
    const auto page = graph_->ListEvents(0, 100000);
    EXPECT_THAT(page, IsOk());
    if (!page.ok()) return rows;
    for (const index::Event& event : page->events) {
      if (event.kind != kind || !index::IsContent(event.node_kind) ||
          event.scope.empty()) {
        continue;
      }
      EXPECT_EQ(event.store, "s");
      EXPECT_EQ(event.bytes.allocated_bytes, 0u) << "the bytes stay";
      EXPECT_TRUE(event.digest.has_value());
      if (!event.digest) continue;
      rows.emplace(event.scope, event.digest->ToString(), event.detail);
    }
    return rows;
  }

  oci::Digest image_;
};

TEST_F(LinkFeedTest, ALinkThatARunTakesIsTold) {
  EXPECT_THAT(Rows(index::EventKind::kAdded), IsEmpty()) << "none of a scan";
  std::multiset<Row> expected;
  const WholePlan plan = MakePlan(Request());
  for (const PlanItem& item : plan.items) {
    ASSERT_TRUE(item.removal && item.removal->digest);
    ASSERT_NE(item.removal->kind, store::RemovalKind::kBlob);
    const bool is_revision =
        item.removal->kind == store::RemovalKind::kRevisionLink;
    expected.emplace(
        "lose", item.removal->digest->ToString(),
        is_revision ? "revision link of lose" : "layer link of lose");
  }
  EXPECT_EQ(expected.size(), 3u);  // the manifest's, the config's, the layer's
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(Rows(index::EventKind::kRemoved), expected);
  EXPECT_THAT(Rows(index::EventKind::kQuarantined), IsEmpty());
  EXPECT_EQ(StateOf(image_), index::NodeState::kPresent);

  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_EQ(Rows(index::EventKind::kAdded), expected);
  EXPECT_EQ(Rows(index::EventKind::kRemoved), expected);
  Scan();
  EXPECT_EQ(Rows(index::EventKind::kAdded), expected) << "a scan adds none";
}

TEST_F(LinkFeedTest, OfALinkThatIsPurgedThereIsNothingMoreToTell) {
  Prune();
  const std::multiset<Row> gone = Rows(index::EventKind::kRemoved);
  EXPECT_EQ(gone.size(), 3u);
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_EQ(Rows(index::EventKind::kRemoved), gone);
  EXPECT_THAT(Rows(index::EventKind::kAdded), IsEmpty());
  EXPECT_THAT(Rows(index::EventKind::kPurged), IsEmpty());
}

}  // namespace
}  // namespace reclaim::gc
