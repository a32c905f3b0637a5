#include "gc/collector.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using index::NodeState;

std::map<SkipReason, int> Skips(const gc::Run& run) {
  std::map<SkipReason, int> skips;
  for (const SkippedItem& item : run.skipped) ++skips[item.reason];
  return skips;
}

// A registry: app:v1 stands, the image of its old push is untagged, and a blob
// that nothing names.
class RegistryCollectorTest : public CollectorFixture {
 protected:
  RegistryCollectorTest() {
    kept_ = tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", "old"});
    orphan_ = tree_.Blob("nothing names me");
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  static oci::Digest D(const std::string& bytes) {
    return oci::Digest::Sha256Of(bytes);
  }
  index::PutTag Tag(const std::string& tag, const oci::Digest& digest) {
    index::PutTag put;
    put.store = "s";
    put.repository = "app";
    put.tag = tag;
    put.digest = digest;
    return put;
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest kept_;
  oci::Digest old_;
  oci::Digest orphan_;
};

TEST_F(RegistryCollectorTest, ScanKnowsWhatIsThere) {
  EXPECT_TRUE(HasTag("app", "v1"));
  EXPECT_EQ(StateOf(kept_), NodeState::kPresent);
  const auto reader = graph_->Read();
  EXPECT_TRUE(reader->IsLive(reader->view().FindContent(
      reader->view().FindPlace(id_, ""), D("base"))));
  EXPECT_FALSE(reader->IsLive(
      reader->view().FindContent(reader->view().FindPlace(id_, ""), D("old"))));
}

TEST_F(RegistryCollectorTest, ApplyTakesThePlanAndRestoreGivesItBack) {
  const std::string before = folder_.Snapshot();
  const Plan plan = MakePlan(Request());
  EXPECT_EQ(folder_.Snapshot(), before) << "a preview changes nothing (I8)";
  EXPECT_EQ(plan.totals.blob_count, 4u);  // manifest, config, layer, orphan
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_EQ(run->item_count, plan.totals.item_count);
  EXPECT_EQ(run->blob_count, plan.totals.blob_count);
  EXPECT_EQ(run->image_count, plan.totals.image_count);
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  EXPECT_EQ(run->bytes.metadata, plan.totals.bytes.metadata);
  EXPECT_EQ(StateOf(old_), NodeState::kQuarantined);
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(old_)));
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(D("base"))));
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(kept_)));
  ExpectExact();
  const auto restored = RestoreRun(run->id);
  ASSERT_THAT(restored, IsOk());
  EXPECT_EQ(restored->phase, RunPhase::kSucceeded);
  EXPECT_EQ(folder_.Snapshot(), before);
  EXPECT_EQ(StateOf(old_), NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
  Scan();
  EXPECT_EQ(MakePlan(Request()).totals.bytes.total(),
            plan.totals.bytes.total());
}

TEST_F(RegistryCollectorTest, PurgeFreesWhatThePlanPredicted) {
  const uint64_t before = folder_.DiskBytes();
  const Plan plan = MakePlan(Request());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->phase, RunPhase::kSucceeded);
  EXPECT_EQ(purged->bytes.total(), plan.totals.bytes.total());
  EXPECT_EQ(before - folder_.DiskBytes(),
            plan.totals.bytes.total().allocated_bytes);
  EXPECT_EQ(StateOf(old_), NodeState::kAbsent);
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
  Scan();
  EXPECT_EQ(MakePlan(Request()).totals.item_count, 0u) << "one run converges";
}

TEST_F(RegistryCollectorTest, NothingIsPurgedBeforeThePeriodEnds) {
  const gc::Run run = Prune();
  PurgeRequest request;
  request.store = "s";
  auto purged = collector_->Purge(request, {});
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->item_count, 0u);
  EXPECT_THAT(collector_->IsPurgeDue("s"), IsOkAndHolds(false));
  clock_.Advance(absl::Hours(25));
  EXPECT_THAT(collector_->IsPurgeDue("s"), IsOkAndHolds(true));
  purged = collector_->Purge(request, {});
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->item_count, run.item_count);
  EXPECT_THAT(collector_->IsPurgeDue("s"), IsOkAndHolds(false));
  EXPECT_THAT(collector_->IsPurgeDue("other"),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RegistryCollectorTest, WhatIsInQuarantineIsFoundByItsDigest) {
  const gc::Run run = Prune();
  const auto found = collector_->FindQuarantined("s", "", D("old"));
  ASSERT_THAT(found, IsOk());
  ASSERT_EQ(found->size(), 2u) << "its bytes and its link";
  for (const QuarantineEntry& entry : *found) {
    EXPECT_EQ(entry.run_id, run.id);
    EXPECT_EQ(entry.item.digest, D("old"));
    EXPECT_EQ(entry.restorable_until, run.restorable_until);
    EXPECT_FALSE(entry.is_superseded);
  }
  EXPECT_THAT(collector_->FindQuarantined("s", "", D("new")),
              IsOkAndHolds(IsEmpty()));
}

TEST_F(RegistryCollectorTest, PurgeStopsWhenEnoughIsFree) {
  const gc::Run run = Prune();
  PurgeRequest request;
  request.store = "s";
  request.before_period_ends = true;
  request.free_bytes = 1;
  const auto purged = collector_->Purge(request, {});
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->item_count, 1u);
  EXPECT_EQ(QuarantineCount(), run.item_count - 1);
}

TEST_F(RegistryCollectorTest, ATagPutAfterThePlanKeepsItsImage) {
  const Plan plan = MakePlan(Request());
  ASSERT_THAT(Record({Tag("again", old_)}), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(StateOf(old_), NodeState::kPresent);
  EXPECT_EQ(StateOf(D("old")), NodeState::kPresent);
  EXPECT_EQ(StateOf(orphan_), NodeState::kQuarantined);
  EXPECT_GE(run->skipped_count, 3u);
}

TEST_F(RegistryCollectorTest, AnExistenceCheckAfterThePlanIsAPromise) {
  const Plan plan = MakePlan(Request());
  EXPECT_THAT(graph_->CheckExists({"s", "", old_}, "writer"),
              IsOkAndHolds(true));
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(StateOf(old_), NodeState::kPresent);
  EXPECT_EQ(StateOf(D("old")), NodeState::kPresent)
      << "what the promised image references is promised with it";
  // Manifest, config and layer, and the repository's links to them.
  EXPECT_EQ(Skips(*run)[SkipReason::kTouched], 6);
}

TEST_F(RegistryCollectorTest, ALeaseTakenAfterThePlanKeeps) {
  const Plan plan = MakePlan(Request());
  index::PutLease lease;
  lease.store = "s";
  lease.id = "l";
  index::Target target;
  target.content = index::ContentName{"s", "", orphan_};
  lease.targets = {target};
  ASSERT_THAT(Record({lease}), IsOk());
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(StateOf(orphan_), NodeState::kPresent);
  EXPECT_EQ(StateOf(old_), NodeState::kQuarantined);
}

TEST_F(RegistryCollectorTest, AnOpaqueManifestAfterThePlanKeepsItsPlace) {
  const Plan plan = MakePlan(Request());
  index::MarkUnreadable mark;
  mark.name = {"s", "", kept_};
  mark.why = "test";
  ASSERT_THAT(Record({mark}), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->item_count, 0u);
  EXPECT_EQ(Skips(*run)[SkipReason::kScopeKept],
            static_cast<int>(plan.totals.item_count));
}

TEST_F(RegistryCollectorTest, AFileWrittenAnewSinceTheScanIsLeft) {
  const Plan plan = MakePlan(Request());
  folder_.Write(tree_.BlobPath(orphan_), "nothing names me");
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(StateOf(orphan_), NodeState::kPresent);
}

TEST_F(RegistryCollectorTest, AReferenceToAQuarantinedImageRestoresIt) {
  Prune();
  ASSERT_EQ(StateOf(old_), NodeState::kQuarantined);
  ASSERT_THAT(Record({Tag("again", old_)}), IsOk());
  for (const oci::Digest& digest : {old_, D("old")}) {
    EXPECT_EQ(StateOf(digest), NodeState::kPresent);
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(digest)));
  }
  // The repository's links came with the bytes: it can be pulled.
  EXPECT_TRUE(folder_.Exists(
      absl::StrCat("docker/registry/v2/repositories/app/_manifests/revisions/",
                   "sha256/", old_.hex(), "/link")));
  EXPECT_EQ(StateOf(orphan_), NodeState::kQuarantined);
  ExpectExact();
}

TEST_F(RegistryCollectorTest, AnExistenceCheckRestores) {
  Prune();
  EXPECT_THAT(graph_->CheckExists({"s", "", orphan_}, "writer"),
              IsOkAndHolds(true));
  EXPECT_EQ(StateOf(orphan_), NodeState::kPresent);
}

TEST_F(RegistryCollectorTest, AForeignTagIsFoundByTheProofScan) {
  Prune();
  // A client that does not know us: the registry wrote the tag.
  tree_.Tag("app", "again", old_);
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  for (const oci::Digest& digest : {old_, D("old")}) {
    EXPECT_EQ(StateOf(digest), NodeState::kPresent);
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(digest)));
  }
  EXPECT_TRUE(HasTag("app", "again"));
  EXPECT_EQ(StateOf(orphan_), NodeState::kAbsent);
  ExpectExact();
}

TEST_F(RegistryCollectorTest, AForeignPushOfTheSameBlobSupersedes) {
  Prune();
  folder_.Write(tree_.BlobPath(orphan_), "nothing names me");
  Scan();
  EXPECT_EQ(StateOf(orphan_), NodeState::kPresent);
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(StateOf(orphan_), NodeState::kPresent);
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(orphan_)));
  EXPECT_FALSE(folder_.Exists(".reclaim"));
}

// The second copy lies on the disk until it is purged, and counts till then.
TEST_F(RegistryCollectorTest, WhatIsSupersededCountsWithTheQuarantine) {
  Prune();
  const auto quarantined = [&] {
    return graph_->Read()->totals(id_).quarantined;
  };
  const index::Tally before = quarantined();
  folder_.Write(tree_.BlobPath(orphan_), "nothing names me");
  Scan();
  EXPECT_EQ(quarantined(), before);
  Restart();
  EXPECT_EQ(quarantined(), before);
  const uint64_t on_disk = folder_.DiskBytes();
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->bytes.content, before.bytes);
  EXPECT_EQ(quarantined(), index::Tally());
  // Besides the folders of the quarantine.
  EXPECT_GE(on_disk - folder_.DiskBytes(),
            purged->bytes.total().allocated_bytes);
}

TEST_F(RegistryCollectorTest, WithoutAProofNothingIsPurged) {
  Prune();
  // A repository that can't be read may name anything.
  folder_.Write(
      "docker/registry/v2/repositories/app/_manifests/tags/bad/current/link",
      "no digest");
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->item_count, 0u);
  EXPECT_EQ(StateOf(old_), NodeState::kQuarantined);
}

// All repositories of a registry share its blobs.
TEST_F(RegistryCollectorTest, ATornLinkKeepsTheWholeRegistry) {
  folder_.Write(
      "docker/registry/v2/repositories/app/_manifests/tags/bad/current/link",
      "no digest");
  Scan();
  const WholePlan plan = MakePlan(Request());
  EXPECT_THAT(plan.items, IsEmpty());
  ASSERT_EQ(plan.kept_scopes.size(), 2u);
  EXPECT_EQ(plan.kept_scopes[0].scope, "app");
  EXPECT_EQ(plan.kept_scopes[1].scope, "") << "the plan says how much is kept";
  EXPECT_THAT(plan.kept_scopes[1].why, HasSubstr("the repository app"));
}

TEST_F(RegistryCollectorTest, RestoresATagWithItsImage) {
  PruneRequest request = Request(PruneVerb::kImages);
  request.only_references = {"app:v1"};
  const std::string before = folder_.Snapshot();
  ASSERT_THAT(Apply(MakePlan(request)), IsOk());
  EXPECT_FALSE(HasTag("app", "v1"));
  RestoreRequest restore;
  restore.store = "s";
  restore.reference = "app:v1";
  ASSERT_THAT(collector_->Restore(restore, {}), IsOk());
  EXPECT_TRUE(HasTag("app", "v1"));
  EXPECT_EQ(StateOf(D("new")), NodeState::kPresent);
  EXPECT_EQ(folder_.Snapshot(), before);
  ExpectExact();
}

TEST_F(RegistryCollectorTest, RestoresADigestAlone) {
  Prune();
  RestoreRequest restore;
  restore.store = "s";
  restore.digest = orphan_;
  ASSERT_THAT(collector_->Restore(restore, {}), IsOk());
  EXPECT_EQ(StateOf(orphan_), NodeState::kPresent);
  EXPECT_EQ(StateOf(old_), NodeState::kQuarantined);
  EXPECT_THAT(collector_->Restore(restore, {}),
              StatusIs(absl::StatusCode::kNotFound));
  restore.run_id = "also";
  EXPECT_THAT(collector_->Restore(restore, {}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(RegistryCollectorTest, WhatWasRestoredIsSparedByOlderPlans) {
  const Plan first = MakePlan(Request());
  const Plan second = MakePlan(Request());
  const auto run = Apply(first);
  ASSERT_THAT(run, IsOk());
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  const auto again = Apply(second);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->blob_count, 0u);
}

TEST_F(RegistryCollectorTest, APlanIsAppliedOnceAndInTime) {
  const Plan plan = MakePlan(Request());
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_THAT(Apply(plan), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr("was applied")));
  const Plan late = MakePlan(Request());
  clock_.Advance(absl::Hours(25));
  EXPECT_THAT(Apply(late), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr("expired")));
  Plan unknown;
  unknown.id = "0123456789abcdef";
  EXPECT_THAT(Apply(unknown), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RegistryCollectorTest, ALargePlanNeedsAWord) {
  PruneRequest request = Request();
  request.policy.large_plan_percent = 1;
  const Plan plan = MakePlan(request);
  EXPECT_THAT(Apply(plan), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr("--allow-large")));
  ApplyRequest apply;
  apply.plan_id = plan.id;
  apply.allow_large = true;
  EXPECT_THAT(collector_->Apply(apply, {}), IsOk());
}

TEST_F(RegistryCollectorTest, ASecondRunGetsTheIdOfTheFirst) {
  absl::Status second;
  std::string first;
  RunControl control;
  control.on_progress = [&](const gc::Run& run) {
    if (run.phase != RunPhase::kRunning) return;
    first = run.id;
    second = collector_->Scan("s", false, "test", {}).status();
  };
  ASSERT_THAT(Apply(MakePlan(Request()), control), IsOk());
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kAborted, HasSubstr(first)));
  EXPECT_THAT(collector_->Scan("s", false, "test", {}), IsOk());
}

TEST_F(RegistryCollectorTest, ARunEndsAtAnItemBoundary) {
  PruneRequest request = Request();
  request.policy.batch_item_count = 1;
  int polls = 0;
  RunControl control;
  control.is_cancelled = [&] { return ++polls > 2; };
  const std::string before = folder_.Snapshot();
  const auto run = Apply(MakePlan(request), control);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kCancelled);
  EXPECT_EQ(run->item_count, 2u);
  EXPECT_EQ(QuarantineCount(), 2u);
  ExpectExact();
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_EQ(folder_.Snapshot(), before);
}

TEST_F(RegistryCollectorTest, AFailedBatchIsPutBack) {
  const std::string before = folder_.Snapshot();
  const Plan plan = MakePlan(Request());
  {
    base::ScopedFault fault("sweep.after_move",
                            absl::UnavailableError("the disk is gone"));
    const auto run = Apply(plan);
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kFailed);
    EXPECT_THAT(run->problems[0], HasSubstr("the disk is gone"));
  }
  EXPECT_EQ(folder_.Snapshot(), before);
  EXPECT_EQ(StateOf(old_), NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
}

TEST_F(RegistryCollectorTest, AFullDiskStopsTheRunAndLosesNothing) {
  const std::string before = folder_.Snapshot();
  const Plan plan = MakePlan(Request());
  {
    base::ScopedFault fault("engine.commit",
                            absl::ResourceExhaustedError("disk full"), 1);
    EXPECT_THAT(Apply(plan), StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_EQ(folder_.Snapshot(), before);
  EXPECT_EQ(StateOf(old_), NodeState::kPresent);
}

TEST_F(RegistryCollectorTest, PurgesAtOnceWhenAsked) {
  const uint64_t before = folder_.DiskBytes();
  const Plan plan = MakePlan(Request());
  ApplyRequest request;
  request.plan_id = plan.id;
  request.purge_immediately = true;
  const auto run = collector_->Apply(request, {});
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_EQ(before - folder_.DiskBytes(),
            plan.totals.bytes.total().allocated_bytes);
}

TEST_F(RegistryCollectorTest, EveryDeletionLeavesAnAuditRow) {
  const gc::Run run = Prune();
  const auto events = graph_->ListEvents(0, 100000);
  ASSERT_THAT(events, IsOk());
  uint64_t quarantined = 0;
  for (const index::Event& event : events->events) {
    if (event.kind != index::EventKind::kQuarantined) continue;
    ++quarantined;
    EXPECT_EQ(event.run_id, run.id);
    EXPECT_EQ(event.actor, "test");
    EXPECT_THAT(event.detail, HasSubstr("restorable until"));
  }
  EXPECT_EQ(quarantined, run.blob_count);
}

TEST_F(RegistryCollectorTest, PlansAndRunsAreListedNewestFirst) {
  const WholePlan first = MakePlan(Request());
  clock_.Advance(absl::Seconds(1));
  const Plan second = MakePlan(Request());
  const auto plans = collector_->ListPlans();
  ASSERT_THAT(plans, IsOk());
  ASSERT_EQ(plans->size(), 2u);
  EXPECT_EQ((*plans)[0].id, second.id);
  const auto page = collector_->GetPlan(first.id, 1, 2);
  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->item_count, first.items.size());
  ASSERT_EQ(page->items.size(), 2u);
  EXPECT_EQ(page->items[0].digest, first.items[1].digest);
  ASSERT_THAT(collector_->DeletePlan(first.id), IsOk());
  EXPECT_THAT(collector_->GetPlan(first.id, 0, 1),
              StatusIs(absl::StatusCode::kNotFound));
  const auto run = Apply(second);
  ASSERT_THAT(run, IsOk());
  const auto runs = collector_->ListRuns("", 10);
  ASSERT_THAT(runs, IsOk());
  ASSERT_EQ(runs->size(), 2u);  // the apply, and the fixture's scan
  EXPECT_EQ((*runs)[0].id, run->id);
  EXPECT_THAT(collector_->ListRuns(run->id, 10),
              IsOkAndHolds(::testing::SizeIs(1)));
}

TEST_F(RegistryCollectorTest, PlansThatExpiredLongAgoAreDropped) {
  const Plan plan = MakePlan(Request());
  clock_.Advance(absl::Hours(24 * 9));
  MakePlan(Request());
  EXPECT_THAT(collector_->GetPlan(plan.id, 0, 1),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(RegistryCollectorTest, ExplainsWhatKeepsABlob) {
  const auto kept = collector_->Explain(Find(D("base")), NoGrace(), 10);
  ASSERT_THAT(kept, IsOk());
  EXPECT_TRUE(kept->is_kept);
  const auto dead = collector_->Explain(Find(D("old")), NoGrace(), 10);
  ASSERT_THAT(dead, IsOk());
  EXPECT_FALSE(dead->is_kept);
}

}  // namespace
}  // namespace reclaim::gc
