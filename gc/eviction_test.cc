#include "gc/eviction.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gc/fair_shares.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/naive_eviction.h"

namespace reclaim::gc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Pieces by their bytes; then each candidate as (tier, pieces).
EvictionProblem Problem(
    const std::vector<uint64_t>& bytes,
    const std::vector<std::pair<uint32_t, std::vector<uint32_t>>>& candidates) {
  EvictionProblem problem;
  for (const uint64_t piece : bytes) problem.AddPiece(piece);
  for (const auto& [tier, pieces] : candidates) {
    problem.AddCandidate(tier, pieces);
  }
  return problem;
}

TEST(EvictionTest, ATargetOfNothingTakesNothing) {
  const auto problem = Problem({10, 0}, {{0, {0}}, {1, {1}}});
  EXPECT_THAT(ChooseEvictions(problem, 0).chosen, IsEmpty());
}

TEST(EvictionTest, EqualityIsEnough) {
  const auto problem = Problem({10, 10, 10}, {{1, {0}}, {1, {1}}, {1, {2}}});
  EXPECT_EQ(ChooseEvictions(problem, 20).chosen.size(), 2u);
  EXPECT_EQ(ChooseEvictions(problem, 21).chosen.size(), 3u);
}

TEST(EvictionTest, TheLastUserBringsWhatIsShared) {
  // 0 and 1 share 1000; 2 has 500 of its own.
  const auto problem =
      Problem({10, 20, 1000, 500}, {{1, {0, 2}}, {1, {1, 2}}, {1, {3}}});
  const Eviction eviction = ChooseEvictions(problem, 1000);
  EXPECT_THAT(eviction.chosen, ElementsAre(0, 1));
  EXPECT_EQ(eviction.freed_bytes, 1030u);
  EXPECT_EQ(eviction.lower_bound_count, 2u);
}

TEST(EvictionTest, ALowerTierGoesFirstThoughItFreesLess) {
  const auto problem = Problem({10, 1000}, {{1, {0}}, {2, {1}}});
  EXPECT_THAT(ChooseEvictions(problem, 10).chosen, ElementsAre(0));
  // What the higher tier makes needless stays: it would go for nothing.
  const Eviction eviction = ChooseEvictions(problem, 11);
  EXPECT_THAT(eviction.chosen, ElementsAre(1));
  EXPECT_EQ(eviction.lower_bound_count, 1u);
}

TEST(EvictionTest, WhatIsDeadGoesFirstAndIsNotCounted) {
  const auto problem = Problem({10, 20}, {{kNoRegretTier, {0}}, {1, {1}}});
  EXPECT_EQ(ChooseEvictions(problem, 10).evicted_count, 0u);
  EXPECT_EQ(ChooseEvictions(problem, 10).lower_bound_count, 0u);
  EXPECT_EQ(ChooseEvictions(problem, 30).evicted_count, 1u);
}

TEST(EvictionTest, WhatCannotBeMetIsShort) {
  const auto problem = Problem({10, 5}, {{1, {0}}, {1, {1}}});
  const Eviction eviction = ChooseEvictions(problem, 100);
  EXPECT_THAT(eviction.chosen, ElementsAre(0, 1));
  EXPECT_EQ(eviction.short_by_bytes, 85u);
  EXPECT_EQ(ChooseEvictions(EvictionProblem(), 7).short_by_bytes, 7u);
}

TEST(EvictionTest, WhatFreesNothingStays) {
  // Candidate 1 has nothing that is not somebody's who stays.
  const auto problem = Problem({10, 0}, {{1, {0}}, {1, {}}, {2, {1}}});
  EXPECT_THAT(ChooseEvictions(problem, 100).chosen, ElementsAre(0));
}

TEST(FairSharesTest, DealEveryByteAndEvenOut) {
  // Piece 1 goes to the poorer of its users.
  const auto problem = Problem({10, 10}, {{1, {0, 1}}, {1, {1}}});
  EXPECT_THAT(FairShares(problem), ElementsAre(10, 10));
  EXPECT_EQ(LowerBoundCount({10, 10}, 10), 1u);
  EXPECT_EQ(LowerBoundCount({10, 10}, 11), 2u);
  EXPECT_EQ(LowerBoundCount({10, 10}, 99), 2u);
}

// Up to eleven candidates over up to nine pieces.
EvictionProblem RandomProblem(std::mt19937_64* random) {
  const auto below = [random](uint32_t n) {
    return static_cast<uint32_t>((*random)() % n);
  };
  EvictionProblem problem;
  const uint32_t piece_count = 1 + below(9);
  for (uint32_t i = 0; i < piece_count; ++i) problem.AddPiece(below(50));
  const uint32_t tier_count = 1 + below(3);
  for (uint32_t i = below(12); i > 0; --i) {
    std::vector<uint32_t> pieces;
    for (uint32_t piece = 0; piece < piece_count; ++piece) {
      if (below(3) == 0) pieces.push_back(piece);
    }
    problem.AddCandidate(below(tier_count), pieces);
  }
  return problem;
}

// Every target of 3000 small problems against trial of every set.
TEST(EvictionTest, AgreesWithTrialOnSmallProblems) {
  const uint64_t seed = std::random_device()();
  RecordProperty("seed", absl::StrCat(seed));
  std::mt19937_64 random(seed);
  uint64_t evicted = 0;
  uint64_t fewest = 0;
  for (int round = 0; round < 3000; ++round) {
    const EvictionProblem problem = RandomProblem(&random);
    const uint64_t target = 1 + random() % 200;
    const Eviction eviction = ChooseEvictions(problem, target);
    ASSERT_EQ(tests::FaultOf(problem, target, eviction), "")
        << "seed " << seed << " round " << round;
    const uint64_t least =
        tests::FewestByTrial(problem, target - eviction.short_by_bytes);
    ASSERT_LE(eviction.lower_bound_count, least) << "seed " << seed;
    ASSERT_GE(eviction.evicted_count, least) << "seed " << seed;
    evicted += eviction.evicted_count;
    fewest += least;
  }
  std::printf("evicted %zu, fewest by trial %zu\n", size_t{evicted},
              size_t{fewest});
}

}  // namespace
}  // namespace reclaim::gc
