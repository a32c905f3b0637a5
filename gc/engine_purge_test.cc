// What an engine that sets nothing aside was not made to delete stays: after
// errors, at every crash, and when names change hands meanwhile.

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/engine_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/scan.h"
#include "store/testing/fake_engine.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;
using index::NodeKind;
using store::ContainerState;
using store::RemovalKind;
using ::testing::HasSubstr;

constexpr int kCommitMax = 60;

class EngineWorld : public EngineFixture {
 public:
  void TestBody() override {}

  // An image, a container that has ended and a volume: all of it may go.
  void Begin(bool deletes_for_good) {
    OpenEngine(deletes_for_good);
    const oci::Digest image = node_->AddImage("a", "v1", {"base", "a"}, 1000);
    node_->AddImage("b", "v1", {"base", "b"}, 1000);
    AddContainer("done", ContainerState::kExited, image);
    if (deletes_for_good) {
      node_->has.volumes.push_back(
          {"v", "local", store::Bytes{5, 5}, {}, true, {}});
    }
    Scan();
  }

  Plan PlanAll() {
    PruneRequest request = Request(PruneVerb::kSystem);
    request.all_images = true;
    request.with_volumes = true;
    request.policy.batch_item_count = 3;
    return MakePlan(request);
  }
  absl::StatusOr<gc::Run> ApplyPlan(const Plan& plan,
                                    const RunControl& control = {}) {
    return Apply(plan, control);
  }

  // Calls `deed` once, when the proof is about to be sought.
  static RunControl BeforeTheProof(const std::function<void()>& deed) {
    RunControl control;
    control.on_progress = [deed, is_done = false](const gc::Run& run) mutable {
      if (run.progress.step != "proof" || is_done) return;
      is_done = true;
      deed();
    };
    return control;
  }

  // No later purge takes what the engine still has, and the graph agrees.
  void ExpectTheRestStays() {
    const size_t purged = node_->purged.size();
    ASSERT_THAT(PurgeNow(), IsOk());
    EXPECT_EQ(node_->purged.size(), purged);
    EXPECT_EQ(QuarantineCount(), 0u);
    Scan();
    for (const store::TagFact& tag : node_->has.tags) {
      EXPECT_TRUE(HasTag(tag.repository, tag.tag)) << tag.repository;
    }
    for (const store::BlobFact& blob : node_->has.blobs) {
      EXPECT_EQ(StateOf(blob.digest), index::NodeState::kPresent);
    }
    for (const store::ContainerFact& container : node_->has.containers) {
      EXPECT_TRUE(Has(NodeKind::kContainer, container.id));
    }
    for (const store::VolumeFact& volume : node_->has.volumes) {
      EXPECT_TRUE(Has(NodeKind::kVolume, volume.name));
    }
  }

  void RestartDaemon() {
    StartDaemon();
    ASSERT_THAT(collector_->Recover(), IsOk());
    EXPECT_EQ(QuarantineCount(), 0u);
    ExpectExact();
  }

  void ExpectConvergence() {
    const auto run = Apply(PlanAll());
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kSucceeded);
    EXPECT_TRUE(node_->has.blobs.empty());
    EXPECT_TRUE(node_->has.containers.empty());
    EXPECT_TRUE(node_->has.volumes.empty());
  }
};

class EnginePurgeTest : public EngineWorld {};

TEST_F(EnginePurgeTest, WhatCouldNotBeDeletedIsNoLaterPurges) {
  Begin(true);
  const Plan plan = PlanAll();
  const auto run =
      Apply(plan, BeforeTheProof([this] { node_->is_away = true; }));
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kFailed);
  EXPECT_EQ(run->item_count, 0u) << "nothing went";
  EXPECT_EQ(run->bytes.content, store::Bytes());
  node_->is_away = false;
  ExpectTheRestStays();
  EXPECT_TRUE(node_->purged.empty());
  EXPECT_EQ(PlanAll().totals.item_count, plan.totals.item_count);
  ExpectConvergence();
}

TEST_F(EnginePurgeTest, ACancelledRunDeletesNothing) {
  Begin(true);
  bool is_cancelled = false;
  RunControl control;
  control.on_progress = [&](const gc::Run& run) {
    is_cancelled |= run.progress.done_count >= 3;
  };
  control.is_cancelled = [&] { return is_cancelled; };
  const auto run = Apply(PlanAll(), control);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kCancelled);
  EXPECT_EQ(run->item_count, 0u);
  EXPECT_FALSE(node_->quarantined.empty());
  EXPECT_TRUE(node_->purged.empty());
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
  ExpectTheRestStays();
}

TEST_F(EnginePurgeTest, WhatTheEngineFailsAtStaysAndIsSaid) {
  Begin(true);
  node_->failing.insert("v");
  const auto run = Apply(PlanAll());
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kPartial);
  ASSERT_EQ(run->problems.size(), 1u);
  EXPECT_THAT(run->problems[0], HasSubstr("volume v"));
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_TRUE(Has(NodeKind::kVolume, "v"));
  ExpectExact();
  node_->failing.clear();
  ExpectTheRestStays();
  EXPECT_EQ(Count(node_->purged, RemovalKind::kVolume), 0u);
}

TEST(EnginePurgeCrashTest, AtNoCrashIsADeletionFinishedLater) {
  bool has_crashed = true;
  int commit = 0;
  for (; has_crashed; ++commit) {
    ASSERT_LT(commit, kCommitMax);
    SCOPED_TRACE(absl::StrCat("crash at commit ", commit));
    EngineWorld world;
    world.Begin(true);
    const Plan plan = world.PlanAll();
    {
      base::ScopedFault fault("engine.commit", absl::UnavailableError("crash"),
                              commit);
      has_crashed = !world.ApplyPlan(plan).ok();
    }
    world.RestartDaemon();
    world.ExpectTheRestStays();
    world.ExpectConvergence();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(commit, 6) << "the run has more commits than that";
}

// The tag is moved while the run seeks its proof: the engine does not delete
// it, and what it names now is in the graph.
TEST_F(EnginePurgeTest, ANameThatIsAnothersByNowIsNotPutBack) {
  OpenEngine(true);
  const oci::Digest old = node_->AddImage("a", "v1", {"old"}, 1000);
  const oci::Digest now = node_->AddImage("", "", {"now"}, 1000);
  AddContainer("web", ContainerState::kRunning, now);
  Scan();
  node_->refused.insert(old.ToString());
  const auto run =
      Apply(MakePlan(Request(PruneVerb::kAllImages)),
            BeforeTheProof([&] { node_->has.tags[0].digest = now; }));
  ASSERT_THAT(run, IsOk());
  EXPECT_GT(run->skipped_count, 0u);
  const auto reader = graph_->Read();
  const index::GraphView& view = reader->view();
  const index::NodeId tag = view.FindNamed({NodeKind::kTag, id_, "a", "v1"});
  ASSERT_NE(tag, index::kNoNode);
  ASSERT_EQ(view.Kept(tag).size(), 1u);
  EXPECT_EQ(view.digest(view.Kept(tag)[0]), now);
  EXPECT_EQ(view.state(view.FindContent(view.FindPlace(id_, ""), old)),
            index::NodeState::kPresent);
}

// In containerd a name is gone from the quarantine on, and who has read it
// before may give its content another one: as in a registry.
TEST_F(EnginePurgeTest, WritersAreWaitedForWhereThereIsAQuarantine) {
  writers_.write_duration_max = absl::Minutes(1);
  Begin(false);
  ASSERT_THAT(Apply(PlanAll()), IsOk());
  clock_.Advance(absl::Seconds(59));
  auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->item_count, 0u);
  ASSERT_FALSE(purged->skipped.empty());
  EXPECT_EQ(purged->skipped[0].reason, SkipReason::kProofMissing);
  EXPECT_TRUE(node_->purged.empty());
  clock_.Advance(absl::Seconds(1));
  purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_GT(purged->item_count, 0u);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// Docker hides nothing before it deletes: there is nobody to wait for.
TEST_F(EnginePurgeTest, NobodyIsWaitedForWhereNothingIsHidden) {
  writers_.write_duration_max = absl::Minutes(1);
  Begin(true);
  const absl::Time before = clock_.Now();
  ExpectConvergence();
  EXPECT_EQ(clock_.Now(), before);
}

TEST_F(EnginePurgeTest, AStoreThatWasNotReadToItsEndIsLeftAlone) {
  Begin(true);
  const Plan plan = PlanAll();
  node_->is_away = true;
  EXPECT_THAT(collector_->Sync("s", {}),
              StatusIs(absl::StatusCode::kUnavailable));
  node_->is_away = false;
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kFailed);
  ASSERT_FALSE(run->problems.empty());
  EXPECT_THAT(run->problems.back(), HasSubstr("make a new plan"));
  EXPECT_TRUE(node_->quarantined.empty());
  EXPECT_TRUE(node_->purged.empty());
  ASSERT_THAT(collector_->Sync("s", {}), IsOk());
  ExpectConvergence();
}

}  // namespace
}  // namespace reclaim::gc
