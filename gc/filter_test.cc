// SEMANTICS.md, rules 2 and 4 and section 2.2.

#include "gc/filter.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1767323045);

absl::StatusOr<Filter> Parse(std::vector<std::string> terms,
                             FilterTarget target = FilterTarget::kImages,
                             std::vector<std::string> configured = {}) {
  return ParseFilter(terms, configured, target, kNow, absl::UTCTimeZone());
}

bool LabelsMatch(const std::vector<std::string>& terms, index::Labels labels) {
  FilterSubject subject;
  subject.labels.push_back(&labels);
  return Matches(*Parse(terms), subject);
}

TEST(FilterTest, Case025_AnUnknownKeyIsAnError) {
  EXPECT_THAT(Parse({"colour=red"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("these can: dangling, label")));
}

TEST(FilterTest, Case026_DanglingTrueAndFalseIsAnError) {
  EXPECT_THAT(Parse({"dangling=true", "dangling=false"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Parse({"dangling=true", "dangling=1"}), IsOk());
}

TEST(FilterTest, Case027_TwoLabelsMustBothBeThere) {
  EXPECT_TRUE(LabelsMatch({"label=a", "label=b"}, {{"a", ""}, {"b", "1"}}));
  EXPECT_FALSE(LabelsMatch({"label=a", "label=b"}, {{"a", ""}}));
}

TEST(FilterTest, Case028_EachNegatedLabelExcludes) {
  EXPECT_FALSE(LabelsMatch({"label!=a", "label!=b"}, {{"a", ""}}));
}

TEST(FilterTest, Case029_ANegatedLabelMatchesNoLabels) {
  EXPECT_TRUE(LabelsMatch({"label!=x"}, {}));
}

TEST(FilterTest, Case030_APositiveLabelNeedsAConfig) {
  EXPECT_FALSE(Matches(*Parse({"label=x"}), FilterSubject()));
}

TEST(FilterTest, Case031_AValueMayContainEqualSigns) {
  EXPECT_TRUE(LabelsMatch({"label=k=v=w"}, {{"k", "v=w"}}));
  EXPECT_FALSE(LabelsMatch({"label=k=v=w"}, {{"k", "v"}}));
}

TEST(FilterTest, Case032_AKeyWithAnEmptyValueExists) {
  EXPECT_TRUE(LabelsMatch({"label=k"}, {{"k", ""}}));
}

TEST(FilterTest, Case033_ANegationInTheValueNegatesTheLabel) {
  EXPECT_FALSE(LabelsMatch({"label=k!=v"}, {{"k", "v"}}));
  EXPECT_TRUE(LabelsMatch({"label=k!=v"}, {{"k", "w"}}));
}

TEST(FilterTest, Case034_OnePlatformWithTheLabelDecidesForAnIndex) {
  const index::Labels with = {{"keep", "1"}};
  const index::Labels without;
  FilterSubject subject;
  subject.labels = {&without, &with};
  EXPECT_TRUE(Matches(*Parse({"label=keep"}), subject));
  EXPECT_FALSE(Matches(*Parse({"label!=keep"}), subject));
}

TEST(FilterTest, Case035_ATypedTermWinsOverAConfiguredOne) {
  const auto filter =
      Parse({"label=keep"}, FilterTarget::kImages, {"label!=keep", "until=1h"});
  ASSERT_THAT(filter, IsOk());
  ASSERT_EQ(filter->labels.size(), 1u);
  EXPECT_FALSE(filter->labels[0].is_negative);
  EXPECT_EQ(filter->times.size(), 1u);
  // However its clock is spelt.
  const auto used = Parse({"until.used=2h"}, FilterTarget::kImages,
                          {"used-before=1h", "until=1h"});
  ASSERT_THAT(used, IsOk());
  ASSERT_EQ(used->times.size(), 2u);
  EXPECT_EQ(used->times[1].before, kNow - absl::Hours(2));
}

TEST(FilterTest, BeforeIsStrictAndAMissingTimeKeeps) {
  const Filter filter = *Parse({"until=1h", "used-before=2h"});
  FilterSubject subject;
  subject.times[TimeClock::kRecorded] = kNow - absl::Hours(2);
  EXPECT_FALSE(Matches(filter, subject));
  subject.times[TimeClock::kUsed] = kNow - absl::Hours(2);
  EXPECT_FALSE(Matches(filter, subject));
  subject.times[TimeClock::kUsed] = kNow - absl::Hours(3);
  EXPECT_TRUE(Matches(filter, subject));
}

TEST(FilterTest, TwoUntilsOrAnEmptyValueAreErrors) {
  EXPECT_FALSE(Parse({"until=1h", "until=2h"}).ok());
  EXPECT_FALSE(Parse({"until="}).ok());
  EXPECT_FALSE(Parse({"until"}).ok());
  EXPECT_FALSE(Parse({"=x"}).ok());
}

TEST(FilterTest, AKindThatCannotCarryAKeyRefusesIt) {
  EXPECT_FALSE(Parse({"until=1h"}, FilterTarget::kVolumes).ok());
  EXPECT_FALSE(Parse({"dangling=true"}, FilterTarget::kContainers).ok());
  EXPECT_TRUE(Parse({"all=true"}, FilterTarget::kVolumes).ok());
}

TEST(FilterTest, ReferencesAreAlternativesAndStarsStopAtSlashes) {
  const Filter filter = *Parse({"reference=team/*", "reference=app:v1*"});
  FilterSubject subject;
  subject.references = {"team/web:latest"};
  EXPECT_TRUE(Matches(filter, subject));
  subject.references = {"team/a/b:latest"};
  EXPECT_FALSE(Matches(filter, subject));
  subject.references = {"app:v12"};
  EXPECT_TRUE(Matches(filter, subject));
}

}  // namespace
}  // namespace reclaim::gc
