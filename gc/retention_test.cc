#include "gc/retention.h"

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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::Time Now() { return absl::FromUnixSeconds(1767323045); }

RetentionRule Rule(const std::string& name) {
  RetentionRule rule;
  rule.name = name;
  return rule;
}
RetentionRule Newest(const std::string& name, uint32_t count) {
  RetentionRule rule = Rule(name);
  rule.keep_newest = count;
  return rule;
}
RuleSet Set(std::vector<RetentionRule> rules) {
  RuleSet set;
  set.name = "s";
  set.rules = std::move(rules);
  return set;
}

// Pushed `hours` ago, with a digest of its own.
TagFacts Tag(const std::string& name, int hours) {
  TagFacts tag;
  tag.tag = name;
  tag.digest = oci::Digest::Sha256Of(name);
  tag.pushed = Now() - absl::Hours(hours);
  return tag;
}

std::vector<TagVerdict> Decide(const RuleSet& set,
                               const std::vector<TagFacts>& tags) {
  EXPECT_THAT(CheckRuleSet(set), IsOk());
  const auto rules = RetentionRules::Compile({set}, "store");
  EXPECT_THAT(rules, IsOk());
  return rules->Decide("app", tags, Now());
}

std::vector<std::string> Gone(const RuleSet& set,
                              const std::vector<TagFacts>& tags) {
  const std::vector<TagVerdict> verdicts = Decide(set, tags);
  std::vector<std::string> names;
  for (size_t i = 0; i < tags.size(); ++i) {
    if (verdicts[i].goes) names.push_back(tags[i].tag);
  }
  return names;
}

TEST(RetentionTest, NewestKeepsImagesNotTags) {
  std::vector<TagFacts> tags = {Tag("a", 4), Tag("b", 3), Tag("c", 2),
                                Tag("d", 1)};
  EXPECT_THAT(Gone(Set({Newest("n", 2)}), tags), ElementsAre("a", "b"));
  tags[2].digest = tags[3].digest;  // c and d are one image
  EXPECT_THAT(Gone(Set({Newest("n", 2)}), tags), ElementsAre("a"));
  tags[0].digest = tags[3].digest;  // and so is a
  EXPECT_THAT(Gone(Set({Newest("n", 1)}), tags), ElementsAre("b"));
}

TEST(RetentionTest, NewestByCreationKeepsWhatHasNoTime) {
  RetentionRule rule = Newest("n", 1);
  rule.newest_by = NewestBy::kCreated;
  std::vector<TagFacts> tags = {Tag("a", 1), Tag("b", 2), Tag("c", 3)};
  tags[0].created = Now() - absl::Hours(30);
  tags[1].created = Now() - absl::Hours(20);
  const auto verdicts = Decide(Set({rule}), tags);
  EXPECT_TRUE(verdicts[0].goes);
  EXPECT_FALSE(verdicts[1].goes);
  EXPECT_FALSE(verdicts[2].goes);
  EXPECT_THAT(verdicts[2].why, HasSubstr("nobody knows when"));
}

TEST(RetentionTest, UseAndPushWithinAreStrict) {
  RetentionRule used = Rule("used");
  used.keep_used_within = absl::Hours(24);
  std::vector<TagFacts> tags = {Tag("a", 100), Tag("b", 100), Tag("c", 100)};
  tags[0].used = Now() - absl::Hours(24);  // exactly: not longer ago
  tags[1].used = Now() - absl::Hours(24) - absl::Nanoseconds(1);
  EXPECT_THAT(Gone(Set({used}), tags), ElementsAre("b"));
  used.unused_counts_from_push = true;
  EXPECT_THAT(Gone(Set({used}), tags), ElementsAre("b", "c"));
  RetentionRule pushed = Rule("pushed");
  pushed.keep_pushed_within = absl::Hours(100);
  tags.push_back(Tag("d", 101));
  EXPECT_THAT(Gone(Set({pushed}), tags), ElementsAre("d"));
}

TEST(RetentionTest, AnExpiryBesideAKeepInOneRuleNeedsBoth) {
  RetentionRule rule = Newest("n", 1);
  rule.expire_unused_after = absl::Hours(48);
  std::vector<TagFacts> tags = {Tag("a", 9), Tag("b", 8), Tag("c", 7)};
  tags[0].used = Now() - absl::Hours(72);
  tags[1].used = Now() - absl::Hours(2);
  tags[2].used = Now() - absl::Hours(72);
  const auto verdicts = Decide(Set({rule}), tags);
  EXPECT_TRUE(verdicts[0].goes);
  EXPECT_EQ(verdicts[0].rule, "s/n");
  EXPECT_EQ(verdicts[0].why, "not used for 3d");
  EXPECT_FALSE(verdicts[1].goes);
  EXPECT_EQ(verdicts[1].why, "no rule expires it");
  EXPECT_EQ(verdicts[2].why, "among the newest 1 by push");
}

TEST(RetentionTest, ARepositoryKeepsItsNewestTagWithoutTheWord) {
  RetentionRule rule = Rule("p");
  rule.keep_pushed_within = absl::Hours(1);
  const std::vector<TagFacts> tags = {Tag("a", 5), Tag("b", 4), Tag("c", 6)};
  EXPECT_THAT(Gone(Set({rule}), tags), ElementsAre("a", "c"));
  EXPECT_THAT(Decide(Set({rule}), tags)[1].why, HasSubstr("allow_remove_all"));
  RuleSet set = Set({rule});
  set.allow_remove_all = true;
  EXPECT_THAT(Gone(set, tags), ElementsAre("a", "b", "c"));
}

TEST(RetentionTest, WhatHoldsATagKeepsItAndKeepsItsPlace) {
  std::vector<TagFacts> tags = {Tag("a", 3), Tag("b", 2), Tag("c", 1)};
  tags[0].hold = "pinned";
  tags[2].hold = "younger than the grace period";
  EXPECT_THAT(Gone(Set({Newest("n", 1)}), tags), ElementsAre("b"));
  EXPECT_EQ(Decide(Set({Newest("n", 1)}), tags)[0].why, "pinned");
}

TEST(RetentionTest, NoRulesNothingGoes) {
  EXPECT_THAT(Gone(Set({}), {Tag("a", 3)}), IsEmpty());
  const auto rules = RetentionRules::Compile({Set({})}, "store");
  ASSERT_THAT(rules, IsOk());
  EXPECT_TRUE(rules->empty());
}

TEST(RetentionTest, RulesOfAnotherStoreSayNothing) {
  RetentionRule rule = Newest("n", 1);
  rule.stores = {"other"};
  EXPECT_THAT(Gone(Set({rule}), {Tag("a", 2), Tag("b", 1)}), IsEmpty());
  rule.stores = {"st*"};
  EXPECT_THAT(Gone(Set({rule}), {Tag("a", 2), Tag("b", 1)}), ElementsAre("a"));
}

TEST(RetentionTest, SeveralSetsAreOneOpinion) {
  RuleSet keeps = Set({Rule("k")});
  keeps.name = "t";
  keeps.rules[0].tags = {"a"};
  keeps.rules[0].keep = KeepWord::kKeep;
  const auto rules =
      RetentionRules::Compile({Set({Newest("n", 1)}), keeps}, "store");
  ASSERT_THAT(rules, IsOk());
  const std::vector<TagFacts> tags = {Tag("a", 3), Tag("b", 2), Tag("c", 1)};
  const auto verdicts = rules->Decide("app", tags, Now());
  EXPECT_FALSE(verdicts[0].goes);
  EXPECT_EQ(verdicts[0].rule, "t/k");
  EXPECT_TRUE(verdicts[1].goes);
}

TEST(RetentionTest, TermsOfARepository) {
  RetentionRule week = Rule("week");
  week.expire_untagged_after = absl::Hours(168);
  RetentionRule day = Rule("day");
  day.repositories = {"app"};
  day.expire_untagged_after = absl::Hours(200);
  RuleSet set = Set({week, day});
  ReferrerRule keep;
  keep.name = "keep";
  keep.repositories = {"app"};
  keep.fate = ReferrerFate::kKeepFor;
  keep.period = absl::Hours(5);
  set.referrers = {keep};
  ASSERT_THAT(CheckRuleSet(set), IsOk());
  const auto rules = RetentionRules::Compile({set}, "store");
  ASSERT_THAT(rules, IsOk());
  EXPECT_EQ(rules->TermsOf("app").untagged_period, absl::Hours(200));
  EXPECT_EQ(rules->TermsOf("app").untagged_rule, "s/day");
  EXPECT_EQ(rules->TermsOf("app").fate, ReferrerFate::kKeepFor);
  EXPECT_EQ(rules->TermsOf("web").untagged_period, absl::Hours(168));
  EXPECT_EQ(rules->TermsOf("web").fate, ReferrerFate::kCascade);
  EXPECT_FALSE(rules->concerns_tags());
}

TEST(RetentionTest, ReferrerNames) {
  const std::string hex = oci::Digest::Sha256Of("m").hex();
  for (const char* suffix : {"", ".sig", ".att", ".sbom"}) {
    const auto name = ParseReferrerName(absl::StrCat("sha256-", hex, suffix));
    ASSERT_TRUE(name.has_value()) << suffix;
    EXPECT_EQ(name->subject, oci::Digest::Sha256Of("m"));
    EXPECT_EQ(name->suffix, suffix);
  }
  for (const std::string& name :
       {absl::StrCat("sha256-", hex, ".zip"), absl::StrCat("sha256-", "ab"),
        absl::StrCat("sha512-", hex), std::string("latest"),
        absl::StrCat("sha256-", hex, "0")}) {
    EXPECT_FALSE(ParseReferrerName(name).has_value()) << name;
  }
}

struct BadSet {
  RuleSet set;
  const char* why;
};

TEST(RetentionCheckTest, WhatCanNeverDecideIsRefused) {
  RetentionRule immutable = Rule("immutable");
  immutable.keep = KeepWord::kImmutable;
  immutable.tags = {"v*"};
  RetentionRule both = Newest("both", 3);
  both.keep = KeepWord::kKeep;
  RetentionRule untagged = Rule("untagged");
  untagged.expire_untagged_after = absl::Hours(1);
  untagged.tags = {"v*"};
  RetentionRule zero = Rule("zero");
  zero.keep_used_within = absl::ZeroDuration();
  RetentionRule narrow = Newest("narrow", 3);
  narrow.tags = {"v1.*"};
  RetentionRule never = Newest("never", 3);
  never.tags = {"v*", "!**"};
  RetentionRule word = Newest("word", 3);
  word.unused_counts_from_push = true;
  RetentionRule long_use = Rule("long-use");
  long_use.repositories = {"team/**"};
  long_use.keep_used_within = absl::Hours(48);
  RetentionRule short_use = Rule("short-use");
  short_use.repositories = {"team/app"};
  short_use.keep_used_within = absl::Hours(24);
  const BadSet bad[] = {
      {Set({Rule("empty")}), "says nothing"},
      {Set({both}), "nothing beside it can ever decide"},
      {Set({untagged}), "takes no tags"},
      {Set({zero}), "keep_used_within is 0"},
      {Set({never}), "can never match"},
      {Set({word}), "unused_counts_from_push"},
      {Set({immutable, narrow}), "rule narrow: is hidden by rule immutable"},
      {Set({narrow, immutable}), "rule narrow: is hidden by rule immutable"},
      {Set({short_use, long_use}), "rule short-use: is hidden"},
      {Set({Newest("all", 3), immutable}), "must be the last"},
      {Set({immutable, immutable}), "given twice"},
      {Set({Newest("N!", 3)}), "a name is like"},
  };
  for (const BadSet& one : bad) {
    EXPECT_THAT(
        CheckRuleSet(one.set),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(one.why)));
  }
}

TEST(RetentionCheckTest, WhatCanDecideIsNot) {
  RetentionRule immutable = Rule("immutable");
  immutable.keep = KeepWord::kImmutable;
  immutable.tags = {"v1.*"};
  RetentionRule wide = Newest("wide", 3);
  wide.tags = {"v*"};
  RetentionRule untagged = Rule("untagged");
  untagged.expire_untagged_after = absl::Hours(1);
  EXPECT_THAT(CheckRuleSet(Set({immutable, wide, untagged, Newest("all", 9)})),
              IsOk());
  EXPECT_THAT(CheckRuleSet(Set({immutable, wide, Newest("all", 9), untagged})),
              IsOk());
  // Fewer of a narrower scope are not those that the wider one keeps.
  RetentionRule narrow = Newest("narrow", 1);
  narrow.tags = {"v2.*"};
  EXPECT_THAT(CheckRuleSet(Set({narrow, wide})), IsOk());
}

TEST(RetentionCheckTest, ReferrerRules) {
  RuleSet set = Set({});
  ReferrerRule all;
  all.name = "all";
  ReferrerRule app;
  app.name = "app";
  app.repositories = {"app"};
  app.fate = ReferrerFate::kKeep;
  set.referrers = {app, all};
  EXPECT_THAT(CheckRuleSet(set), IsOk());
  set.referrers = {all, app};
  EXPECT_THAT(CheckRuleSet(set), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("hidden")));
  app.fate = ReferrerFate::kKeepFor;
  set.referrers = {app};
  EXPECT_THAT(CheckRuleSet(set), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("period")));
}

}  // namespace
}  // namespace reclaim::gc
