// Which links of a repository go with a plan (gc/plan_links.cc).

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gc/plan.h"
#include "gc/plan_fixture.h"
#include "gc/prune_request.h"
#include "gc/space_target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/resident_graph.h"
#include "store/types.h"
#include "tests/support/graph_text.h"

namespace reclaim::gc {
namespace {

using store::MembershipKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using tests::TextGraph;

class PlanLinksTest : public PlanFixture {
 protected:
  // As if it had been pushed just now.
  void LinkNow(const std::string& repository, const std::string& letter) {
    index::MembershipRow row;
    row.repository = g.Id("repository/" + repository);
    row.content = g.Id(letter);
    row.kind = MembershipKind::kRevision;
    row.linked = TextGraph::Now();
    g.graph().PutMembership(row);
  }
};

// What keeps a link.

TEST_F(PlanLinksTest, WhatIsKeptWhateverTheRepositoryKeepsItsLinks) {
  g.Add("M1(c1 l1); pin/p=M1; +b~l1; M2(c2); +b=M2");
  EXPECT_THAT(Doomed(Images()), ElementsAre("b@M2", "M2", "c2"));
}

TEST_F(PlanLinksTest, EveryYoungLinkKeepsWhatItReaches) {
  g.Add("M1(c1 l1); M2(c2 l2); M3(c3 l3); a:v1=M1; a:v2=M2; a:v3=M3");
  g.Add("+a=M1; +a=M2; +a=M3; +b=M1; +b=M2; +b=M3; +b~l1; +b~l2; +b~l3");
  grace = absl::Hours(1);
  LinkNow("b", "M1");
  LinkNow("b", "M3");
  EXPECT_THAT(Doomed(Images()), ElementsAre("b@M2", "b@l2"));
}

TEST_F(PlanLinksTest, ACycleEnds) {
  g.Add("M1(c1); I1[M1]^M1; a:v1=M1; +a=M1; +a=I1; +b=I1");
  EXPECT_THAT(Doomed(Images()), ElementsAre("b@I1"));
}

// The index lies in a, and what it lists is served by b alone.
TEST_F(PlanLinksTest, TheOnlyLinkToWhatIsKeptStays) {
  g.Add("M1(c1); I1[M1]; a:v1=I1; +a=I1; +b=M1; +b~c1; M2(c2); +b=M2");
  EXPECT_THAT(Doomed(Images()), ElementsAre("b@M2", "M2", "c2"));
}

TEST_F(PlanLinksTest, AnUnreadableRepositoryKeepsTheLinksOfItsNeighbours) {
  g.Add("M1(c1); a:v1=M1; +a=M1; +b=M1; +c~c1");
  inputs.unreadable_scopes = {{"c", "permission denied"}};
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  inputs.unreadable_scopes.clear();
  EXPECT_THAT(Doomed(Images()), ElementsAre("b@M1", "c@c1"));
}

// Where doubt is of repositories: those that hold it keep their links.
class DoubtedLinksTest : public PlanLinksTest {
 protected:
  DoubtedLinksTest() { g.DoubtByRepository(); }
};

TEST_F(DoubtedLinksTest, OnlyTheDoubtedRepositoryKeepsItsLinks) {
  g.Add("M1(c1); M2(c2); a:v1=M1; a:v2=M2; +a=M1; +a=M2; +b=M1; +d=M2");
  g.Add("M9; +d=M9; ?M9");
  EXPECT_THAT(Doomed(Images()), ElementsAre("b@M1"));
}

// What a filter, a target or names select are images: the links beside them
// stay, and those to what goes go with it.

TEST_F(PlanLinksTest, AFilterLeavesTheLinksToWhatStays) {
  g.Add("M1(c1 l1); a:v1=M1; +a=M1; +b=M1; +b~l1; M2(c2); +b=M2; +b~c2");
  PruneRequest request = Images();
  request.filter.labels.push_back({"keep", std::nullopt, true});
  EXPECT_THAT(Doomed(request), ElementsAre("b@M2", "b@c2", "M2", "c2"));
}

TEST_F(PlanLinksTest, ThatTheyDangleIsNoFilterForLinks) {
  g.Add("M1(c1 l1); a:v1=M1; +a=M1; +b=M1; +b~l1");
  PruneRequest request = Images();
  request.filter.dangling = true;
  EXPECT_THAT(Doomed(request), ElementsAre("b@M1", "b@l1"));
}

TEST_F(PlanLinksTest, ATargetLeavesTheLinksToWhatStays) {
  g.Add("M1(c1 l1); a:v1=M1; +a=M1; +b=M1; +b~l1; M2(c2); +b=M2");
  inputs.space.stored_bytes = 1'000'000;
  PruneRequest request = Images();
  request.target.kind = TargetKind::kFree;
  request.target.bytes = 8000;  // two files
  EXPECT_THAT(Doomed(request), UnorderedElementsAre("b@M2", "M2", "c2"));
}

// Explicit removal.

TEST_F(PlanLinksTest, AnotherNameGoesWithoutTheLinksBeside) {
  g.Add("M1(c1 l1); a:v1=M1; +a=M1; +b=M1; +b~l1; M2(c2); x:v1=M2; +x=M2");
  EXPECT_THAT(Doomed(Remove("x:v1")), ElementsAre("x:v1", "x@M2", "M2", "c2"));
}

TEST_F(PlanLinksTest, ANameThatGoesIsNoneForItsLinks) {
  g.Add("M1(c1); a:v1=M1; +a=M1; b:v1=M1; +b=M1; +b~c1; +b~l9; x:v1=l9");
  EXPECT_THAT(Doomed(Remove("b:v1")), ElementsAre("b:v1", "b@M1", "b@c1"));
}

// Although no other repository serves it: the caller has asked for it.
TEST_F(PlanLinksTest, TheOnlyLinkGoesWhereItIsAskedFor) {
  g.Add("M1(c1); I1[M1]; a:v1=I1; +a=I1; +b=M1; +b~c1; +c~c1");
  EXPECT_THAT(Doomed(Remove(absl::StrCat("b@", DigestText("M1")))),
              ElementsAre("b@M1", "b@c1"));
}

TEST_F(PlanLinksTest, TheOnlyLinkStaysWhereSomethingElseIsAskedFor) {
  g.Add("M1(c1); I1[M1]; a:v1=I1; +a=I1; I2[M1]; +b=I2; +b=M1");
  EXPECT_THAT(Doomed(Remove(absl::StrCat("b@", DigestText("I2")))),
              ElementsAre("b@I2", "I2"));
}

TEST_F(PlanLinksTest, AWholeRepositoryGoesWithItsLinks) {
  g.Add("M1(c1); a:v1=M1; +a=M1; +a~c1; b:v1=M1; +b=M1; +b~c1; +c~c1");
  EXPECT_THAT(Doomed(Remove("b")), ElementsAre("b:v1", "b@M1", "b@c1"));
}

// Stores where a name that goes leaves an entry without one.

class LeftEntriesTest : public PlanLinksTest {
 protected:
  LeftEntriesTest() { inputs.tags_leave_entries = true; }
};

TEST_F(LeftEntriesTest, TheEntryGoesWithTheContent) {
  g.Add("M1(c1); app:v1=M1; app:v2=M1");
  EXPECT_THAT(Doomed(AllImages()),
              UnorderedElementsAre("app:v1", "app:v2", "app@M1", "M1", "c1"));
  inputs.tags_leave_entries = false;
  EXPECT_THAT(Doomed(AllImages()),
              UnorderedElementsAre("app:v1", "app:v2", "M1", "c1"));
}

TEST_F(LeftEntriesTest, TheEntryStaysWithTheContent) {
  g.Add("M1(c1); app:v1=M1; container/w=M1");
  PruneRequest request = Remove("app:v1");
  request.force = true;
  EXPECT_THAT(Doomed(request), ElementsAre("app:v1"));
}

TEST_F(LeftEntriesTest, AnEntryThatWasThereGoesOnce) {
  g.Add("M1(c1); app:v1=M1; +app=M1");
  EXPECT_THAT(Doomed(AllImages()), ElementsAre("app:v1", "app@M1", "M1", "c1"));
}

TEST_F(LeftEntriesTest, WithoutARepositoryThereIsNoEntry) {
  g.Add("M1(c1); app:v1=M1");
  g.graph().RemoveNamed(g.Id("repository/app"));
  EXPECT_THAT(Doomed(AllImages()), ElementsAre("app:v1", "M1", "c1"));
}

}  // namespace
}  // namespace reclaim::gc
