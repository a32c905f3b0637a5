#include "index/verify.h"

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "index/totals.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using ::testing::HasSubstr;

Tally& Kind(StoreTotals* totals, NodeKind kind) {
  return totals->by_kind[static_cast<size_t>(kind)];
}

// A live image of three files, of which two are one, garbage, and an upload.
StoreTotals Agreeing() {
  StoreTotals totals;
  Kind(&totals, NodeKind::kManifest) = {1, {5, 4096}};
  Kind(&totals, NodeKind::kLayer) = {3, {30, 4096}};
  Kind(&totals, NodeKind::kExtent) = {1, {100, 4096}};
  Kind(&totals, NodeKind::kUpload) = {1, {7, 0}};
  Kind(&totals, NodeKind::kVolume) = {1, {1000, 4096}};
  totals.live = {4, {135, 3 * 4096}};
  totals.candidate = {1, {7, 0}};
  totals.quarantined = {9, {900, 9 * 4096}};
  totals.orphan = {1, {1, 4096}};
  return totals;
}

TEST(JudgeCountersTest, WhatAgreesIsNoFinding) {
  EXPECT_FALSE(JudgeCounters("s", {}, {}));
  EXPECT_FALSE(JudgeCounters("s", Agreeing(), Agreeing()));
}

TEST(JudgeCountersTest, AFigureThatIsWrongByItselfIsAMismatch) {
  StoreTotals counted = Agreeing();
  counted.image_count = 2;
  const std::optional<Finding> finding =
      JudgeCounters("s", counted, Agreeing());
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->check, "counter-mismatch");
  EXPECT_EQ(finding->severity, FindingSeverity::kDamage);
  EXPECT_EQ(finding->subject, "s");
  EXPECT_THAT(finding->detail,
              HasSubstr("images: counted 2 / 0 / 0, recomputed 0"));
}

TEST(JudgeCountersTest, LiveAndCandidateAreWhatTheKindsAre) {
  StoreTotals counted = Agreeing();
  counted.candidate.bytes.logical_bytes = 8;
  std::optional<Finding> finding = JudgeCounters("s", counted, Agreeing());
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->check, "identity-broken");
  EXPECT_EQ(finding->severity, FindingSeverity::kDamage);
  EXPECT_THAT(finding->detail, HasSubstr("live and candidate are 5 / 143 / "));
  EXPECT_THAT(finding->detail,
              HasSubstr("candidate: counted 1 / 8 / 0, recomputed 1 / 7 / 0"));
  // Though the recount had the same fault.
  finding = JudgeCounters("s", counted, counted);
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->check, "identity-broken");

  counted = Agreeing();
  ++counted.live.count;
  finding = JudgeCounters("s", counted, Agreeing());
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->check, "identity-broken");
}

}  // namespace
}  // namespace reclaim::index
