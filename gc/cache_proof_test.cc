// What a registry's answers prove of its cache of descriptors before a purge;
// the collector around it is in gc/purge_proof_test.cc.

#include "gc/cache_proof.h"

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/cache_proof_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/reference_graph.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(CacheProofTest, OnlyARegistryThatMayHaveACacheRemembers) {
  EXPECT_TRUE(MayBeRemembered(record_));
  record_.writers.descriptor_cache = index::DescriptorCache::kUnknown;
  EXPECT_TRUE(MayBeRemembered(record_));
  record_.writers.descriptor_cache = index::DescriptorCache::kNone;
  EXPECT_FALSE(MayBeRemembered(record_));
  record_.kind = store::StoreKind::kImageLayout;
  EXPECT_FALSE(MayBeRemembered(record_));
  record_.writers.descriptor_cache = index::DescriptorCache::kUnknown;
  EXPECT_FALSE(MayBeRemembered(record_));
}

TEST_F(CacheProofTest, WhereNothingIsRememberedNobodyIsAsked) {
  Put({absl::InfinitePast(), {{"app", D("a")}}, clock_.Now()});
  record_.writers.descriptor_cache = index::DescriptorCache::kNone;
  EXPECT_THAT(Forgotten(), IsOkAndHolds(absl::InfiniteFuture()));
  RegistryHas({"a"});
  SweepAndRemember({Link("a")}, {});
  EXPECT_THAT(registry_.opened, IsEmpty());
  EXPECT_THAT(Canaries(), ElementsAre(Name("a"))) << "as it was";
}

TEST_F(CacheProofTest, WithoutCanariesNobodyIsAskedAndNothingIsLearnt) {
  EXPECT_THAT(Forgotten(), IsOkAndHolds(absl::InfinitePast()));
  const absl::Time proven = clock_.Now() - absl::Hours(5);
  Put({proven, {}, absl::InfinitePast()});
  EXPECT_THAT(Forgotten(), IsOkAndHolds(proven));
  EXPECT_THAT(registry_.opened, IsEmpty());
}

TEST_F(CacheProofTest, WhatIsStillRememberedMovesTheMoment) {
  const absl::Time proven = clock_.Now() - absl::Hours(5);
  Put({proven,
       {{"app", D("a")}, {"app", D("b")}},
       clock_.Now() - absl::Hours(2)});
  RegistryHas({"b"});
  EXPECT_THAT(Forgotten(), IsOkAndHolds(proven));
  EXPECT_THAT(registry_.opened, ElementsAre(kUrl));
  EXPECT_THAT(registry_.asked, ElementsAre(Name("a"), Name("b")));
  EXPECT_THAT(Canaries(), ElementsAre(Name("b")));
  EXPECT_EQ(Evidence().remembered, clock_.Now());
  EXPECT_EQ(Evidence().forgotten_until, proven);
}

TEST_F(CacheProofTest, WhatIsForgottenProvesUpToTheLastMemoryAfterAScan) {
  const absl::Time proven = clock_.Now() - absl::Hours(5);
  const absl::Time remembered = clock_.Now() - absl::Hours(2);
  Put({proven, {{"app", D("a")}}, remembered});
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Forgotten(), IsOkAndHolds(proven));
    EXPECT_EQ(lost_, remembered) << "as long as no scan has followed";
    EXPECT_THAT(Canaries(), ElementsAre(Name("a")));
  }
  ASSERT_THAT(RecordLost(&site_, record_, remembered), IsOk());
  EXPECT_THAT(Canaries(), IsEmpty());
  EXPECT_EQ(Evidence().forgotten_until, remembered) << "durably";
  EXPECT_EQ(Evidence().remembered, absl::InfinitePast());
  EXPECT_THAT(Forgotten(), IsOkAndHolds(remembered));
  EXPECT_EQ(lost_, std::nullopt);
}

TEST_F(CacheProofTest, AProofIsNeverTakenBack) {
  const absl::Time proven = clock_.Now() - absl::Hours(1);
  for (const absl::Time remembered : {proven, clock_.Now() - absl::Hours(2)}) {
    Put({proven, {{"app", D("a")}}, remembered});
    EXPECT_THAT(Forgotten(), IsOkAndHolds(proven));
    EXPECT_EQ(lost_, std::nullopt) << "nothing new";
    EXPECT_THAT(Canaries(), IsEmpty());
  }
  ASSERT_THAT(RecordLost(&site_, record_, clock_.Now() - absl::Hours(2)),
              IsOk());
  EXPECT_THAT(Forgotten(), IsOkAndHolds(proven));
}

TEST_F(CacheProofTest, WhatIsForgottenIsSoFromTheFirstMomentOn) {
  const absl::Time first = clock_.Now() - absl::Hours(5);
  const absl::Time last = clock_.Now() - absl::Hours(1);
  const absl::Duration tick = absl::Microseconds(1);
  const Forgetting forgetting{last, std::nullopt, {first}};
  EXPECT_EQ(forgetting.ForgottenAt(first - tick), first);
  EXPECT_EQ(forgetting.ForgottenAt(first), first);
  EXPECT_EQ(forgetting.ForgottenAt(first + tick), last);
  EXPECT_EQ(forgetting.ForgottenAt(last), last);
  EXPECT_EQ(forgetting.ForgottenAt(last + tick), last + tick) << "not known";
  EXPECT_EQ(Forgetting().ForgottenAt(first), first);
  EXPECT_EQ(Forgetting{absl::InfiniteFuture()}.ForgottenAt(first), first);
}

// What a scan proved after an earlier moment it has not lost, and of those that
// a scan has followed the last one says all that the others do.
TEST_F(CacheProofTest, ALossThatIsRecordedTakesNoProofBack) {
  const absl::Time proven = clock_.Now() - absl::Hours(5);
  record_.writers.write_duration_max = absl::Hours(1);
  Put({proven,
       {{"app", D("a")}},
       clock_.Now() - absl::Hours(2),
       {proven - absl::Hours(1)}});
  record_.last_scan_begin = proven + absl::Hours(1);
  ASSERT_THAT(RecordLost(&site_, record_, clock_.Now() - absl::Hours(2)),
              IsOk());
  EXPECT_THAT(Evidence().earlier, ElementsAre(proven));
  const auto forgetting = AskWhatIsForgotten(&site_, record_);
  ASSERT_THAT(forgetting, IsOk());
  EXPECT_EQ(forgetting->until, clock_.Now() - absl::Hours(2));
  EXPECT_EQ(forgetting->ForgottenAt(proven), proven);
}

// What is moved by a clock that was set back would seem older than they are.
TEST_F(CacheProofTest, WhatIsAheadOfTheClockIsDropped) {
  const absl::Time now = clock_.Now();
  const absl::Duration tick = absl::Microseconds(1);
  Put({now + absl::Hours(2), {}, absl::InfinitePast(), {now, now + tick}});
  ASSERT_THAT(DropAheadOfClock(&site_), IsOk());
  EXPECT_EQ(Evidence().forgotten_until, now);
  EXPECT_THAT(Evidence().earlier, IsEmpty());

  Put({now, {{"app", D("a")}}, now + tick});
  ASSERT_THAT(DropAheadOfClock(&site_), IsOk());
  EXPECT_EQ(Evidence().forgotten_until, now);
  EXPECT_THAT(Canaries(), IsEmpty()) << "a loss would be taken for none";
  EXPECT_EQ(Evidence().remembered, absl::InfinitePast());

  Put({now + tick, {{"app", D("a")}}, now});
  ASSERT_THAT(DropAheadOfClock(&site_), IsOk());
  EXPECT_EQ(Evidence().forgotten_until, absl::InfinitePast());
  EXPECT_THAT(Canaries(), ElementsAre(Name("a")));
}

TEST_F(CacheProofTest, ACacheThatMayForgetInPartProvesNothingByForgetting) {
  record_.writers.descriptor_cache = index::DescriptorCache::kUnknown;
  Put({absl::InfinitePast(), {{"app", D("a")}}, clock_.Now()});
  EXPECT_THAT(Forgotten(), IsOkAndHolds(absl::InfinitePast()));
  EXPECT_EQ(lost_, std::nullopt);
  EXPECT_THAT(Canaries(), IsEmpty());
  EXPECT_EQ(Evidence().remembered, absl::InfinitePast());
}

class NoAnswerTest : public CacheProofTest {
 protected:
  NoAnswerTest() {
    Put({proven_, {{"app", D("a")}, {"app", D("b")}}, remembered_});
  }
  ~NoAnswerTest() override {
    EXPECT_THAT(Forgotten(), IsOkAndHolds(proven_));
    EXPECT_THAT(Canaries(), ElementsAre(Name("a"), Name("b")));
    EXPECT_EQ(Evidence().remembered, remembered_);
  }
  const absl::Time proven_ = clock_.Now() - absl::Hours(5);
  const absl::Time remembered_ = clock_.Now() - absl::Hours(2);
};

TEST_F(NoAnswerTest, WithoutAWitnessNothingIsLearnt) {
  site_.witness = nullptr;
}

TEST_F(NoAnswerTest, WithoutAnAddressNothingIsLearnt) {
  record_.writers.registry_url = "";
  EXPECT_THAT(Forgotten(), IsOk());
  EXPECT_THAT(registry_.opened, IsEmpty());
}

TEST_F(NoAnswerTest, ARegistryThatIsDownTeachesNothing) {
  registry_.is_up = false;
}

TEST_F(NoAnswerTest, HalfAnAnswerTeachesNothing) {
  registry_.fails = {Name("b")};
}

}  // namespace
}  // namespace reclaim::gc
