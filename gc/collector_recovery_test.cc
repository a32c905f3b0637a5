// A sweep that a crash interrupted goes on beside who is served: its store is
// kept for it, and everything else answers.

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/mutation.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CollectorRecoveryTest : public CollectorFixture {
 protected:
  // The daemon dies after `commits` commits of an apply, and is back.
  void DieInASweep(int commits) {
    store::RegistryTree tree(&folder_);
    tree.Image("app", "v1", {"base", "new"});
    tree.Image("app", "", {"base", "old"});
    tree.Image("lib", "", {"old", "other"});
    Open(store::StoreKind::kRegistry);
    Scan();
    PruneRequest request = Request();
    request.policy.batch_item_count = 2;
    plan_ = MakePlan(request);
    {
      base::ScopedFault fault("engine.commit", absl::UnavailableError("crash"),
                              commits);
      ASSERT_FALSE(Apply(plan_).ok());
    }
    const auto runs = collector_->ListRuns("", 1);
    ASSERT_THAT(runs, IsOk());
    ASSERT_EQ(runs->size(), 1u);
    run_ = runs->front().id;
    Restart();
  }

  bool HasOld() const { return store_->Stat("", OldLayer()).ok(); }
  static oci::Digest OldLayer() { return oci::Digest::Sha256Of("old"); }

  Plan plan_;
  std::string run_;
};

TEST_F(CollectorRecoveryTest, InAnOlderCopyOfTheDatabaseNothingGoesOn) {
  options_.later_database = "it is at mark 1";
  DieInASweep(3);
  const Recovery recovery = collector_->BeginRecovery();
  EXPECT_THAT(recovery.status, IsOk());
  EXPECT_THAT(recovery.unfinished_runs, IsEmpty());
  EXPECT_EQ(collector_->ActingRun("s"), "");
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  EXPECT_THAT(collector_->Resume(run_, {}).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(HasOld());
}

TEST_F(CollectorRecoveryTest, TheGraphAnswersWhileTheStoreIsKept) {
  DieInASweep(3);
  const Recovery recovery = collector_->BeginRecovery();
  ASSERT_THAT(recovery.status, IsOk());
  ASSERT_THAT(recovery.unfinished_runs, ElementsAre(run_));
  EXPECT_EQ(collector_->ActingRun("s"), run_);
  EXPECT_TRUE(HasTag("app", "v1"));
  // A writer is served, and what it names is kept by the guard.
  index::PutPin pin;
  pin.store = "s";
  pin.id = "p";
  pin.target.content = index::ContentName{"s", "", OldLayer()};
  ASSERT_THAT(Record({pin}), IsOk());
  // Whoever would act hears who is at work.
  const absl::Status busy = PurgeNow().status();
  EXPECT_THAT(busy, StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(busy.GetPayload(kRunIdPayload), absl::Cord(run_));
  EXPECT_THAT(collector_->Scan("s", false, "test", {}).status(),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(collector_->DetachStore("s"),
              StatusIs(absl::StatusCode::kAborted));

  const auto run = collector_->Resume(run_, {});
  ASSERT_THAT(run, IsOk());
  EXPECT_TRUE(HasOld());
  EXPECT_EQ(collector_->ActingRun("s"), "");
  ExpectExact();
  EXPECT_GT(QuarantineCount(), 0u);
}

// Nobody heard of the push: the daemon was down, and so was the registry.
TEST_F(CollectorRecoveryTest, WhatWasPushedMeanwhileIsNotTaken) {
  DieInASweep(1);
  store::RegistryTree tree(&folder_);
  const oci::Digest again = tree.Image("app", "again", {"base", "old"});
  ASSERT_THAT(collector_->Recover(), IsOk());
  EXPECT_TRUE(HasTag("app", "again"));
  EXPECT_TRUE(HasOld());
  EXPECT_EQ(StateOf(again), index::NodeState::kPresent);
  EXPECT_FALSE(store_->Stat("", oci::Digest::Sha256Of("other")).ok());
  ExpectExact();
}

TEST_F(CollectorRecoveryTest, AResumedSweepTakesTheRestOnce) {
  DieInASweep(3);
  ASSERT_THAT(collector_->Recover(), IsOk());
  const auto run = collector_->GetRun(run_);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_EQ(run->item_count, plan_.totals.item_count);
  EXPECT_FALSE(HasOld());
  EXPECT_THAT(collector_->Resume(run_, {}).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(collector_->Resume("no-such-run", {}).status(),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(CollectorRecoveryTest, ItIsCancelledLikeAnyRun) {
  DieInASweep(3);
  ASSERT_THAT(collector_->BeginRecovery().unfinished_runs, ElementsAre(run_));
  RunControl control;
  control.is_cancelled = [] { return true; };
  const auto run = collector_->Resume(run_, control);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kCancelled);
  ExpectExact();
  // It has ended: the next start leaves it alone.
  Restart();
  EXPECT_THAT(collector_->BeginRecovery().unfinished_runs, IsEmpty());
  EXPECT_EQ(collector_->ActingRun("s"), "");
}

TEST_F(CollectorRecoveryTest, APlanThatExpiresMeanwhileEndsIt) {
  DieInASweep(3);
  ASSERT_THAT(collector_->BeginRecovery().unfinished_runs, ElementsAre(run_));
  clock_.Advance(plan_.expires - clock_.Now() + absl::Seconds(1));
  const auto run = collector_->Resume(run_, {});
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kInterrupted);
  EXPECT_EQ(run->ended, clock_.Now());
  EXPECT_EQ(collector_->ActingRun("s"), "");
  ASSERT_THAT(RestoreRun(run_), IsOk());
  EXPECT_TRUE(HasOld());
}

// Made read-only meanwhile: nothing more is taken there.
TEST_F(CollectorRecoveryTest, InAStoreThatIsReadOnlyNowItEnds) {
  DieInASweep(3);
  auto store = store::OpenStore({kind_, folder_.path()}, /*read_only=*/true);
  ASSERT_THAT(store, IsOk());
  auto collector =
      Collector::Create(graph_.get(), &clock_, &random_, nullptr, retention_);
  ASSERT_THAT(collector, IsOk());
  collector_ = *std::move(collector);
  store_ = *std::move(store);
  ASSERT_THAT(collector_->AttachStore("s", store_.get()), IsOk());
  const std::string before = folder_.Snapshot();
  EXPECT_THAT(collector_->BeginRecovery().unfinished_runs, IsEmpty());
  EXPECT_EQ(folder_.Snapshot(), before);
}

// The daemon is killed again before it has gone on.
TEST_F(CollectorRecoveryTest, ASecondCrashBeforeItGoesOnChangesNothing) {
  DieInASweep(3);
  for (int start = 0; start < 3; ++start) {
    ASSERT_THAT(collector_->BeginRecovery().unfinished_runs, ElementsAre(run_));
    ExpectExact();
    Restart();
  }
  ASSERT_THAT(collector_->Recover(), IsOk());
  EXPECT_FALSE(HasOld());
  ExpectExact();
}

}  // namespace
}  // namespace reclaim::gc
