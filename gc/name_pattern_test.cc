#include "gc/name_pattern.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::HasSubstr;

NamePatterns Tags(const std::vector<std::string>& texts) {
  auto patterns = NamePatterns::Parse(texts, NameKind::kTag);
  EXPECT_THAT(patterns, IsOk());
  return patterns.ok() ? *std::move(patterns) : NamePatterns();
}

TEST(NamePatternTest, AListMatchesWhatOneMatches) {
  const NamePatterns patterns = Tags({"v*", "re:[0-9]+\\.[0-9]+"});
  EXPECT_TRUE(patterns.Match("v1"));
  EXPECT_TRUE(patterns.Match("1.20"));
  EXPECT_FALSE(patterns.Match("1.20-rc"));  // the whole name
  EXPECT_TRUE(Tags({}).Match("anything"));
}

TEST(NamePatternTest, AnExclamationMarkTakesOut) {
  const NamePatterns patterns = Tags({"**", "!v*", "v9"});
  EXPECT_TRUE(patterns.Match("latest"));
  EXPECT_FALSE(patterns.Match("v1"));
  EXPECT_TRUE(patterns.Match("v9"));
}

TEST(NamePatternTest, WhatNeverMatchesIsRefused) {
  const auto refused = [](const std::vector<std::string>& texts, NameKind kind,
                          const char* why) {
    EXPECT_THAT(NamePatterns::Parse(texts, kind),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  refused({"re:("}, NameKind::kTag, "re:(");
  refused({"!v*"}, NameKind::kTag, "begin the list");
  refused({"v*", "!**"}, NameKind::kTag, "takes out all");
  refused({"Registry"}, NameKind::kStore, "can never match");
  refused({"a\tb"}, NameKind::kRepository, "can never match");
  refused(std::vector<std::string>(101, "a"), NameKind::kTag, "100");
}

TEST(NamePatternTest, CoversIsOnTheSafeSide) {
  EXPECT_TRUE(Tags({}).Covers(Tags({"v*"})));
  EXPECT_TRUE(Tags({"v*", "w*"}).Covers(Tags({"w1", "v2*"})));
  EXPECT_FALSE(Tags({"v*"}).Covers(Tags({})));
  EXPECT_FALSE(Tags({"v*", "!v1"}).Covers(Tags({"v2"})));  // not decided
  EXPECT_TRUE(Tags({"v*"}).Covers(Tags({"v*", "!v1"})));
  EXPECT_TRUE(Tags({"re:a+"}).Covers(Tags({"re:a+"})));
  EXPECT_FALSE(Tags({"re:a+"}).Covers(Tags({"aa"})));
  EXPECT_TRUE(Tags({"re:.*"}).IsUniversal());
}

}  // namespace
}  // namespace reclaim::gc
