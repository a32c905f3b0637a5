// SEMANTICS.md 2.5: concurrency, leases, crashes (cases 97 to 124).

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using base::IsOkAndHolds;
using base::StatusIs;
using index::NodeKind;
using index::NodeState;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class ConcurrencyTest : public PlanCase {};
class RecordedConcurrencyTest : public RecordedCase {
 protected:
  index::PutLease Lease(const std::string& target) {
    index::PutLease lease;
    lease.store = "s";
    lease.id = "l";
    index::Target held;
    held.content = index::ContentName{"s", "", DigestOf(target)};
    lease.targets = {held};
    return lease;
  }
};

// The roots are those of one instant, whatever the clock does meanwhile.
TEST_F(ConcurrencyTest, Case097_ALeaseIsJudgedAtTheStartOfTheRun) {
  g.Add("M1(c1); lease/l=M1");
  SetExpiry("lease/l", Now());
  const auto roots = gc::CollectRoots(g.view(), 0, {Now(), grace, grace});
  g.graph().AdvanceTo(Now() + absl::Hours(1));
  const auto live = gc::Mark(g.view(), roots, {});
  ASSERT_THAT(live, IsOk());
  EXPECT_TRUE(live->Contains(g.Id("c1")));
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(RecordedConcurrencyTest, Case098_ALeaseEndsWithNoOtherEvent) {
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"})}), IsOk());
  index::PutLease lease = Lease("M1");
  lease.expires = clock.Now() + absl::Hours(1);
  ASSERT_THAT(Apply({lease}), IsOk());
  EXPECT_TRUE(IsLive("c"));
  clock.Advance(absl::Hours(1) + absl::Seconds(1));
  EXPECT_FALSE(IsLive("c"));
  EXPECT_EQ(Totals().candidate.count, 2u);
}

TEST_F(RecordedConcurrencyTest, Case099_ALeaseWithoutAnExpiryNeverEnds) {
  ASSERT_THAT(Apply({Blob("c", 1)}), IsOk());
  ASSERT_THAT(Apply({Lease("c")}), IsOk());
  clock.Advance(absl::Hours(24 * 3650));
  EXPECT_TRUE(IsLive("c"));
  const auto reader = graph->Read();
  const index::NodeId id =
      reader->view().FindNamed({NodeKind::kLease, 0, "", "l"});
  EXPECT_EQ(reader->view().fields(id).expires, absl::InfiniteFuture());
}

TEST_F(ConcurrencyTest, Case100_AnExpiryExactlyNowHasNotPassed) {
  g.Add("M1(c1); lease/l=M1");
  SetExpiry("lease/l", Now());
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_TRUE(g.graph().IsLive(g.Id("c1")));
  SetExpiry("lease/l", Now() - absl::Microseconds(1));
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1"));
  EXPECT_FALSE(g.graph().IsLive(g.Id("c1")));
}

TEST_F(ConcurrencyTest, Case101_AFlatLeaseKeepsItsTargetAlone) {
  g.Add("M1(c1 l1); flat/f=M1");
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("c1", "l1"));
  g.Add("app:v1=M1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(ConcurrencyTest, Case102_WhatALeaseHeldAtTheMarkWaitsForTheNextRun) {
  g.Add("M1(c1); M2(c2); lease/l=M1");
  const auto plan = Make(Images());
  ASSERT_THAT(plan, IsOk());
  g.graph().RemoveNamed(g.Id("lease/l"));
  for (const gc::PlanItem& item : plan->items) {
    EXPECT_NE(NameOf(item), "M1");
    EXPECT_NE(NameOf(item), "c1");
  }
  EXPECT_THAT(Doomed(Images()), Contains("M1"));
}

TEST_F(ConcurrencyTest, Case103_APullsBlobsAndLeasesSurviveAPrune) {
  g.Add("c1; l1; flat/pull=c1 l1; old; lease/ended=old");
  SetExpiry("lease/ended", Now() - absl::Hours(1));
  EXPECT_THAT(Doomed(System(true)), ElementsAre("old"));
}

TEST_F(RecordedConcurrencyTest, Case104_ATrueAnswerRenewsTheProtection) {
  options.grace_period = absl::Hours(24);
  Open();
  index::PutBlob blob = Blob("a", 1);
  blob.modified = clock.Now() - absl::Hours(48);
  ASSERT_THAT(Apply({blob}), IsOk());
  EXPECT_THAT(Doomed(Images()), ElementsAre("a"));
  EXPECT_THAT(graph->CheckExists({"s", "", DigestOf("a")}, "push"),
              IsOkAndHolds(true));
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_THAT(graph->CheckExists({"s", "", DigestOf("b")}, "push"),
              IsOkAndHolds(false));
}

TEST_F(RecordedConcurrencyTest, Case114_ACommitThatFailsChangesNothing) {
  ASSERT_THAT(Apply({Blob("a", 1)}), IsOk());
  const index::StoreTotals before = Totals();
  {
    base::ScopedFault fault("engine.commit", absl::UnavailableError("EIO"));
    EXPECT_THAT(Apply({Blob("b", 1)}),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  Open();
  EXPECT_EQ(Totals(), before);
}

TEST_F(ConcurrencyTest, Case116_ChildrenOfSnapshotsGoBeforeTheirParents) {
  // By name the parent would come first.
  g.Add(
      "M1(c1); snapshot/a=M1; snapshot/z=snapshot/a M1; cache/a; "
      "cache/z=cache/a");
  EXPECT_THAT(Doomed(System(false)),
              ElementsAre("snapshot/z", "snapshot/a", "cache/z", "cache/a",
                          ::testing::_, ::testing::_));
}

TEST_F(ConcurrencyTest, Case117_AnUploadIsKeptToItsExpiry) {
  g.Add("upload/app/u:100; upload/app/v:10");
  SetRecorded("upload/app/v", Now() - absl::Hours(1));
  EXPECT_THAT(Doomed(Images()), ElementsAre("upload/app/u"));
  EXPECT_EQ(FreedBytes(Images()), 100u);
  const gc::PlanItem item = ItemOf(*Make(Images()), "upload/app/u");
  EXPECT_EQ(item.reason, gc::DoomReason::kAbandonedUpload);
  EXPECT_EQ(item.removal->repository, "app");
  EXPECT_EQ(item.removal->upload_id, "u");
}

TEST_F(ConcurrencyTest, Case118_BytesThatAnotherRepositoryListsStay) {
  g.Add("M1(c1 l1); a:v1=M1; b:v1=M1; +a=M1; +a~l1; +b=M1; +b~l1");
  EXPECT_THAT(Doomed(Remove({"a"})),
              UnorderedElementsAre("a:v1", "a@M1", "a~l1"));
}

TEST_F(RecordedConcurrencyTest, Case120_AClockThatStepsBackTakesNoProtection) {
  options.grace_period = absl::Hours(24);
  Open();
  const absl::Time start = clock.Now();
  ASSERT_THAT(Apply({Blob("a", 1)}), IsOk());
  clock.Jump(start - absl::Hours(1000));
  Open();
  EXPECT_TRUE(IsLive("a"));
  ASSERT_THAT(Apply({Blob("b", 1)}), IsOk());
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  const auto reader = graph->Read();
  const index::NodeId b = reader->view().FindContent(0, DigestOf("b"));
  EXPECT_GE(reader->view().fields(b).recorded, start);
}

// Stands for the collector: says that the bytes are back.
class FakeRestorer final : public index::Restorer {
 public:
  explicit FakeRestorer(index::ReferenceGraph* graph) : graph_(graph) {}
  absl::Status RestoreNodes(absl::Span<const index::NodeId> nodes,
                            absl::string_view actor) override {
    std::vector<index::StateChange> changes;
    for (const index::NodeId id : nodes) {
      changes.push_back({id, NodeState::kPresent, "r", ""});
    }
    return graph_->HoldWriteOrder()->Commit(changes, {}, {}, actor);
  }

 private:
  index::ReferenceGraph* graph_;
};

TEST_F(RecordedConcurrencyTest,
       Case121_AReferenceToQuarantinedContentRestores) {
  FakeRestorer restorer(graph.get());
  graph->SetRestorer(&restorer);
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"})}), IsOk());
  std::vector<index::StateChange> changes;
  for (const char* name : {"c", "M1"}) {
    const index::NodeId id =
        graph->Read()->view().FindContent(0, DigestOf(name));
    changes.push_back({id, NodeState::kQuarantined, "r", ""});
  }
  ASSERT_THAT(graph->HoldWriteOrder()->Commit(changes, {}, {}, "gc"), IsOk());
  EXPECT_EQ(Totals().quarantined.count, 2u);
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  ASSERT_THAT(Apply({Tag("app", "v1", "M1")}), IsOk());
  EXPECT_EQ(Totals().quarantined.count, 0u);
  EXPECT_TRUE(IsLive("c"));
}

// Our back reference is the subject of a referrer.
TEST_F(ConcurrencyTest, Case122_ABackReferenceWorksOnceItsParentExists) {
  g.Add("S1(s1)^M1; !M1");
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("S1", "s1"));
  index::ContentRow& parent = g.content("M1");
  parent.state = NodeState::kPresent;
  g.PutContent(parent);
  g.Add("app:v1=M1");
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(ConcurrencyTest, Case123_AnEndedLeaseDoesNotTakeWhatOthersReference) {
  g.Add("M1(c1); I1[M1]; app:v1=I1; lease/l=M1");
  SetExpiry("lease/l", Now() - absl::Hours(1));
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_THAT(Why("c1"), ElementsAre("app:v1", "I1", "M1", "c1"));
}

// Only leases and uploads expire: a blob is protected by time through the grace
// period alone, so an expiry on it is no root.
TEST_F(RecordedConcurrencyTest, Case124_APlainBlobHasNoExpiryOfItsOwn) {
  ASSERT_THAT(Apply({Blob("a", 1)}), IsOk());
  const auto reader = graph->Read();
  const index::NodeId id = reader->view().FindContent(0, DigestOf("a"));
  EXPECT_EQ(reader->view().fields(id).expires, absl::InfiniteFuture());
  EXPECT_FALSE(reader->IsLive(id));
}

}  // namespace
}  // namespace reclaim::tests
