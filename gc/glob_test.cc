#include "gc/glob.h"

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;

Glob Parse(const std::string& text) {
  auto glob = Glob::Parse(text);
  EXPECT_THAT(glob, IsOk()) << text;
  return *std::move(glob);
}

TEST(GlobTest, MatchesWholeNames) {
  struct Case {
    const char* pattern;
    const char* name;
    bool matches;
  };
  for (const Case& c : std::vector<Case>{{"app", "app", true},
                                         {"app", "apps", false},
                                         {"v*", "v1.2", true},
                                         {"v*", "v", true},
                                         {"v*", "1v", false},
                                         {"*", "a/b", false},
                                         {"**", "a/b", true},
                                         {"team/**", "team/a/b", true},
                                         {"team/**", "team", false},
                                         {"team/*", "team/a/b", false},
                                         {"?.?", "1.2", true},
                                         {"?.?", "1.20", false},
                                         {"[0-9]*", "7a", true},
                                         {"[!0-9]*", "7a", false},
                                         {"[!a]", "/", false},
                                         {"[]x]", "]", true},
                                         {"{rc,beta}-*", "rc-1", true},
                                         {"{rc,beta}-*", "beta-1", true},
                                         {"{rc,beta}-*", "ga-1", false},
                                         {"a\\*", "a*", true},
                                         {"a\\*", "ab", false},
                                         {"**/app", "x/y/app", true},
                                         {"**", "", true}}) {
    EXPECT_EQ(Parse(c.pattern).Matches(c.name), c.matches)
        << c.pattern << " on " << c.name;
  }
}

TEST(GlobTest, WhatCannotBeReadIsSaid) {
  for (const char* text : {"", "[a", "{a,b", "a\\", "[z-a]", "{a{b}}"}) {
    EXPECT_THAT(Glob::Parse(text), StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
  EXPECT_THAT(Glob::Parse("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Glob::Parse(std::string(257, 'a')),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(GlobTest, CoversIsInclusionOfLanguages) {
  struct Case {
    const char* wide;
    const char* narrow;
    bool covers;
  };
  for (const Case& c : std::vector<Case>{{"**", "*", true},
                                         {"*", "**", false},
                                         {"*", "v*", true},
                                         {"v*", "v1.*", true},
                                         {"v1.*", "v*", false},
                                         {"a*b*", "ab", true},
                                         {"*a*", "a*a", true},
                                         {"{a,b}", "a", true},
                                         {"a", "{a,b}", false},
                                         {"[a-z]*", "{ab,cd}*", true},
                                         {"?*", "*", false},
                                         {"team/**", "team/x/*", true},
                                         {"*/*", "team/[a-z]", true},
                                         {"**/*", "a", false}}) {
    EXPECT_EQ(Parse(c.wide).Covers(Parse(c.narrow)), c.covers)
        << c.wide << " over " << c.narrow;
  }
  EXPECT_TRUE(Parse("**").IsUniversal());
  EXPECT_TRUE(Parse("{**,x}").IsUniversal());
  EXPECT_FALSE(Parse("*").IsUniversal());
}

TEST(GlobTest, CanMatchAsksAnAlphabet) {
  CharSet lower;
  for (int c = 'a'; c <= 'z'; ++c) lower.set(static_cast<size_t>(c));
  EXPECT_TRUE(Parse("a*").CanMatch(lower, 1, 5));
  EXPECT_FALSE(Parse("A*").CanMatch(lower, 1, 5));
  EXPECT_FALSE(Parse("abcdef").CanMatch(lower, 1, 5));
  EXPECT_FALSE(Parse("a").CanMatch(lower, 2, 5));
}

// The slow twin: every name over a small alphabet.
TEST(GlobTest, CoversAgreesWithAllShortNames) {
  const std::vector<std::string> parts = {
      "a", "b", "*", "**", "?", "/", "[ab]", "[!a]", "{a,b}", "{a/,b}"};
  std::vector<std::string> names = {""};
  for (size_t i = 0; i < names.size() && names[i].size() < 5; ++i) {
    for (const char c : {'a', 'b', '/', 'z'}) names.push_back(names[i] + c);
  }
  const unsigned seed = 20260102;
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  const auto make = [&] {
    std::string text;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      text += parts[random() % parts.size()];
    }
    return text;
  };
  int covered = 0;
  for (int round = 0; round < 400; ++round) {
    const std::string a = make();
    const std::string b = make();
    const Glob wide = Parse(a);
    const Glob narrow = Parse(b);
    bool expected = true;
    for (const std::string& name : names) {
      expected &= !narrow.Matches(name) || wide.Matches(name);
    }
    ASSERT_EQ(wide.Covers(narrow), expected) << a << " over " << b;
    covered += expected ? 1 : 0;
  }
  EXPECT_GT(covered, 20);
}

}  // namespace
}  // namespace reclaim::gc
