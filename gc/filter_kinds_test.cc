// SEMANTICS.md, rule 2: what a kind cannot carry is refused, and the reference
// page says what it can.

#include "gc/filter_kinds.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr FilterTarget kTargets[] = {
    FilterTarget::kImages,   FilterTarget::kContainers, FilterTarget::kVolumes,
    FilterTarget::kNetworks, FilterTarget::kBuildCache, FilterTarget::kSystem};

absl::StatusOr<Filter> Parse(const std::string& term, FilterTarget target) {
  return ParseFilter({term}, {}, target, absl::FromUnixSeconds(1767323045),
                     absl::UTCTimeZone());
}

bool Has(FilterTarget target, TimeClock clock) {
  const std::vector<TimeClock>& clocks = ClocksOf(target);
  return std::find(clocks.begin(), clocks.end(), clock) != clocks.end();
}

TEST(FilterKindsTest, AClockThatTheKindDoesNotHaveIsAnError) {
  for (const FilterTarget target : kTargets) {
    for (const TimeClock clock : AllClocks()) {
      const bool fits = Has(target, clock);
      for (const std::string& term :
           {absl::StrCat("until.", ToString(clock), "=24h"),
            absl::StrCat(ToString(clock), "-before=24h")}) {
        EXPECT_EQ(Parse(term, target).ok(), fits)
            << term << " of " << ToString(target);
      }
    }
  }
}

TEST(FilterKindsTest, TheErrorNamesClockKindAndWhatFits) {
  EXPECT_THAT(Parse("until.exited=24h", FilterTarget::kImages),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("\"exited\""), HasSubstr("images"),
                             HasSubstr("recorded, created, pushed, pulled, "
                                       "used, untagged"))));
  EXPECT_THAT(Parse("pulled-before=24h", FilterTarget::kNetworks),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("networks"),
                             HasSubstr("these do: recorded, created"))));
  EXPECT_THAT(Parse("until.created=24h", FilterTarget::kBuildCache),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("build cache"),
                             HasSubstr("these do: recorded, used"))));
}

// A kind of it without the clock keeps what it has.
TEST(FilterKindsTest, ASystemPruneTakesTheClocksOfAllThatItRunsOver) {
  for (const TimeClock clock : AllClocks()) {
    EXPECT_THAT(CheckClock(clock, FilterTarget::kSystem), IsOk());
    const bool is_of_a_kind =
        std::any_of(std::begin(kTargets), std::end(kTargets) - 1,
                    [&](FilterTarget target) { return Has(target, clock); });
    EXPECT_TRUE(is_of_a_kind) << ToString(clock);
  }
}

std::string Quoted(const std::string& word) {
  return absl::StrCat("`", word, "`");
}

std::string RowOf(FilterTarget target) {
  std::vector<std::string> keys;
  for (const std::string& key : KeysOf(target)) keys.push_back(Quoted(key));
  std::vector<std::string> clocks;
  for (const TimeClock clock : ClocksOf(target)) {
    clocks.push_back(Quoted(ToString(clock)));
  }
  return absl::StrCat(
      "\n| ", ToString(target), " | ", absl::StrJoin(keys, ", "), " | ",
      clocks.empty() ? "none" : absl::StrJoin(clocks, ", "), " |\n");
}

TEST(FilterKindsTest, TheReferencePageIsTheCodes) {
  std::ifstream file("docs/FILTERS.md");
  std::ostringstream text;
  text << file.rdbuf();
  const std::string page = text.str();
  for (const FilterTarget target : kTargets) {
    EXPECT_THAT(page, HasSubstr(RowOf(target)));
    EXPECT_EQ(KeysOf(target).count("until") > 0, !ClocksOf(target).empty());
    for (const std::string& key : KeysOf(target)) {
      EXPECT_THAT(page, HasSubstr(key + "="));
    }
  }
  const std::string clocks = page.substr(page.find("| clock | is when |"));
  for (const TimeClock clock : AllClocks()) {
    EXPECT_THAT(clocks, HasSubstr(Quoted(ToString(clock))));
  }
}

}  // namespace
}  // namespace reclaim::gc
