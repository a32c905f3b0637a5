#include "cli/policy_file.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace reclaim::cli {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::RuleSet RuleSetOf(const std::string& text) {
  v1::RuleSet set;
  EXPECT_THAT(ParseRuleSet(text, "f", &set), IsOk());
  return set;
}

v1::Schedule ScheduleOf(const std::string& text) {
  v1::Schedule schedule;
  EXPECT_THAT(ParseSchedule(text, "f", &schedule), IsOk());
  return schedule;
}

std::string RuleSetError(const std::string& text) {
  v1::RuleSet set;
  const absl::Status status = ParseRuleSet(text, "f", &set);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  return std::string(status.message());
}

std::string ScheduleError(const std::string& text) {
  v1::Schedule schedule;
  const absl::Status status = ParseSchedule(text, "f", &schedule);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  return std::string(status.message());
}

TEST(PolicyFileTest, RulesAreThoseOfTheConfiguration) {
  const v1::RuleSet set = RuleSetOf(R"(
name = "team"
allow_remove_all = true

[[retention]]
name = "releases"
repositories = ["team/**", "!team/old"]
tags = ["re:v[0-9]+"]
keep = "always"

[[retention]]
name = "nightly"
keep_newest = 14
newest_by = "created"
keep_used_within = "30d"
unused_counts_from_push = true

[[referrers]]
name = "signatures"
fate = "keep-for"
period = "168h"
cosign_tags = true
)");
  EXPECT_EQ(set.name(), "team");
  EXPECT_TRUE(set.allow_remove_all());
  ASSERT_EQ(set.rules_size(), 2);
  EXPECT_THAT(set.rules(0).repositories(), ElementsAre("team/**", "!team/old"));
  EXPECT_EQ(set.rules(0).keep(), v1::KEEP_WORD_KEEP);
  EXPECT_EQ(set.rules(1).keep_newest(), 14u);
  EXPECT_EQ(set.rules(1).newest_by(), v1::NEWEST_BY_CREATED);
  EXPECT_EQ(set.rules(1).keep_used_within().seconds(), 30 * 86400);
  EXPECT_TRUE(set.rules(1).unused_counts_from_push());
  ASSERT_EQ(set.referrers_size(), 1);
  EXPECT_EQ(set.referrers(0).fate(), v1::REFERRER_FATE_KEEP_FOR);
  EXPECT_EQ(set.referrers(0).period().seconds(), 168 * 3600);
  EXPECT_TRUE(set.referrers(0).includes_cosign_tags());
}

TEST(PolicyFileTest, JsonSaysTheSame) {
  const v1::RuleSet json = RuleSetOf(
      R"( {"name":"t","rules":[{"name":"n","keep_newest":3,"tags":["v*"]}]})");
  const v1::RuleSet toml = RuleSetOf(
      "name = \"t\"\n[[retention]]\nname = \"n\"\nkeep_newest = 3\n"
      "tags = [\"v*\"]\n");
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(json, toml));
}

TEST(PolicyFileTest, SchedulesAreThoseOfTheConfiguration) {
  const v1::Schedule schedule = ScheduleOf(R"(
[[schedule]]
name = "pressure"
every = "5m"
time_zone = "Europe/Berlin"
jitter = "20s"
windows = ["22:00-06:00"]
approve = true
verb = "build-cache"
volumes = true
filters = ["until=24h"]
high_percent = 85
low_percent = 80
reserved = "50GB"
)");
  EXPECT_EQ(schedule.every().seconds(), 300);
  EXPECT_EQ(schedule.time_zone(), "Europe/Berlin");
  EXPECT_EQ(schedule.jitter().seconds(), 20);
  EXPECT_THAT(schedule.windows(), ElementsAre("22:00-06:00"));
  EXPECT_TRUE(schedule.approve());
  EXPECT_EQ(schedule.verb(), v1::PRUNE_VERB_BUILD_CACHE);
  EXPECT_TRUE(schedule.with_volumes());
  EXPECT_THAT(schedule.filters(), ElementsAre("until=24h"));
  EXPECT_EQ(schedule.target().marks().high_percent(), 85u);
  EXPECT_EQ(schedule.target().marks().low_percent(), 80u);
  EXPECT_EQ(schedule.target().reserved_bytes(), 50'000'000'000u);
  EXPECT_EQ(ScheduleOf("[[schedule]]\nname='a'\nkeep_under='1TB'\n")
                .target()
                .keep_under_bytes(),
            1'000'000'000'000u);
}

TEST(PolicyFileTest, WhatIsWrongIsNamedWithItsLine) {
  EXPECT_THAT(RuleSetError("name = \"t\"\n[[retention]]\nkeep_newes = 3\n"),
              HasSubstr("f:3: keep_newes is not a key; the nearest one is "
                        "keep_newest"));
  EXPECT_THAT(RuleSetError("[[retention]]\nkeep = \"often\"\n"),
              HasSubstr("f:2: keep must be keep, immutable, pinned"));
  EXPECT_THAT(RuleSetError("[[retention]]\nkeep = \"unspecified\"\n"),
              HasSubstr("f:2: keep must be"));
  EXPECT_THAT(RuleSetError("[[retention]]\ntags = \"v*\"\n"),
              HasSubstr("must be a list"));
  EXPECT_THAT(RuleSetError("[[retention]]\ntags = [1]\n"),
              HasSubstr("list of texts"));
  EXPECT_THAT(RuleSetError("[[retention]]\nkeep_newest = -1\n"),
              HasSubstr("a whole number"));
  EXPECT_THAT(RuleSetError("[[retention]]\nkeep_used_within = 3\n"),
              HasSubstr("a duration"));
  EXPECT_THAT(RuleSetError("retention = 3\n"), HasSubstr("[[retention]]"));
  EXPECT_THAT(RuleSetError("name = 3\n"), HasSubstr("text in quotes"));
  EXPECT_THAT(RuleSetError("nam = \"x\"\n"), HasSubstr("nearest one is name"));
  EXPECT_THAT(RuleSetError("name = \n"), HasSubstr("f:1: "));
  EXPECT_THAT(RuleSetError("{\"nonsense\": 1}"), HasSubstr("f: "));
}

TEST(PolicyFileTest, AScheduleHasOneGoalAndOneTable) {
  EXPECT_THAT(
      ScheduleError("[[schedule]]\nfree = \"1GB\"\nkeep_under = \"2GB\"\n"),
      AllOf(HasSubstr("f:3: keep_under"), HasSubstr("only goal")));
  EXPECT_THAT(
      ScheduleError("[[schedule]]\nfree = \"1GB\"\nhigh_percent = 80\n"),
      HasSubstr("only goal"));
  EXPECT_THAT(ScheduleError("[[schedule]]\nfree = \"0\"\n"),
              HasSubstr("a size"));
  EXPECT_THAT(ScheduleError("[[schedule]]\nname='a'\n[[schedule]]\nname='b'\n"),
              HasSubstr("holds 2 [[schedule]]"));
  EXPECT_THAT(ScheduleError(""), HasSubstr("holds 0 [[schedule]]"));
  EXPECT_THAT(ScheduleError("[[schedule]]\nactor = \"me\"\n"),
              HasSubstr("actor is not a key"))
      << "what the service sets is no key";
  EXPECT_THAT(ScheduleError("[[retention]]\n"), HasSubstr("is not a key"));
}

}  // namespace
}  // namespace reclaim::cli
