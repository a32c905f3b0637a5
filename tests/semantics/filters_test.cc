// SEMANTICS.md 2.2: filters and times (cases 25 to 50).

#include "gc/filter.h"
#include "gc/time_value.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using base::IsOkAndHolds;
using base::StatusIs;
using gc::FilterTarget;
using gc::PruneVerb;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<gc::Filter> Parse(const std::vector<std::string>& terms,
                                 FilterTarget target = FilterTarget::kImages) {
  return gc::ParseFilter(terms, {}, target, TextGraph::Now(),
                         absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> Time(absl::string_view text) {
  return gc::ParseTimeValue(text, TextGraph::Now(), absl::UTCTimeZone());
}

class FiltersTest : public PlanCase {
 protected:
  std::vector<std::string> Pruned(const std::vector<std::string>& terms) {
    return Doomed(WithFilter(Images(), terms, FilterTarget::kImages));
  }
};

TEST_F(FiltersTest, Case025_AnUnknownKeyIsAnError) {
  EXPECT_THAT(Parse({"colour=red"}), StatusIs(kInvalid));
  EXPECT_THAT(Parse({"Until=1h"}), StatusIs(kInvalid));
}

TEST_F(FiltersTest, Case026_DanglingTrueAndFalseIsAnError) {
  EXPECT_THAT(Parse({"dangling=true", "dangling=false"}), StatusIs(kInvalid));
  gc::PruneRequest request = AllImages();
  request.filter.dangling = true;
  EXPECT_THAT(Make(request), StatusIs(kInvalid));
}

TEST_F(FiltersTest, Case027_PositiveLabelsAnd) {
  g.Add("M1(c1); M2(c2)");
  details.labels["c1"] = {{"a", "1"}, {"b", "1"}};
  details.labels["c2"] = {{"a", "1"}};
  EXPECT_THAT(Pruned({"label=a", "label=b"}), UnorderedElementsAre("M1", "c1"));
}

TEST_F(FiltersTest, Case028_EachNegatedLabelExcludes) {
  g.Add("M1(c1)");
  details.labels["c1"] = {{"a", "1"}};
  EXPECT_THAT(Pruned({"label!=a", "label!=b"}), IsEmpty());
}

TEST_F(FiltersTest, Case029_ANegatedLabelMatchesAnImageWithoutLabels) {
  g.Add("M1(c1)");
  EXPECT_THAT(Pruned({"label!=x"}), UnorderedElementsAre("M1", "c1"));
}

TEST_F(FiltersTest, Case030_APositiveLabelNeedsAConfig) {
  g.Add("M1(c1); M2()");
  details.without_config = {"c1"};
  EXPECT_THAT(Pruned({"label=x"}), IsEmpty());
}

TEST_F(FiltersTest, Case031_ALabelValueMayHoldEqualSigns) {
  g.Add("M1(c1); M2(c2)");
  details.labels["c1"] = {{"k", "v=w"}};
  details.labels["c2"] = {{"k", "v"}};
  EXPECT_THAT(Pruned({"label=k=v=w"}), UnorderedElementsAre("M1", "c1"));
}

TEST_F(FiltersTest, Case032_AKeyWithAnEmptyValueExists) {
  g.Add("M1(c1); M2(c2)");
  details.labels["c1"] = {{"k", ""}};
  EXPECT_THAT(Pruned({"label=k"}), UnorderedElementsAre("M1", "c1"));
}

TEST_F(FiltersTest, Case033_ANegationInTheValueNegatesTheLabel) {
  const auto in_value = Parse({"label=k!=v"});
  const auto in_key = Parse({"label!=k=v"});
  ASSERT_THAT(in_value, IsOk());
  ASSERT_THAT(in_key, IsOk());
  ASSERT_EQ(in_value->labels.size(), 1u);
  EXPECT_TRUE(in_value->labels[0].is_negative);
  EXPECT_EQ(in_value->labels[0].key, in_key->labels[0].key);
  EXPECT_EQ(in_value->labels[0].value, in_key->labels[0].value);
}

TEST_F(FiltersTest, Case034_AnyPlatformWithTheLabelSparesAnIndex) {
  g.Add("M1(c1); M2(c2); M3(c3); I1[M1 M2 M3]");
  details.attestations = {"c3"};
  details.labels["c2"] = {{"keep", "1"}};
  EXPECT_THAT(Pruned({"label!=keep"}), IsEmpty());
  // The attestation takes no part.
  details.labels = {{"c3", {{"keep", "1"}}}};
  EXPECT_EQ(Pruned({"label!=keep"}).size(), 7u);
}

TEST_F(FiltersTest, Case034_SoDoesAPlatformOfANestedIndex) {
  g.Add("M1(c1); M2(c2); I1[M1]; I2[I1 M2]");
  details.labels["c1"] = {{"keep", "1"}};
  EXPECT_THAT(Pruned({"label!=keep"}), IsEmpty());
  details.labels.clear();
  EXPECT_EQ(Pruned({"label!=keep"}).size(), 6u);
}

TEST_F(FiltersTest, Case035_ATypedLabelWinsOverAConfiguredOne) {
  const auto filter =
      gc::ParseFilter({"label=x"}, {"label!=x"}, FilterTarget::kImages, Now(),
                      absl::UTCTimeZone());
  ASSERT_THAT(filter, IsOk());
  ASSERT_EQ(filter->labels.size(), 1u);
  EXPECT_FALSE(filter->labels[0].is_negative);
}

TEST_F(FiltersTest, Case036_ALabelNeverEmptiesAKindWithoutLabels) {
  g.Add("cache/a:10");
  EXPECT_THAT(Parse({"label=x"}, FilterTarget::kBuildCache),
              StatusIs(kInvalid));
  gc::PruneRequest request = Verb(PruneVerb::kBuildCache);
  request.filter.labels.push_back({"x", std::nullopt, true});
  EXPECT_THAT(Make(request), StatusIs(kInvalid));
  request.verb = PruneVerb::kSystem;
  EXPECT_THAT(Doomed(request), IsEmpty());
}

TEST_F(FiltersTest, Case037_UntilZeroIsTheEpochAndNothingIsOlder) {
  EXPECT_THAT(Time("0"), IsOkAndHolds(absl::UnixEpoch()));
  g.Add("M1(c1)");
  EXPECT_THAT(Pruned({"until=0"}), IsEmpty());
}

TEST_F(FiltersTest, Case038_UntilZeroMinutesIsNow) {
  EXPECT_THAT(Time("0m"), IsOkAndHolds(Now()));
  g.Add("M1(c1)");
  EXPECT_THAT(Pruned({"until=0m"}), UnorderedElementsAre("M1", "c1"));
}

TEST_F(FiltersTest, Case039_ANegativeDurationIsRefused) {
  EXPECT_THAT(Time("-1h"), StatusIs(kInvalid));
  EXPECT_THAT(Parse({"until=-1h"}), StatusIs(kInvalid));
}

TEST_F(FiltersTest, Case040_ABareDateIsInTheZoneAndTheInstantIsEchoed) {
  const absl::TimeZone zone = absl::FixedTimeZone(3600);
  const auto filter = gc::ParseFilter({"until=2024-01-01"}, {},
                                      FilterTarget::kImages, Now(), zone);
  ASSERT_THAT(filter, IsOk());
  EXPECT_EQ(filter->times[0].before,
            *gc::ParseTimeValue("2023-12-31T23:00:00Z", Now(), zone));
  gc::PruneRequest request = Images();
  request.filter = *filter;
  EXPECT_EQ(Make(request)->request.filter.times[0].before,
            filter->times[0].before);
}

TEST_F(FiltersTest, Case041_FractionsArePaddedAndCutToNineDigits) {
  const absl::Time second = absl::FromUnixSeconds(1700000000);
  EXPECT_THAT(Time("1700000000.5"),
              IsOkAndHolds(second + absl::Milliseconds(500)));
  EXPECT_THAT(Time("1700000000.123456789999"),
              IsOkAndHolds(second + absl::Nanoseconds(123456789)));
  EXPECT_THAT(Time("1700000000.123456789012345678901"), StatusIs(kInvalid));
  EXPECT_THAT(Time("170000000000000000000"), StatusIs(kInvalid));
}

TEST_F(FiltersTest, Case042_WhatIsNoTimeIsAnError) {
  for (const char* text : {"", "   ", "2024-13-01", "2024-01-01x", "12-"}) {
    EXPECT_THAT(Time(text), StatusIs(kInvalid)) << text;
  }
  EXPECT_THAT(Parse({"until="}), StatusIs(kInvalid));
}

TEST_F(FiltersTest, Case043_BeforeIsStrict) {
  g.Add("M1(c1)");
  EXPECT_THAT(Pruned({"until=1000h"}), IsEmpty());
  EXPECT_THAT(Pruned({"until=999h"}), UnorderedElementsAre("M1", "c1"));
}

TEST_F(FiltersTest, Case044_AMissingTimeKeeps) {
  g.Add("M1(c1); M2(c2); I1[M2]; M3(c3)");
  details.created["c3"] = Now() - absl::Hours(3000);
  EXPECT_THAT(Pruned({"until.created=1h"}), UnorderedElementsAre("M3", "c3"));
}

TEST_F(FiltersTest, Case045_TheFilterNamesItsClockAndTheRecordIsTheDefault) {
  g.Add("M1(c1)");
  details.created["c1"] = absl::UnixEpoch();
  SetRecorded("M1", Now() - absl::Minutes(1));
  SetRecorded("c1", Now() - absl::Minutes(1));
  EXPECT_THAT(Pruned({"until=24h"}), IsEmpty());
  EXPECT_THAT(Pruned({"created-before=24h"}), UnorderedElementsAre("M1", "c1"));
  EXPECT_THAT(Pruned({"until.pulled=24h"}), IsEmpty());
}

TEST_F(FiltersTest, Case046_ATimeInTheFutureIsNeverOlder) {
  g.Add("M1(c1)");
  details.created["c1"] = Now() + absl::Hours(1);
  EXPECT_THAT(Pruned({"until.created=0m"}), IsEmpty());
  SetRecorded("M1", Now() + absl::Hours(1));
  EXPECT_THAT(Pruned({"until=0m"}), IsEmpty());
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

TEST_F(FiltersTest, Case047_TwoUntilsAreAnError) {
  EXPECT_THAT(Parse({"until=1h", "until=2h"}), StatusIs(kInvalid));
  EXPECT_THAT(Parse({"until=1h", "until.created=2h"}), IsOk());
}

TEST_F(FiltersTest, Case048_UntilOnVolumesIsAnError) {
  EXPECT_THAT(Parse({"until=1h"}, FilterTarget::kVolumes), StatusIs(kInvalid));
  gc::PruneRequest request =
      WithFilter(System(false), {"until=1h"}, FilterTarget::kSystem);
  EXPECT_THAT(Make(request), IsOk());
  request.with_volumes = true;
  EXPECT_THAT(Make(request), StatusIs(kInvalid));
}

TEST_F(FiltersTest, Case049_UntilOnContainersIsTheirCreation) {
  g.Add("container/old; container/young");
  details.created["container/old"] = Now() - absl::Hours(48);
  details.exited["container/old"] = Now() - absl::Minutes(5);
  details.created["container/young"] = Now() - absl::Minutes(9);
  details.exited["container/young"] = Now() - absl::Minutes(5);
  const auto pruned = [&](const std::string& term) {
    return Doomed(WithFilter(Verb(PruneVerb::kContainers), {term},
                             FilterTarget::kContainers));
  };
  EXPECT_THAT(pruned("until=24h"), ElementsAre("container/old"));
  EXPECT_THAT(pruned("until.exited=24h"), IsEmpty());
}

// Rule 2: it would select nothing, in silence.
TEST_F(FiltersTest, AClockThatTheKindDoesNotHaveIsAnError) {
  const auto refused = [&](PruneVerb verb, gc::TimeClock clock) {
    gc::PruneRequest request = Verb(verb);
    request.filter.times.push_back({clock, Now()});
    return Make(request).status().code() == kInvalid;
  };
  EXPECT_TRUE(refused(PruneVerb::kImages, gc::TimeClock::kExited));
  EXPECT_TRUE(refused(PruneVerb::kNetworks, gc::TimeClock::kPulled));
  EXPECT_TRUE(refused(PruneVerb::kContainers, gc::TimeClock::kPushed));
  EXPECT_TRUE(refused(PruneVerb::kBuildCache, gc::TimeClock::kCreated));
  EXPECT_FALSE(refused(PruneVerb::kContainers, gc::TimeClock::kExited));
  EXPECT_FALSE(refused(PruneVerb::kBuildCache, gc::TimeClock::kUsed));
}

// Each kind of a system prune is asked; one without the clock keeps what it
// has.
TEST_F(FiltersTest, InASystemPruneAKindWithoutTheClockKeeps) {
  g.Add("M1(c1); container/old; network/n; cache/a:10");
  details.exited["container/old"] = Now() - absl::Hours(48);
  EXPECT_THAT(Doomed(WithFilter(System(false), {"until.exited=24h"},
                                FilterTarget::kSystem)),
              ElementsAre("container/old"));
}

TEST_F(FiltersTest, Case050_TheBaseOfAnImageThatStaysIsNotFreed) {
  g.Add("M1:5(c1:1 base:100); M2:5(c2:1 base:100 top:10)");
  details.labels["c1"] = {{"keep", "1"}};
  EXPECT_THAT(Pruned({"label!=keep"}), UnorderedElementsAre("M2", "c2", "top"));
  EXPECT_EQ(
      FreedBytes(WithFilter(Images(), {"label!=keep"}, FilterTarget::kImages)),
      16u);
}

}  // namespace
}  // namespace reclaim::tests
