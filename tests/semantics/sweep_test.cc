// SEMANTICS.md 2.5 and 2.6, the acting part (cases 105 to 119 and 150): a real
// registry tree, its graph and a collector.

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using base::IsOkAndHolds;
using base::StatusIs;
using index::EventKind;
using index::NodeState;
using ::testing::HasSubstr;

// app:v1 stands; its old push is untagged; a blob that nothing names.
class SweepTest : public gc::CollectorFixture {
 protected:
  SweepTest() {
    kept_ = tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", "old"});
    orphan_ = tree_.Blob(kOrphan);
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  static constexpr char kOrphan[] = "nothing names me";

  static oci::Digest D(const std::string& bytes) {
    return oci::Digest::Sha256Of(bytes);
  }
  absl::Status Tag(const oci::Digest& digest) {
    index::PutTag put;
    put.store = "s";
    put.repository = "app";
    put.tag = "v1";
    put.digest = digest;
    return Record({put});
  }
  // A manifest over `blobs`, the first of them the config, with a tag.
  absl::Status PushManifest(const std::string& tag,
                            const std::vector<oci::Digest>& blobs) {
    index::PutManifest put;
    const std::string text = store::ImageText(blobs);
    put.name = {"s", "", D(text)};
    put.bytes = text;
    index::PutTag name;
    name.store = "s";
    name.repository = "app";
    name.tag = tag;
    name.digest = put.name.digest;
    return Record({put, name});
  }
  int SkippedAs(const gc::Run& run, gc::SkipReason reason) {
    int count = 0;
    for (const gc::SkippedItem& item : run.skipped) {
      count += item.reason == reason ? 1 : 0;
    }
    return count;
  }
  std::string Blob(const oci::Digest& digest) { return tree_.BlobPath(digest); }

  store::RegistryTree tree_{&folder_};
  oci::Digest kept_;
  oci::Digest old_;
  oci::Digest orphan_;
};

// An answer "no" stands: the client uploads again, and the deletion that was
// under way takes the old bytes, not the new ones.
TEST_F(SweepTest, Case105_NewBytesOutliveTheOldDeletion) {
  Prune();
  ASSERT_FALSE(folder_.Exists(Blob(orphan_)));
  ASSERT_EQ(tree_.Blob(kOrphan), orphan_) << "uploaded again, by the registry";
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_TRUE(folder_.Exists(Blob(orphan_)));
  Scan();
  EXPECT_EQ(StateOf(orphan_), NodeState::kPresent);
  // What has really gone is not there, whoever asks.
  EXPECT_THAT(graph_->CheckExists({"s", "", D("old")}, "push"),
              IsOkAndHolds(false));
}

TEST_F(SweepTest, Case106_ATagThatMovesDuringTheRunSparesBothImages) {
  const gc::Plan plan = MakePlan(Request());
  ASSERT_THAT(Tag(old_), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  for (const oci::Digest& digest :
       {kept_, old_, D("base"), D("new"), D("old")}) {
    EXPECT_EQ(StateOf(digest), NodeState::kPresent);
    EXPECT_TRUE(folder_.Exists(Blob(digest)));
  }
  EXPECT_EQ(StateOf(orphan_), NodeState::kQuarantined) << "the rest goes on";
}

TEST_F(SweepTest, Case107_AManifestBetweenMarkAndSweepSavesItsBlobs) {
  const gc::Plan plan = MakePlan(Request());
  ASSERT_THAT(PushManifest("late", {D("config"), orphan_}), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(StateOf(orphan_), NodeState::kPresent);
  EXPECT_TRUE(folder_.Exists(Blob(orphan_)));
  EXPECT_EQ(StateOf(old_), NodeState::kQuarantined);
}

TEST_F(SweepTest, Case108_AContainerBetweenPlanAndApplySavesItsImage) {
  const gc::Plan plan = MakePlan(Request());
  index::PutContainer container;
  container.store = "s";
  container.id = "late";
  container.image = old_;
  ASSERT_THAT(Record({container}), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(StateOf(old_), NodeState::kPresent);
  EXPECT_EQ(StateOf(D("old")), NodeState::kPresent);
  EXPECT_EQ(StateOf(orphan_), NodeState::kQuarantined) << "the rest goes on";
  ASSERT_FALSE(run->skipped.empty());
  for (const gc::SkippedItem& item : run->skipped) {
    EXPECT_NE(item.reason, gc::SkipReason::kNone) << item.subject;
  }
}

TEST_F(SweepTest, Case109_WhatDiedAfterThePlanWaitsForTheNext) {
  const gc::Plan plan = MakePlan(Request());
  index::RemoveTag remove;
  remove.store = "s";
  remove.repository = "app";
  remove.tag = "v1";
  ASSERT_THAT(Record({remove}), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->item_count, plan.totals.item_count);
  EXPECT_EQ(StateOf(kept_), NodeState::kPresent);
  EXPECT_EQ(StateOf(D("new")), NodeState::kPresent);
}

TEST_F(SweepTest, Case110_APlanIsAppliedOnceAndInTime) {
  const gc::Plan plan = MakePlan(Request());
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_THAT(Apply(plan), StatusIs(absl::StatusCode::kFailedPrecondition));
  const gc::Plan late = MakePlan(Request());
  clock_.Advance(Request().policy.plan_lifetime + absl::Seconds(1));
  EXPECT_THAT(Apply(late), StatusIs(absl::StatusCode::kFailedPrecondition,
                                    HasSubstr("expired")));
}

TEST_F(SweepTest, Case111_ASecondPruneGetsTheIdOfTheFirst) {
  const gc::Plan first = MakePlan(Request());
  const gc::Plan second = MakePlan(Request());
  std::string id;
  absl::Status refused;
  gc::RunControl control;
  control.on_progress = [&](const gc::Run& run) {
    if (run.phase != gc::RunPhase::kRunning || !id.empty()) return;
    id = run.id;
    refused = Apply(second).status();
  };
  ASSERT_THAT(Apply(first, control), IsOk());
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kAborted, HasSubstr(id)));
  EXPECT_EQ(refused.GetPayload(gc::kRunIdPayload), absl::Cord(id));
}

TEST_F(SweepTest, Case112_ACancelledRunTellsWhatItHasDone) {
  const std::string before = folder_.Snapshot();
  gc::PruneRequest request = Request();
  request.policy.batch_item_count = 1;
  const gc::Plan plan = MakePlan(request);
  int polls = 0;
  gc::RunControl control;
  control.is_cancelled = [&] { return ++polls > 2; };
  const auto run = Apply(plan, control);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, gc::RunPhase::kCancelled);
  EXPECT_GT(run->item_count, 0u);
  EXPECT_LT(run->item_count, plan.totals.item_count);
  EXPECT_EQ(QuarantineCount(), run->item_count) << "at an object's boundary";
  const auto stored = collector_->GetRun(run->id);
  ASSERT_THAT(stored, IsOk());
  EXPECT_EQ(stored->item_count, run->item_count);
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_EQ(folder_.Snapshot(), before);
}

// The intent is durable and the process dies: the bytes are counted once, as
// quarantined or as present, and the next start settles which.
TEST_F(SweepTest, Case113_ACrashBetweenTheRecordAndTheBytes) {
  const store::Bytes stored = graph_->Read()->totals(id_).stored();
  const gc::Plan plan = MakePlan(Request());
  {
    // The intent is the last commit that succeeds.
    base::ScopedFault move("rooted_dir.move", absl::AbortedError("crash"));
    base::ScopedFault end("engine.commit", absl::AbortedError("crash"), 2);
    EXPECT_THAT(Apply(plan), ::testing::Not(IsOk()));
  }
  Restart();
  EXPECT_EQ(graph_->Read()->totals(id_).stored(), stored) << "no double count";
  ASSERT_THAT(collector_->Recover(), IsOk());
  EXPECT_EQ(graph_->Read()->totals(id_).stored(), stored);
  ExpectExact();
  const auto runs = collector_->ListRuns("", 10);
  ASSERT_THAT(runs, IsOk());
  for (const gc::Run& run : *runs) {
    EXPECT_NE(run.phase, gc::RunPhase::kRunning);
  }
  EXPECT_EQ(StateOf(kept_), NodeState::kPresent);
  // Whatever the start has settled, a new run converges.
  ASSERT_THAT(Apply(MakePlan(Request())), IsOk());
  EXPECT_EQ(StateOf(orphan_), NodeState::kQuarantined);
}

TEST_F(SweepTest, Case115_BytesThatCannotBeFreedAreTriedAgain) {
  const uint64_t before = folder_.DiskBytes();
  const gc::Plan plan = MakePlan(Request());
  ASSERT_THAT(Apply(plan), IsOk());
  {
    base::ScopedFault fault("purge.after_intent",
                            absl::PermissionDeniedError("EBUSY"));
    const auto run = PurgeNow();
    ASSERT_THAT(run, IsOk());
    EXPECT_NE(run->phase, gc::RunPhase::kSucceeded);
    ASSERT_FALSE(run->problems.empty()) << "it is reported";
    EXPECT_THAT(run->problems[0], HasSubstr("EBUSY"));
  }
  EXPECT_NE(StateOf(orphan_), NodeState::kPresent) << "not resurrected";
  // The daemon purges again at its next interval.
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(StateOf(orphan_), NodeState::kAbsent);
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_EQ(before - folder_.DiskBytes(),
            plan.totals.bytes.total().allocated_bytes);
}

// Caches follow the feed: the row that ends a descriptor is durable before its
// bytes move, so a cache that has read it never says "present" of what is gone.
TEST_F(SweepTest, Case119_TheFeedTellsBeforeTheBytesGo) {
  const gc::Plan plan = MakePlan(Request());
  {
    base::ScopedFault fault("rooted_dir.move",
                            absl::UnavailableError("nothing moves"));
    Apply(plan).IgnoreError();
  }
  EXPECT_TRUE(folder_.Exists(Blob(orphan_))) << "the bytes have not gone";
  std::set<EventKind> told;
  const auto events = graph_->ListEvents(0, 100000);
  ASSERT_THAT(events, IsOk());
  for (const index::Event& event : events->events) {
    if (event.digest == orphan_) told.insert(event.kind);
  }
  EXPECT_TRUE(told.count(EventKind::kQuarantined)) << "and the feed has told";
  EXPECT_TRUE(told.count(EventKind::kRestored)) << "that they came back, too";
}

TEST(PercentTest, Case073_PercentagesAreRoundedDownAndStayInBounds) {
  EXPECT_EQ(base::Percent(0, 0), 0);
  EXPECT_EQ(base::Percent(999, 1000), 99);
  EXPECT_EQ(base::Percent(1000, 1000), 100);
  EXPECT_EQ(base::Percent(2000, 1000), 100);
}

// Counts what an engine is asked, for work has to be measured without a clock.
class CountingEngine final : public index::Engine {
 public:
  absl::StatusOr<std::optional<std::string>> Get(
      index::Family family, absl::string_view key) const override {
    ++work_;
    return below_.Get(family, key);
  }
  absl::Status Scan(index::Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    return below_.Scan(family, prefix, from,
                       [&](absl::string_view key, absl::string_view value) {
                         ++work_;
                         return visit(key, value);
                       });
  }
  absl::Status ScanBackwards(index::Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override {
    return below_.ScanBackwards(
        family, prefix, before,
        [&](absl::string_view key, absl::string_view value) {
          ++work_;
          return visit(key, value);
        });
  }
  absl::Status Commit(const index::Batch& batch,
                      index::Durability durability) override {
    work_ += batch.entries().size();
    return below_.Commit(batch, durability);
  }
  absl::Status Sync() override { return below_.Sync(); }
  uint64_t ApproximateBytes() const override { return 0; }

  uint64_t TakeWork() { return std::exchange(work_, 0); }

 private:
  mutable uint64_t work_ = 0;
  index::MemoryEngine below_;
};

// Records read and written when one image of `image_count` loses its tag, gets
// it back and is asked for.
uint64_t WorkOfOneChange(int image_count) {
  CountingEngine engine;
  base::SimulatedClock clock;
  index::GraphOptions options;
  options.grace_period = absl::ZeroDuration();
  auto graph = index::ReferenceGraph::Open(&engine, &clock, options);
  EXPECT_THAT(graph, IsOk());
  index::StoreRecord store;
  store.name = "s";
  EXPECT_THAT((*graph)->RegisterStore(store), IsOk());
  const auto apply = [&](std::vector<index::Operation> operations) {
    index::Mutation mutation;
    mutation.operations = std::move(operations);
    EXPECT_THAT((*graph)->Apply(mutation, index::Durability::kDurable), IsOk());
  };
  index::PutTag last;
  for (int i = 0; i < image_count; ++i) {
    std::vector<oci::Digest> blobs;
    std::vector<index::Operation> operations;
    for (const std::string& blob :
         {absl::StrCat("config", i), absl::StrCat("layer", i),
          std::string("base")}) {
      index::PutBlob put;
      put.name = {"s", "", oci::Digest::Sha256Of(blob)};
      put.bytes = {10, 4096};
      operations.push_back(put);
      blobs.push_back(put.name.digest);
    }
    index::PutManifest manifest;
    manifest.bytes = store::ImageText(blobs);
    manifest.name = {"s", "", oci::Digest::Sha256Of(manifest.bytes)};
    last.store = "s";
    last.repository = "app";
    last.tag = absl::StrCat("v", i);
    last.digest = manifest.name.digest;
    operations.push_back(manifest);
    operations.push_back(last);
    apply(std::move(operations));
  }
  engine.TakeWork();
  index::RemoveTag remove;
  remove.store = "s";
  remove.repository = "app";
  remove.tag = last.tag;
  apply({remove});
  apply({last});
  EXPECT_THAT((*graph)->CheckExists({"s", "", last.digest}, "push"),
              IsOkAndHolds(true));
  // The rows of df come from counters: they ask the engine nothing.
  EXPECT_EQ((*graph)->Read()->totals(0).image_count,
            static_cast<uint64_t>(image_count));
  return engine.TakeWork();
}

TEST(WorkTest, Case150_WorkIsInProportionToWhatChanged) {
  const uint64_t small = WorkOfOneChange(10);
  EXPECT_GT(small, 0u);
  EXPECT_LT(small, 100u);
  // The same to the record, a hundred times larger.
  EXPECT_EQ(WorkOfOneChange(1000), small);
}

}  // namespace
}  // namespace reclaim::tests
