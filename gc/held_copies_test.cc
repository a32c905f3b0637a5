// Of what is held in no place no copy goes, whenever it was asked for.

#include <filesystem>
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
#include "index/engine.h"
#include "index/graph_records.h"
#include "index/graph_view.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/node.h"
#include "oci/digest.h"
#include "reclaim/storage/v1/storage.pb.h"
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
  void PinAsAnEarlierVersion();
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

// As a version recorded it that knew of no other places than the first.
void HeldCopiesTest::PinAsAnEarlierVersion() {
  // So the words have a node, and another pin a record.
  ASSERT_THAT(Pin(), IsOk());
  const index::NodeId words = Find(image_);
  ASSERT_NE(words, index::kNoNode);
  index::PutPin pin;
  pin.store = "s";
  pin.id = "old";
  pin.target.content =
      index::ContentName{"s", "", oci::Digest::Sha256Of("elsewhere")};
  ASSERT_THAT(
      Record({index::RemoveNamed{"s", index::NodeKind::kPin, "", "p"}, pin}),
      IsOk());
  Prune();
  ASSERT_EQ(StateOf(image_, "a"), NodeState::kQuarantined);
  const std::string key = index::IdKey(graph_->Read()->view().FindNamed(
      {index::NodeKind::kPin, id_, "", "old"}));
  const auto value = engine_->Get(index::Family::kNamed, key);
  ASSERT_THAT(value, IsOk());
  storage::v1::NamedRecord record;
  ASSERT_TRUE(value->has_value() && record.ParseFromString(**value));
  record.mutable_pin()->mutable_target()->mutable_content()->set_digest(
      image_.ToString());
  record.clear_targets();
  record.add_targets(words);
  index::Batch batch;
  batch.Put(index::Family::kNamed, key, record.SerializeAsString());
  ASSERT_THAT(engine_->Commit(batch, index::Durability::kDurable), IsOk());
  Restart();
  EXPECT_EQ(StateOf(image_, "a"), NodeState::kQuarantined);
}

TEST_F(HeldCopiesTest, HeldByAnEarlierVersionEachComesBackFromQuarantine) {
  ASSERT_NO_FATAL_FAILURE(PinAsAnEarlierVersion());
  ASSERT_THAT(collector_->Recover(), IsOk());
  ExpectWhole();
  ExpectExact();
  EXPECT_EQ(QuarantineCount(), 0u);
}

// It stays in quarantine, and the start says so.
TEST_F(HeldCopiesTest, WhatLiesInTheWayOfOneIsToldByTheStart) {
  ASSERT_NO_FATAL_FAILURE(PinAsAnEarlierVersion());
  const std::string path = absl::StrCat("a/blobs/sha256/", image_.hex());
  folder_.Write(path, "torn");
  const Recovery recovery = collector_->BeginRecovery();
  EXPECT_THAT(recovery.status,
              base::StatusIs(absl::StatusCode::kAlreadyExists,
                             testing::HasSubstr("stays in quarantine")));
  EXPECT_THAT(collector_->UnrecoveredStores(), testing::IsEmpty());
  EXPECT_EQ(StateOf(image_, "a"), NodeState::kQuarantined);
  EXPECT_EQ(StateOf(image_, "b"), NodeState::kPresent);
  folder_.Remove(path);
  ASSERT_THAT(collector_->Recover(), IsOk());
  ExpectWhole();
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

// Its layout had nothing else: the graph has not heard of it.
TEST_F(HeldCopiesTest, AskedForAfterALossItComesBackIntoAPlaceThatNobodyKnows) {
  Prune();
  std::filesystem::remove(folder_.path() + "/b/index.json");
  std::filesystem::remove(folder_.path() + "/b/oci-layout");
  options_.earlier_database = "there was one";
  collector_.reset();
  graph_.reset();
  engine_ = std::make_unique<index::MemoryEngine>();
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  Scan();
  ASSERT_EQ(graph_->Read()->view().FindPlace(id_, "b"), index::kNoPlace);
  ASSERT_THAT(Pin(), IsOk());
  Scan();
  EXPECT_EQ(StateOf(image_, "a"), NodeState::kPresent);
  EXPECT_TRUE(folder_.Exists(absl::StrCat("b/blobs/sha256/", image_.hex())));
}

}  // namespace
}  // namespace reclaim::gc
