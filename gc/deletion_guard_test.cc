#include "gc/deletion_guard.h"

#include <memory>
#include <string>
#include <vector>

#include "base/fault_point.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

using index::NodeKind;
using index::NodeState;
using index::Operation;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

// An image of a config and a layer, and a loose blob: all old, nothing named.
class DeletionGuardTest : public ::testing::Test {
 protected:
  DeletionGuardTest() {
    index::GraphOptions options;
    options.grace_period = absl::ZeroDuration();
    auto opened = index::ReferenceGraph::Open(&engine_, &clock_, options);
    EXPECT_THAT(opened, IsOk());
    graph_ = *std::move(opened);
    index::StoreRecord store;
    store.name = "s";
    EXPECT_THAT(graph_->RegisterStore(store), IsOk());
    EXPECT_THAT(Record({index::PutRepository{"s", "app", ""}, Blob("config"),
                        Blob("layer"), Blob("loose"), Manifest()}),
                IsOk());
    clock_.Advance(absl::Hours(100));
    const auto epoch = graph_->BeginEpoch();
    EXPECT_THAT(epoch, IsOk());
    terms_.store = 0;
    terms_.keeper.now = clock_.Now();
    terms_.keeper.grace_period = absl::Hours(24);
    terms_.keeper.upload_lifetime = absl::Hours(168);
    terms_.keeper.epoch = *epoch;
    terms_.keeper.planned = clock_.Now();
    terms_.names_seen = clock_.Now();
  }

  absl::Status Record(std::vector<Operation> operations) {
    index::Mutation mutation;
    mutation.operations = std::move(operations);
    return graph_->Apply(mutation, index::Durability::kDurable).status();
  }
  static index::PutBlob Blob(const std::string& bytes) {
    index::PutBlob put;
    put.name = {"s", "", D(bytes)};
    put.bytes = {bytes.size(), 4096};
    return put;
  }
  static std::string Text() {
    return store::ImageText({D("config"), D("layer")});
  }
  static index::PutManifest Manifest() {
    index::PutManifest put;
    put.name = {"s", "", D(Text())};
    put.bytes = Text();
    return put;
  }
  static index::PutTag Tag(const std::string& repository,
                           const std::string& tag, const oci::Digest& digest) {
    index::PutTag put;
    put.store = "s";
    put.repository = repository;
    put.tag = tag;
    put.digest = digest;
    return put;
  }
  static index::PutMembership Link(const std::string& repository,
                                   const std::string& bytes, absl::Time time) {
    index::PutMembership put;
    put.store = "s";
    put.repository = repository;
    put.digest = D(bytes);
    put.kind = store::MembershipKind::kLayer;
    put.linked = time;
    return put;
  }
  // A writer that no stamp protects any more.
  void NextEpoch() {
    const auto epoch = graph_->BeginEpoch();
    ASSERT_THAT(epoch, IsOk());
    terms_.keeper.epoch = *epoch;
  }

  PlanItem BlobItem(const oci::Digest& digest) {
    const auto reader = graph_->Read();
    PlanItem item;
    item.node = reader->view().FindContent(0, digest);
    item.kind = reader->view().kind(item.node);
    item.digest = digest;
    store::Removal removal;
    removal.digest = digest;
    item.removal = removal;
    return item;
  }
  PlanItem LinkItem(const std::string& repository, const std::string& bytes) {
    PlanItem item;
    item.digest = D(bytes);
    item.scope = repository;
    store::Removal removal;
    removal.kind = store::RemovalKind::kLayerLink;
    removal.repository = repository;
    removal.digest = item.digest;
    item.removal = removal;
    return item;
  }
  PlanItem TagItem(const std::string& tag, const oci::Digest& digest) {
    PlanItem item;
    item.node =
        graph_->Read()->view().FindNamed({NodeKind::kTag, 0, "app", tag});
    item.kind = NodeKind::kTag;
    item.scope = "app";
    item.name = tag;
    item.digest = digest;
    item.reason = DoomReason::kUnused;
    store::Removal removal;
    removal.kind = store::RemovalKind::kTag;
    removal.repository = "app";
    removal.tag = tag;
    removal.digest = digest;
    item.removal = removal;
    return item;
  }
  std::vector<SkipReason> Judge(const std::vector<PlanItem>& items) {
    DeletionGuard guard(graph_.get());
    std::vector<SkipReason> reasons;
    for (const Verdict& verdict : guard.Judge(items, terms_)) {
      reasons.push_back(verdict.reason);
    }
    return reasons;
  }
  // Asked before a guard holds the order.
  index::NodeId NodeOf(const oci::Digest& digest) {
    return graph_->Read()->view().FindContent(0, digest);
  }
  SkipReason JudgeOne(const PlanItem& item) { return Judge({item})[0]; }

  base::SimulatedClock clock_;
  index::MemoryEngine engine_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  GuardTerms terms_;
};

TEST_F(DeletionGuardTest, WhatNothingKeepsMayGo) {
  EXPECT_THAT(
      Judge({BlobItem(D("loose")), BlobItem(D("layer")), BlobItem(D(Text()))}),
      ::testing::Each(SkipReason::kNone));
}

TEST_F(DeletionGuardTest, ARootThatCameSinceKeepsAllBelow) {
  const PlanItem layer = BlobItem(D("layer"));
  ASSERT_THAT(Record({Tag("app", "v1", D(Text()))}), IsOk());
  EXPECT_EQ(JudgeOne(layer), SkipReason::kTouched);
  NextEpoch();  // the stamp alone would not say it
  EXPECT_EQ(JudgeOne(layer), SkipReason::kBecameLive);
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, ALeaseKeepsUntilItHasPassed) {
  index::PutLease lease;
  lease.store = "s";
  lease.id = "l";
  lease.expires = clock_.Now();
  index::Target target;
  target.content = index::ContentName{"s", "", D(Text())};
  lease.targets = {target};
  ASSERT_THAT(Record({lease}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(BlobItem(D("layer"))), SkipReason::kLeased)
      << "exactly now has not passed";
  terms_.keeper.now += absl::Microseconds(1);
  EXPECT_EQ(JudgeOne(BlobItem(D("layer"))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, AFlatLeaseKeepsWhatItNamesAndNothingBelow) {
  index::PutLease lease;
  lease.store = "s";
  lease.id = "l";
  lease.is_flat = true;
  index::Target target;
  target.content = index::ContentName{"s", "", D(Text())};
  lease.targets = {target};
  ASSERT_THAT(Record({lease}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(BlobItem(D(Text()))), SkipReason::kLeased);
  EXPECT_EQ(JudgeOne(BlobItem(D("layer"))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, AContainerThatCameSinceIsUse) {
  index::PutContainer container;
  container.store = "s";
  container.id = "web";
  container.image = D(Text());
  ASSERT_THAT(Record({container}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(BlobItem(D("config"))), SkipReason::kInUse);
}

TEST_F(DeletionGuardTest, WhatIsYoungIsKept) {
  index::PutBlob again = Blob("loose");
  again.modified = clock_.Now() + absl::Hours(1);
  ASSERT_THAT(Record({again}), IsOk());
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kTouched)
      << "written later than the plan";
  terms_.keeper.planned = absl::InfiniteFuture();
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kBecameLive);
}

TEST_F(DeletionGuardTest, WhatIsGoneOrAnotherThingIsLeft) {
  PlanItem loose = BlobItem(D("loose"));
  loose.kind = NodeKind::kLayer;
  EXPECT_EQ(JudgeOne(loose), SkipReason::kChanged);
  ASSERT_THAT(Record({index::RemoveBlob{{"s", "", D("loose")}}}), IsOk());
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kGone);
}

TEST_F(DeletionGuardTest, AnUnreadableScopeIsNotJudged) {
  terms_.unreadable_scopes = {{"app", "torn"}};
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kScopeKept);
  terms_.unreadable_scopes = {{"", "all"}};
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kScopeKept);
  terms_.unreadable_scopes = {{"elsewhere", "torn"}};
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, ATagThatMovedStays) {
  ASSERT_THAT(Record({Tag("app", "v1", D(Text()))}), IsOk());
  NextEpoch();
  const PlanItem tag = TagItem("v1", D(Text()));
  EXPECT_EQ(JudgeOne(tag), SkipReason::kNone);
  // In one batch the image goes with its last name.
  EXPECT_THAT(Judge({tag, BlobItem(D(Text())), BlobItem(D("layer"))}),
              ::testing::Each(SkipReason::kNone));
  ASSERT_THAT(Record({Tag("app", "v1", D("loose"))}), IsOk());
  EXPECT_EQ(JudgeOne(tag), SkipReason::kChanged);
  ASSERT_THAT(Record({index::RemoveTag{"s", "app", "v1"}}), IsOk());
  EXPECT_EQ(JudgeOne(tag), SkipReason::kGone);
}

TEST_F(DeletionGuardTest, ATagWhoseImageWasPulledStays) {
  ASSERT_THAT(Record({Tag("app", "v1", D(Text()))}), IsOk());
  NextEpoch();
  index::Touch touch;
  touch.name = {"s", "", D(Text())};
  ASSERT_THAT(Record({touch}), IsOk());
  EXPECT_EQ(JudgeOne(TagItem("v1", D(Text()))), SkipReason::kTouched);
}

TEST_F(DeletionGuardTest, ALinkIsJudgedInItsRepository) {
  const absl::Time old = clock_.Now() - absl::Hours(90);
  ASSERT_THAT(Record({Link("app", "layer", old), Link("lib", "layer", old),
                      Tag("lib", "v1", D(Text()))}),
              IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(LinkItem("app", "layer")), SkipReason::kNone);
  EXPECT_EQ(JudgeOne(LinkItem("lib", "layer")), SkipReason::kBecameLive);
  EXPECT_EQ(JudgeOne(LinkItem("none", "layer")), SkipReason::kGone);
  ASSERT_THAT(Record({Link("app", "layer", clock_.Now() + absl::Hours(1))}),
              IsOk());
  EXPECT_EQ(JudgeOne(LinkItem("app", "layer")), SkipReason::kTouched);
}

TEST_F(DeletionGuardTest, APermitComesAfterTheRecord) {
  {
    DeletionGuard guard(graph_.get());
    EXPECT_DEATH(static_cast<void>(guard.permit()), "no permit before");
  }
  const index::NodeId loose = NodeOf(D("loose"));
  DeletionGuard guard(graph_.get());
  ASSERT_THAT(
      guard.Record({{loose, NodeState::kQuarantined, "r", ""}}, {}, {}, "test"),
      IsOk());
  static_cast<void>(guard.permit());
  // The write order is free again: a writer does not wait for the guard.
  EXPECT_THAT(Record({Blob("another")}), IsOk());
}

TEST_F(DeletionGuardTest, NoPermitWithoutADurableRecord) {
  const index::NodeId loose = NodeOf(D("loose"));
  DeletionGuard guard(graph_.get());
  base::ScopedFault fault("engine.commit",
                          absl::ResourceExhaustedError("disk full"));
  EXPECT_THAT(
      guard.Record({{loose, NodeState::kQuarantined, "r", ""}}, {}, {}, "test"),
      StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_DEATH(static_cast<void>(guard.permit()), "no permit before");
}

}  // namespace
}  // namespace reclaim::gc
