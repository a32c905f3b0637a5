// Writers of image layouts between plan and deed.

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;

using index::NodeState;

class LayoutRepushTest : public CollectorFixture {};

TEST_F(LayoutRepushTest, NamesThatWereWrittenSinceThePlanStay) {
  std::vector<oci::Digest> images;
  for (const char* place : {"a", "b"}) {
    store::LayoutTree tree(&folder_, place);
    images.push_back(tree.Image({place}));
    tree.Entry(images.back(), "v1");
  }
  Open(store::StoreKind::kImageLayout);
  Scan();
  PruneRequest request = Request(PruneVerb::kAllImages);
  request.containers_are_complete = true;
  request.policy.batch_item_count = 1;
  const Plan plan = MakePlan(request);
  folder_.Write("a/index.json", folder_.Read("a/index.json"));
  const std::string before = folder_.Read("a/index.json");
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(folder_.Read("a/index.json"), before);
  EXPECT_TRUE(HasTag("a", "v1"));
  EXPECT_EQ(StateOf(images[0], "a"), NodeState::kPresent);
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("a"), "a"), NodeState::kPresent);
  EXPECT_FALSE(HasTag("b", "v1"));
  EXPECT_EQ(StateOf(images[1], "b"), NodeState::kQuarantined);
  ExpectExact();
}

// The bytes are there for long; the name alone is new, as `oras tag` makes it.
TEST_F(LayoutRepushTest, ANameThatIsWrittenSinceThePlanKeepsWhatItNames) {
  store::LayoutTree tree(&folder_, "a");
  const oci::Digest named = tree.Image({"one"});
  const oci::Digest image = tree.Image({"two"});
  tree.Entry(named, "v1");
  Open(store::StoreKind::kImageLayout);
  Scan();
  const Plan plan = MakePlan(Request());
  ASSERT_GE(plan.totals.blob_count, 2u);
  tree.Entry(image, "v2");
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->item_count, 0u);
  EXPECT_EQ(StateOf(image, "a"), NodeState::kPresent);
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("two"), "a"), NodeState::kPresent);
  EXPECT_THAT(store_->Stat("a", image), IsOk());
  ExpectExact();
  Scan();
  EXPECT_TRUE(HasTag("a", "v2"));
  EXPECT_TRUE(MakePlan(Request()).items.empty());
}

// The scan had read index.json already, and the plan came an hour later.
TEST_F(LayoutRepushTest, ANameWrittenWhileTheScanWentOnStays) {
  store::LayoutTree tree(&folder_, "a");
  const oci::Digest image = tree.Image({"one"});
  tree.Entry(image, "v1");
  Open(store::StoreKind::kImageLayout);
  Scan();
  const absl::Time during = clock_.Now() + absl::Minutes(1);
  clock_.Advance(absl::Hours(1));
  folder_.Write("a/index.json", folder_.Read("a/index.json"));
  SetTime("a/index.json", during);
  PruneRequest request = Request(PruneVerb::kAllImages);
  request.containers_are_complete = true;
  ASSERT_THAT(Apply(MakePlan(request)), IsOk());
  EXPECT_TRUE(HasTag("a", "v1"));
  EXPECT_EQ(StateOf(image, "a"), NodeState::kPresent);
}

}  // namespace
}  // namespace reclaim::gc
