// A crash at every commit of every run: then recovery, and nothing is lost.
//
// From a commit on, every commit fails as if the process had died there; what
// the store had done by then stands.  A new daemon on the same database and
// tree recovers, and then either everything comes back or everything goes.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/totals.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

constexpr int kCommitMax = 60;

// One scenario a store; started anew for every commit.
class CrashWorld : public CollectorFixture {
 public:
  void TestBody() override {}

  void Begin(store::StoreKind kind) {
    if (kind == store::StoreKind::kRegistry) {
      store::RegistryTree tree(&folder_);
      tree.Image("app", "v1", {"base", "new"});
      tree.Image("app", "", {"base", "old"});
      tree.Image("lib", "", {"old", "other"});
      tree.Blob("nothing names me");
    } else {
      store::LayoutTree tree(&folder_, "a");
      tree.Entry(tree.Image({"base", "new"}), "v1");
      tree.Entry(tree.Image({"base", "old"}), "");
      tree.Entry(tree.Image({"old", "other"}), "");
    }
    Open(kind);
    Scan();
    before_ = folder_.Snapshot();
    live_ = LiveFiles();
  }

  // What is configured, for what has no record.
  void SetQuarantinePeriod(absl::Duration period) {
    retention_.quarantine_period = period;
  }
  void ExpectRestorableFor(absl::Duration period) {
    const auto entries = collector_->ListQuarantine("s", 0, 1000);
    ASSERT_THAT(entries, IsOk());
    ASSERT_FALSE(entries->empty());
    for (const QuarantineEntry& entry : *entries) {
      EXPECT_EQ(entry.restorable_until - entry.quarantined, period);
    }
  }

  // The blobs of what stands, which no crash may touch.
  std::map<std::string, bool> LiveFiles() const {
    std::map<std::string, bool> files;
    for (const char* blob : {"base", "new"}) {
      const oci::Digest digest = oci::Digest::Sha256Of(blob);
      files[blob] = store_->Stat(PlaceName(), digest).ok();
    }
    return files;
  }
  std::string PlaceName() const {
    return kind_ == store::StoreKind::kRegistry ? "" : "a";
  }

  Plan SmallBatches() {
    PruneRequest request = Request();
    request.policy.batch_item_count = 2;
    return MakePlan(request);
  }
  absl::StatusOr<gc::Run> ApplyPlan(const Plan& plan) { return Apply(plan); }
  absl::StatusOr<gc::Run> RestoreOf(const std::string& run) {
    return RestoreRun(run);
  }
  absl::StatusOr<gc::Run> PurgeAll() { return PurgeNow(); }
  size_t Quarantined() const { return QuarantineCount(); }
  index::Tally QuarantinedTally() const {
    return graph_->Read()->totals(id_).quarantined;
  }
  void LoseDatabase() {
    options_.earlier_database = "the world had one";
    collector_.reset();
    graph_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
  }

  absl::Status ConfirmLoss() { return graph_->ConfirmLoss(); }

  void RestartAndRecover() {
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
    EXPECT_EQ(LiveFiles(), live_);
    ExpectExact();
    const auto runs = collector_->ListRuns("", 100);
    ASSERT_THAT(runs, IsOk());
    for (const auto& run : *runs) {
      EXPECT_NE(run.phase, RunPhase::kRunning);
    }
  }

  // Whatever state the crash left: all of it can be given back.
  void ExpectAllRestorable() {
    const auto runs = collector_->ListRuns("", 100);
    ASSERT_THAT(runs, IsOk());
    for (const auto& run : *runs) {
      if (run.kind != RunKind::kApply) continue;
      const auto restored = RestoreRun(run.id);
      EXPECT_TRUE(restored.ok() || absl::IsNotFound(restored.status()))
          << restored.status();
    }
    EXPECT_EQ(QuarantineCount(), 0u);
    EXPECT_EQ(Names(folder_.Snapshot()), Names(before_));
    Scan();
  }

  // Whatever state the crash left: the next prune and purge converge.
  void ExpectConvergence() {
    Scan();
    ASSERT_THAT(Apply(MakePlan(Request())), IsOk());
    ASSERT_THAT(PurgeNow(), IsOk());
    EXPECT_EQ(QuarantineCount(), 0u);
    EXPECT_FALSE(folder_.Exists(".reclaim"));
    EXPECT_EQ(MakePlan(Request()).totals.item_count, 0u);
    EXPECT_EQ(LiveFiles(), live_);
    Scan();
  }

 private:
  // Paths without times: an index.json that was edited twice has a new one.
  static std::string Names(const std::string& snapshot) {
    std::string names;
    size_t begin = 0;
    while (begin < snapshot.size()) {
      const size_t end = snapshot.find('\n', begin);
      const std::string line = snapshot.substr(begin, end - begin);
      absl::StrAppend(&names, line.substr(0, line.find(' ')), " ",
                      line.substr(line.rfind(' ') + 1), "\n");
      begin = end + 1;
    }
    return names;
  }

  std::string before_;
  std::map<std::string, bool> live_;
};

class CollectorCrashTest : public ::testing::TestWithParam<store::StoreKind> {};

TEST_P(CollectorCrashTest, ApplyIsResumedAndEverythingIsRestorable) {
  bool has_crashed = true;
  int commit = 0;
  for (; has_crashed; ++commit) {
    ASSERT_LT(commit, kCommitMax);
    SCOPED_TRACE(absl::StrCat("crash at commit ", commit));
    CrashWorld world;
    world.Begin(GetParam());
    const Plan plan = world.SmallBatches();
    {
      base::ScopedFault fault("engine.commit", absl::UnavailableError("crash"),
                              commit);
      has_crashed = !world.ApplyPlan(plan).ok();
    }
    world.RestartAndRecover();
    world.ExpectAllRestorable();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(commit, 4) << "the run has more commits than that";
}

TEST_P(CollectorCrashTest, ACrashedApplyConverges) {
  bool has_crashed = true;
  int commit = 0;
  for (; has_crashed; ++commit) {
    ASSERT_LT(commit, kCommitMax);
    SCOPED_TRACE(absl::StrCat("crash at commit ", commit));
    CrashWorld world;
    world.Begin(GetParam());
    const Plan plan = world.SmallBatches();
    {
      base::ScopedFault fault("engine.commit", absl::UnavailableError("crash"),
                              commit);
      has_crashed = !world.ApplyPlan(plan).ok();
    }
    world.RestartAndRecover();
    world.ExpectConvergence();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(commit, 4) << "the run has more commits than that";
}

TEST_P(CollectorCrashTest, ACrashBetweenIntentAndMoveIsUndone) {
  CrashWorld world;
  world.Begin(GetParam());
  const Plan plan = world.SmallBatches();
  {
    base::ScopedFault move("sweep.after_intent", absl::InternalError("crash"));
    EXPECT_EQ(world.ApplyPlan(plan)->phase, RunPhase::kFailed);
  }
  world.RestartAndRecover();
  world.ExpectAllRestorable();
}

TEST_P(CollectorCrashTest, ACrashedRestoreIsFinishedByTheNext) {
  bool has_crashed = true;
  int commit = 0;
  for (; has_crashed; ++commit) {
    ASSERT_LT(commit, kCommitMax);
    SCOPED_TRACE(absl::StrCat("crash at commit ", commit));
    CrashWorld world;
    world.Begin(GetParam());
    const auto run = world.ApplyPlan(world.SmallBatches());
    ASSERT_THAT(run, IsOk());
    {
      base::ScopedFault fault("engine.commit", absl::UnavailableError("crash"),
                              commit);
      has_crashed = !world.RestoreOf(run->id).ok();
    }
    world.RestartAndRecover();
    world.ExpectAllRestorable();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(commit, 4) << "the run has more commits than that";
}

TEST_P(CollectorCrashTest, ACrashedPurgeIsFinished) {
  bool has_crashed = true;
  int commit = 0;
  for (; has_crashed; ++commit) {
    ASSERT_LT(commit, kCommitMax);
    SCOPED_TRACE(absl::StrCat("crash at commit ", commit));
    CrashWorld world;
    world.Begin(GetParam());
    ASSERT_THAT(world.ApplyPlan(world.SmallBatches()), IsOk());
    {
      base::ScopedFault fault("engine.commit", absl::UnavailableError("crash"),
                              commit);
      has_crashed = !world.PurgeAll().ok();
    }
    world.RestartAndRecover();
    world.ExpectConvergence();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(commit, 4) << "the run has more commits than that";
}

TEST_P(CollectorCrashTest, ALostDatabaseAdoptsTheQuarantine) {
  CrashWorld world;
  world.SetQuarantinePeriod(absl::Hours(24 * 7));
  world.Begin(GetParam());
  const auto run = world.ApplyPlan(world.SmallBatches());
  ASSERT_THAT(run, IsOk());
  const index::Tally held = world.QuarantinedTally();
  EXPECT_GT(held.bytes.allocated_bytes, 0u);
  world.LoseDatabase();
  world.RestartAndRecover();
  ASSERT_THAT(world.PurgeAll(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_THAT(world.ConfirmLoss(), IsOk());
  EXPECT_GT(world.Quarantined(), 0u);
  // Nobody knows more of it than that it is there, and that is counted.
  EXPECT_EQ(world.QuarantinedTally(), held);
  world.RestartAndRecover();
  EXPECT_EQ(world.QuarantinedTally(), held);
  world.ExpectRestorableFor(absl::Hours(24 * 7));
  ASSERT_THAT(world.RestoreOf(run->id), IsOk());
  EXPECT_EQ(world.QuarantinedTally(), index::Tally());
  world.ExpectAllRestorable();
}

TEST_P(CollectorCrashTest, WhatWasAdoptedIsCountedUntilItIsPurged) {
  CrashWorld world;
  world.Begin(GetParam());
  ASSERT_THAT(world.ApplyPlan(world.SmallBatches()), IsOk());
  const index::Tally held = world.QuarantinedTally();
  world.LoseDatabase();
  world.RestartAndRecover();
  ASSERT_EQ(world.QuarantinedTally(), held);
  ASSERT_THAT(world.ConfirmLoss(), IsOk());
  ASSERT_THAT(world.PurgeAll(), IsOk());
  EXPECT_EQ(world.QuarantinedTally(), index::Tally());
  world.ExpectConvergence();
}

INSTANTIATE_TEST_SUITE_P(Stores, CollectorCrashTest,
                         ::testing::Values(store::StoreKind::kRegistry,
                                           store::StoreKind::kImageLayout),
                         [](const auto& info) {
                           return info.param == store::StoreKind::kRegistry
                                      ? "Registry"
                                      : "ImageLayout";
                         });

}  // namespace
}  // namespace reclaim::gc
