// A sweep that a crash interrupted goes on beside who is served: its store is
// kept for it, and everything else answers.

#include <cerrno>
#include <filesystem>
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
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

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
    DieInAnother(commits);
  }
  void DieInAnother(int commits) {
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
  // The store was away at the start after the first death, so that its run did
  // not go on, and came back; then another run began.
  void DieTwice() {
    DieInASweep(3);
    first_run_ = run_;
    clock_.Advance(absl::Minutes(1));
    DieInAnother(3);
    ASSERT_NE(run_, first_run_);
  }

  // The folder of one, as it was in the store; "" if none was moved.
  std::string MovedLink() const {
    const std::string top = folder_.path() + "/.reclaim";
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(top)) {
      const std::string path = entry.path().string();
      const size_t begin = path.find("docker/registry");
      if (begin == std::string::npos || entry.path().filename() != "link") {
        continue;
      }
      return path.substr(begin, path.rfind('/') - begin);
    }
    return "";
  }

  bool HasOld() const { return store_->Stat("", OldLayer()).ok(); }
  static oci::Digest OldLayer() { return oci::Digest::Sha256Of("old"); }

  Plan plan_;
  std::string run_;
  std::string first_run_;
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

TEST_F(CollectorRecoveryTest, TwoOfAStoreGoOnOneAfterTheOther) {
  DieTwice();
  const Recovery recovery = collector_->BeginRecovery();
  ASSERT_THAT(recovery.status, IsOk());
  ASSERT_THAT(recovery.unfinished_runs, ElementsAre(run_, first_run_));
  EXPECT_EQ(collector_->ActingRun("s"), run_);
  const absl::Status early = collector_->Resume(first_run_, {}).status();
  EXPECT_THAT(early, StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(early.GetPayload(kRunIdPayload), absl::Cord(run_));
  ASSERT_THAT(collector_->Resume(run_, {}), IsOk());
  ExpectExact();
  // Nothing else comes between.
  EXPECT_EQ(collector_->ActingRun("s"), first_run_);
  EXPECT_THAT(PurgeNow(), StatusIs(absl::StatusCode::kAborted));
  const auto first = collector_->Resume(first_run_, {});
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->phase, RunPhase::kSucceeded);
  EXPECT_EQ(collector_->ActingRun("s"), "");
  EXPECT_FALSE(HasOld());
  ExpectExact();
  EXPECT_THAT(PurgeNow(), IsOk());
}

TEST_F(CollectorRecoveryTest, WhatCannotBeReadOnceMoreIsTold) {
  DieInASweep(3);
  ASSERT_THAT(collector_->BeginRecovery().unfinished_runs, ElementsAre(run_));
  gc::Run told;
  RunControl control;
  control.on_progress = [&told](const gc::Run& run) { told = run; };
  {
    const base::ScopedFault away("scan.before_removals",
                                 absl::UnavailableError("the disk is away"));
    for (int i = 0; i < 2; ++i) {
      EXPECT_THAT(collector_->Resume(run_, control),
                  StatusIs(absl::StatusCode::kUnavailable,
                           HasSubstr("the disk is away")));
      EXPECT_EQ(told.phase, RunPhase::kInterrupted);
    }
  }
  auto run = collector_->GetRun(run_);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kInterrupted);
  EXPECT_EQ(run->ended, absl::InfiniteFuture());
  EXPECT_THAT(run->problems, ElementsAre(HasSubstr("the disk is away")));
  EXPECT_EQ(collector_->ActingRun("s"), "") << "others may go on meanwhile";
  run = collector_->Resume(run_, {});
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_THAT(run->problems, IsEmpty());
  EXPECT_FALSE(HasOld());
  ExpectExact();
}

// It ends at its turn, and gives the store free.
TEST_F(CollectorRecoveryTest, TheSecondsPlanMayExpireWhileItWaits) {
  DieTwice();
  ASSERT_THAT(collector_->BeginRecovery().unfinished_runs,
              ElementsAre(run_, first_run_));
  clock_.Advance(plan_.expires - clock_.Now() + absl::Seconds(1));
  EXPECT_THAT(collector_->Resume(first_run_, {}).status(),
              StatusIs(absl::StatusCode::kAborted));
  for (const std::string& id : {run_, first_run_}) {
    const auto run = collector_->Resume(id, {});
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kInterrupted);
  }
  EXPECT_EQ(collector_->ActingRun("s"), "");
}

// The disk failed as the daemon began: it is tried again, and what goes on is
// taken up then.
TEST_F(CollectorRecoveryTest, AStoreThatWasAwayAtTheStartIsRecoveredLater) {
  DieTwice();
  {
    const base::ScopedErrno away(EIO, 0, /*is_lasting=*/true);
    const Recovery recovery = collector_->BeginRecovery();
    EXPECT_THAT(recovery.status, Not(IsOk()));
    EXPECT_THAT(recovery.unfinished_runs, IsEmpty());
    EXPECT_THAT(collector_->UnrecoveredStores(),
                ElementsAre(Pair("s", HasSubstr("put/output"))));
    EXPECT_THAT(collector_->RecoverAgain().status, Not(IsOk()));
  }
  EXPECT_EQ(collector_->ActingRun("s"), "");
  // Whoever acts there comes first.
  RunControl control;
  bool has_tried = false;
  control.on_progress = [&](const gc::Run&) {
    if (std::exchange(has_tried, true)) return;
    EXPECT_THAT(collector_->RecoverAgain().status,
                StatusIs(absl::StatusCode::kAborted));
  };
  ASSERT_THAT(collector_->Scan("s", false, "test", control), IsOk());
  ASSERT_TRUE(has_tried);
  EXPECT_THAT(collector_->UnrecoveredStores(), SizeIs(1));
  const Recovery again = collector_->RecoverAgain();
  EXPECT_THAT(again.status, IsOk());
  ASSERT_THAT(again.unfinished_runs, ElementsAre(run_, first_run_));
  EXPECT_THAT(collector_->UnrecoveredStores(), IsEmpty());
  EXPECT_EQ(collector_->ActingRun("s"), run_);
  for (const std::string& id : again.unfinished_runs) {
    const auto run = collector_->Resume(id, {});
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kSucceeded) << id;
  }
  EXPECT_EQ(collector_->ActingRun("s"), "");
  EXPECT_FALSE(HasOld());
  ExpectExact();
  EXPECT_THAT(collector_->RecoverAgain().status, IsOk());
}

// An engine that begins after us is recovered by whoever follows it.
TEST_F(CollectorRecoveryTest, WhatAnotherHasRecoveredSinceGoesOnAsWell) {
  DieTwice();
  {
    const base::ScopedErrno away(EIO, 0, /*is_lasting=*/true);
    EXPECT_THAT(collector_->BeginRecovery().status, Not(IsOk()));
  }
  ASSERT_THAT(collector_->RecoverStore("s"), IsOk());
  ASSERT_THAT(collector_->UnrecoveredStores(), IsEmpty());
  const Recovery again = collector_->RecoverAgain();
  EXPECT_THAT(again.status, IsOk());
  ASSERT_THAT(again.unfinished_runs, ElementsAre(run_, first_run_));
  EXPECT_THAT(collector_->RecoverAgain().unfinished_runs, IsEmpty());
  for (const std::string& id : again.unfinished_runs) {
    const auto run = collector_->Resume(id, {});
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kSucceeded) << id;
  }
  EXPECT_FALSE(HasOld());
  EXPECT_THAT(collector_->RecoverAgain().unfinished_runs, IsEmpty());
}

// The disk of the database is full as they are taken up: the first that can't
// be recorded waits, and so does its store, until it can.
TEST_F(CollectorRecoveryTest, WhatCouldNotBeTakenUpIsTakenUpLater) {
  DieTwice();
  {
    const base::ScopedErrno away(EIO, 0, /*is_lasting=*/true);
    ASSERT_THAT(collector_->BeginRecovery().status, Not(IsOk()));
  }
  ASSERT_THAT(collector_->RecoverStore("s"), IsOk());
  for (const int recorded_count : {0, 1}) {
    const base::ScopedFault full("engine.commit",
                                 absl::ResourceExhaustedError("it is full"),
                                 recorded_count);
    const Recovery recovery = collector_->RecoverAgain();
    EXPECT_THAT(recovery.status,
                StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_EQ(recovery.unfinished_runs.size(),
              static_cast<size_t>(recorded_count));
    EXPECT_EQ(collector_->ActingRun("s"), recorded_count == 0 ? "" : run_);
  }
  // One that goes on comes first, and ends once.
  EXPECT_THAT(collector_->RecoverAgain().status,
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(collector_->ActingRun("s"), run_);
  ASSERT_THAT(collector_->Resume(run_, {}), IsOk());
  EXPECT_THAT(collector_->Resume(run_, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  const Recovery again = collector_->RecoverAgain();
  EXPECT_THAT(again.status, IsOk());
  ASSERT_THAT(again.unfinished_runs, ElementsAre(first_run_));
  const auto run = collector_->Resume(first_run_, {});
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_THAT(collector_->RecoverAgain().unfinished_runs, IsEmpty());
  EXPECT_FALSE(HasOld());
  ExpectExact();
}

// The same at the start itself.
TEST_F(CollectorRecoveryTest, SoDoesWhatTheStartCouldNotTakeUp) {
  DieInASweep(3);
  ASSERT_THAT(collector_->BeginRecovery().status, IsOk());
  Restart();
  {
    const base::ScopedFault full("engine.commit",
                                 absl::ResourceExhaustedError("it is full"));
    const Recovery recovery = collector_->BeginRecovery();
    EXPECT_THAT(recovery.status,
                StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_THAT(recovery.unfinished_runs, IsEmpty());
  }
  EXPECT_THAT(collector_->UnrecoveredStores(), IsEmpty());
  const Recovery again = collector_->RecoverAgain();
  EXPECT_THAT(again.status, IsOk());
  ASSERT_THAT(again.unfinished_runs, ElementsAre(run_));
  ASSERT_THAT(collector_->Resume(run_, {}), IsOk());
  EXPECT_FALSE(HasOld());
  ExpectExact();
}

// What lies in the way of what was moved leaves that in quarantine, and no work
// undone: the sweep goes on.
TEST_F(CollectorRecoveryTest, WhatLiesInTheWayHoldsUpNoRecovery) {
  DieInASweep(2);
  const std::string moved = MovedLink();
  ASSERT_NE(moved, "");
  folder_.Write(moved + "/in/the/way", "x");
  const Recovery recovery = collector_->BeginRecovery();
  EXPECT_THAT(recovery.status, StatusIs(absl::StatusCode::kAlreadyExists,
                                        HasSubstr("stays in quarantine")));
  EXPECT_THAT(collector_->UnrecoveredStores(), IsEmpty());
  ASSERT_THAT(recovery.unfinished_runs, ElementsAre(run_));
  const auto run = collector_->Resume(run_, {});
  ASSERT_THAT(run, IsOk());
  EXPECT_FALSE(HasOld());
  EXPECT_TRUE(folder_.Exists(moved + "/in/the/way"));
  ExpectExact();
}

// The run goes on at the batch that it was at, and passes by what lies in
// quarantine of it: that stays on record.
TEST_F(CollectorRecoveryTest, WhatCouldNotComeBackIsNotTakenTwice) {
  DieInASweep(2);
  const std::string moved = MovedLink();
  ASSERT_NE(moved, "");
  folder_.Write(moved + "/in/the/way", "x");
  ASSERT_THAT(collector_->BeginRecovery().status,
              StatusIs(absl::StatusCode::kAlreadyExists));
  folder_.Remove(moved);
  const auto run = collector_->Resume(run_, {});
  ASSERT_THAT(run, IsOk());
  ExpectExact();
  ASSERT_THAT(RestoreRun(run_), IsOk());
  EXPECT_TRUE(folder_.Exists(moved + "/link"));
  EXPECT_TRUE(HasOld());
  EXPECT_EQ(QuarantineCount(), 0u);
}

TEST_F(CollectorRecoveryTest, WhoServesNobodyGoesOnWithBoth) {
  DieTwice();
  ASSERT_THAT(collector_->Recover(), IsOk());
  EXPECT_EQ(collector_->ActingRun("s"), "");
  for (const std::string& id : {run_, first_run_}) {
    const auto run = collector_->GetRun(id);
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kSucceeded) << id;
  }
  EXPECT_FALSE(HasOld());
  ExpectExact();
}

}  // namespace
}  // namespace reclaim::gc
