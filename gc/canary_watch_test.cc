// What a sweep learns of a registry's cache of descriptors from canaries.

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/cache_proof.h"
#include "gc/cache_proof_fixture.h"
#include "gc/plan.h"
#include "gc/records.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/reference_graph.h"
#include "store/memory_content.h"
#include "store/memory_store.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using store::RemovalKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using CanaryWatchTest = CacheProofTest;

TEST_F(CanaryWatchTest, WhoForgetsWithinASweepHasNoCache) {
  Put({clock_.Now() - absl::Hours(5),
       {{"app", D("e")}},
       clock_.Now() - absl::Hours(2)});
  RegistryHas({"a", "b"});
  SweepAndRemember({Link("a"), Link("b")}, {});
  EXPECT_THAT(registry_.opened, ElementsAre(kUrl));
  EXPECT_THAT(registry_.asked,
              ElementsAre(Name("a"), Name("b"), Name("a"), Name("b")));
  EXPECT_EQ(Evidence().forgotten_until, clock_.Now());
  EXPECT_EQ(Evidence().remembered, absl::InfinitePast());
  EXPECT_THAT(Canaries(), IsEmpty()) << "there is nothing left to prove";
}

TEST_F(CanaryWatchTest, WhatIsRememberedAfterTheSweepBecomesACanary) {
  const absl::Time proven = clock_.Now() - absl::Hours(5);
  Put({proven, {{"app", D("e")}}, clock_.Now() - absl::Hours(2)});
  RegistryHas({"a", "b"});
  SweepAndRemember({Link("a"), Link("b")}, {"b"});
  EXPECT_EQ(Evidence().forgotten_until, proven);
  EXPECT_EQ(Evidence().remembered, clock_.Now());
  EXPECT_THAT(Canaries(), ElementsAre(Name("b")));
}

TEST_F(CanaryWatchTest, OfACacheThatForgetsInPartTheLatestAreTheCanaries) {
  record_.writers.descriptor_cache = index::DescriptorCache::kUnknown;
  Put({absl::InfinitePast(), {{"app", D("e")}}, clock_.Now()});
  RegistryHas({"a"});
  SweepAndRemember({Link("a")}, {"a"});
  EXPECT_THAT(Canaries(), ElementsAre(Name("a")));
}

TEST_F(CanaryWatchTest, ASweepTakesNoProofBack) {
  const absl::Time later = clock_.Now() + absl::Hours(1);
  Put({later, {}, absl::InfinitePast()});
  RegistryHas({"a"});
  SweepAndRemember({Link("a")}, {});
  EXPECT_EQ(Evidence().forgotten_until, later);
}

// Sweeps an hour apart, each right after a scan, where writers take an hour:
// the moment of one is followed by the scan after the next.
TEST_F(CanaryWatchTest, TheMomentThatNoScanHasFollowedIsKeptUntilOneHas) {
  record_.writers.write_duration_max = absl::Hours(1);
  std::vector<absl::Time> moments;
  std::vector<std::vector<absl::Time>> earlier;
  for (int sweep = 0; sweep < 5; ++sweep) {
    record_.last_scan_begin = clock_.Now();
    clock_.Advance(absl::Seconds(1));
    moments.push_back(clock_.Now());
    RegistryHas({"a"});
    SweepAndRemember({Link("a")}, {});
    EXPECT_EQ(Evidence().forgotten_until, moments.back());
    earlier.push_back(Evidence().earlier);
    clock_.Advance(absl::Hours(1) - absl::Seconds(1));
  }
  EXPECT_THAT(earlier[0], IsEmpty());
  EXPECT_THAT(earlier[1], ElementsAre(moments[0]));
  EXPECT_THAT(earlier[2], ElementsAre(moments[0], moments[1]));
  EXPECT_THAT(earlier[3], ElementsAre(moments[1], moments[2]));
  EXPECT_THAT(earlier[4], ElementsAre(moments[2], moments[3]));
}

// Those between are not needed: what waits for one waits for the next instead.
TEST_F(CanaryWatchTest, WithoutAnyScanTheFirstMomentIsKept) {
  std::vector<absl::Time> moments;
  for (int sweep = 0; sweep < 4; ++sweep) {
    moments.push_back(clock_.Now());
    RegistryHas({"a"});
    SweepAndRemember({Link("a")}, {});
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_THAT(Evidence().earlier, ElementsAre(moments[0]));
  record_.last_scan_begin = clock_.Now();
  RegistryHas({"a"});
  SweepAndRemember({Link("a")}, {});
  EXPECT_THAT(Evidence().earlier, ElementsAre(moments[3]));
}

TEST_F(CanaryWatchTest, WithoutACanaryASweepProvesNothing) {
  SweepAndRemember({}, {});
  EXPECT_THAT(registry_.asked, IsEmpty());
  EXPECT_EQ(Evidence().forgotten_until, absl::InfinitePast());
}

TEST_F(CanaryWatchTest, WhatItDoesNotHaveSaysNothing) {
  RegistryHas({"b"});
  SweepAndRemember({Link("a")}, {});
  EXPECT_THAT(registry_.asked, ElementsAre(Name("a"))) << "once";
  EXPECT_EQ(Evidence().forgotten_until, absl::InfinitePast());
}

TEST_F(CanaryWatchTest, OnlyLayerLinksAreCanaries) {
  RegistryHas({"a", "b", "c"});
  PlanItem record;
  record.name = "a container of nobody";
  SweepAndRemember({record, Item(RemovalKind::kBlob, "a"),
                    Item(RemovalKind::kRevisionLink, "b"), Link("c")},
                   {});
  EXPECT_THAT(registry_.asked, ElementsAre(Name("c"), Name("c")));
}

// An empty link is one that was never written; of a name that can't be one
// there is none.
TEST_F(CanaryWatchTest, ALinkThatLeadsNowhereIsNotAskedFor) {
  RegistryHas({"a", "b"});
  registry_.has.insert(NameOf("No Name", D("a")));
  folder_.Write(absl::StrCat("docker/registry/v2/repositories/app/_layers/",
                             "sha256/", D("a").hex(), "/link"),
                "");
  SweepAndRemember(
      {Link("a"), Item(RemovalKind::kLayerLink, "a", "No Name"), Link("b")},
      {});
  EXPECT_THAT(registry_.asked, ElementsAre(Name("b"), Name("b")));
}

TEST_F(CanaryWatchTest, WhereNoLinkCanBeLookedUpTheRegistryIsAsked) {
  const auto memory =
      store::OpenMemoryStore(std::make_shared<store::MemoryContent>(), false);
  ASSERT_EQ(memory->names(), nullptr);
  site_.store = memory.get();
  RegistryHas({"a"});
  SweepAndRemember({Link("a")}, {});
  EXPECT_THAT(registry_.asked, ElementsAre(Name("a"), Name("a")));
}

TEST_F(CanaryWatchTest, ThreeCanariesAreEnoughForAllBatches) {
  RegistryHas({"a", "b", "c", "d", "e"});
  CanaryWatch watch(&site_, record_);
  watch.Prime({Link("a"), Link("b")});
  watch.Moved({Record(Link("a")), Record(Link("b"))});
  watch.Prime({Link("c"), Link("d"), Link("e")});
  EXPECT_THAT(registry_.asked, ElementsAre(Name("a"), Name("b"), Name("c")));
  watch.Moved({Record(Link("c"))});
  watch.Prime({Link("d")});
  EXPECT_EQ(registry_.asked.size(), 3u);
  registry_.asked.clear();
  ASSERT_THAT(watch.Conclude(), IsOk());
  EXPECT_THAT(registry_.asked, ElementsAre(Name("a"), Name("b"), Name("c")));
}

TEST_F(CanaryWatchTest, ThreeOfOneBatchAreEnough) {
  RegistryHas({"a", "b", "c", "d"});
  CanaryWatch watch(&site_, record_);
  watch.Prime({Link("a"), Link("b"), Link("c"), Link("d")});
  EXPECT_THAT(registry_.asked, ElementsAre(Name("a"), Name("b"), Name("c")));
}

TEST_F(CanaryWatchTest, ARegistryThatFailsOnceIsNotAskedAgain) {
  RegistryHas({"a", "b", "c"});
  registry_.fails = {Name("b")};
  SweepAndRemember({Link("a"), Link("b"), Link("c")}, {});
  EXPECT_THAT(registry_.asked, ElementsAre(Name("a"), Name("b")));
  EXPECT_EQ(Evidence().forgotten_until, absl::InfinitePast());
}

TEST_F(CanaryWatchTest, ARegistryThatFailsAtTheEndProvesNothing) {
  RegistryHas({"a", "b"});
  CanaryWatch watch(&site_, record_);
  watch.Prime({Link("a"), Link("b")});
  watch.Moved({Record(Link("a")), Record(Link("b"))});
  RegistryHas({});
  registry_.fails = {Name("b")};
  ASSERT_THAT(watch.Conclude(), IsOk());
  EXPECT_EQ(registry_.asked.size(), 4u);
  EXPECT_EQ(Evidence().forgotten_until, absl::InfinitePast());
  EXPECT_THAT(Canaries(), IsEmpty());
}

TEST_F(CanaryWatchTest, ARegistryThatIsDownMakesNoCanary) {
  registry_.is_up = false;
  RegistryHas({"a"});
  SweepAndRemember({Link("a")}, {});
  EXPECT_THAT(registry_.asked, IsEmpty());
  EXPECT_EQ(Evidence().forgotten_until, absl::InfinitePast());
}

// A link that stayed where it was (a writer wrote it anew) is there by right:
// that the registry says so proves nothing, and neither does what else moved.
TEST_F(CanaryWatchTest, OnlyWhatHasMovedIsACanary) {
  const std::vector<QuarantineRecord> others = {
      Record(Link("a"), QuarantineState::kIntended),
      Record(Link("a"), QuarantineState::kSuperseded),
      Record(PlanItem()),
      Record(Item(RemovalKind::kBlob, "a")),
      Record(Item(RemovalKind::kRevisionLink, "a")),
      Record(Item(RemovalKind::kLayerLink, "a", "web")),
      Record(Link("b")),
  };
  RegistryHas({"a"});
  for (const QuarantineRecord& other : others) {
    registry_.asked.clear();
    CanaryWatch watch(&site_, record_);
    watch.Prime({Link("a")});
    watch.Moved({other});
    ASSERT_THAT(watch.Conclude(), IsOk());
    EXPECT_THAT(registry_.asked, ElementsAre(Name("a"))) << "before it moves";
    EXPECT_THAT(Canaries(), IsEmpty());
  }
}

TEST_F(CanaryWatchTest, OfSeveralThatMovedEachIsFound) {
  RegistryHas({"a", "b"});
  CanaryWatch watch(&site_, record_);
  watch.Prime({Link("a"), Link("b")});
  watch.Moved({Record(PlanItem()), Record(Link("c")), Record(Link("b"))});
  ASSERT_THAT(watch.Conclude(), IsOk());
  EXPECT_THAT(Canaries(), ElementsAre(Name("b")));
}

TEST_F(CanaryWatchTest, AMoveIsCountedOnce) {
  RegistryHas({"a"});
  CanaryWatch watch(&site_, record_);
  watch.Prime({Link("a")});
  watch.Moved({Record(Link("a"))});
  watch.Moved({Record(Link("a"))});
  ASSERT_THAT(watch.Conclude(), IsOk());
  EXPECT_THAT(Canaries(), ElementsAre(Name("a")));
}

TEST_F(CanaryWatchTest, ABatchThatNeverMovedLeavesNothingForTheNext) {
  RegistryHas({"a", "b"});
  CanaryWatch watch(&site_, record_);
  watch.Prime({Link("a")});
  watch.Prime({Link("b")});
  watch.Moved({Record(Link("a")), Record(Link("b"))});
  ASSERT_THAT(watch.Conclude(), IsOk());
  EXPECT_THAT(Canaries(), ElementsAre(Name("b")));
}

}  // namespace
}  // namespace reclaim::gc
