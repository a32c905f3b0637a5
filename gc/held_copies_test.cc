// Of what is held in no place no copy goes, whenever it was asked for.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using index::NodeState;
using ::reclaim::base::IsOk;

// Two layouts with one image, which no name leads to, in each.
class HeldCopiesTest : public CollectorFixture {
 protected:
  void SetUp() override {
    for (store::LayoutTree* tree : {&a_, &b_}) {
      tree->Entry(tree->Image({"named"}), "v1");
      image_ = tree->Image({"held"});
    }
    Open(store::StoreKind::kImageLayout);
    Scan();
  }

  absl::Status Pin() {
    index::PutPin pin;
    pin.store = "s";
    pin.id = "p";
    pin.target.content = index::ContentName{"s", "", image_};
    const absl::Status status = Record({pin});
    if (!status.ok()) return status;
    // As the service does: no scan has read what no name led to.
    return collector_->ReadHeld("s", {{"s", "a", image_}, {"s", "b", image_}},
                                "test");
  }
  void ExpectWhole() {
    for (const std::string place : {"a", "b"}) {
      for (const oci::Digest& digest :
           {image_, oci::Digest::Sha256Of("held")}) {
        EXPECT_EQ(StateOf(digest, place), NodeState::kPresent) << place;
        EXPECT_TRUE(
            folder_.Exists(absl::StrCat(place, "/blobs/sha256/", digest.hex())))
            << place;
      }
    }
  }

  store::LayoutTree a_{&folder_, "a"};
  store::LayoutTree b_{&folder_, "b"};
  oci::Digest image_;
};

TEST_F(HeldCopiesTest, AskedForAfterThePlanNoneGoes) {
  const Plan plan = MakePlan(Request());
  ASSERT_THAT(Pin(), IsOk());
  ASSERT_THAT(Apply(plan), IsOk());
  ExpectWhole();
  EXPECT_EQ(QuarantineCount(), 0u);
}

TEST_F(HeldCopiesTest, AskedForInQuarantineEachComesBack) {
  Prune();
  ASSERT_EQ(StateOf(image_, "b"), NodeState::kQuarantined);
  ASSERT_THAT(Pin(), IsOk());
  ExpectWhole();
  ExpectExact();
}

TEST_F(HeldCopiesTest, AskedForBeforeItCameNoneGoes) {
  ASSERT_THAT(Pin(), IsOk());
  store::LayoutTree late(&folder_, "c");
  late.Entry(late.Image({"named"}), "v1");
  late.Image({"held"});
  Age();
  Scan();
  Prune();
  ExpectWhole();
  EXPECT_EQ(StateOf(image_, "c"), NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// Nodes are gone with the database: a scan is told by who holds it.
TEST_F(HeldCopiesTest, AskedForAfterALossEachComesBack) {
  Prune();
  options_.earlier_database = "there was one";
  collector_.reset();
  graph_.reset();
  engine_ = std::make_unique<index::MemoryEngine>();
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  Scan();
  ASSERT_EQ(StateOf(image_, "a"), NodeState::kAbsent);
  ASSERT_THAT(Pin(), IsOk());
  Scan();
  ExpectWhole();
}

}  // namespace
}  // namespace reclaim::gc
