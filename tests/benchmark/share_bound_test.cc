// The bound is no higher than what trying every set finds, and close to it.

#include "tests/benchmark/share_bound.h"

#include <algorithm>
#include <random>
#include <vector>

#include "gc/eviction.h"
#include "gtest/gtest.h"
#include "tests/support/naive_eviction.h"

namespace reclaim::benchmark {
namespace {

TEST(ShareBoundTest, OfPiecesThatNobodySharesItIsTheLargestFirst) {
  gc::EvictionProblem problem;
  for (const uint64_t bytes : {50u, 30u, 20u}) {
    const std::vector<uint32_t> pieces = {problem.AddPiece(bytes)};
    problem.AddCandidate(1, pieces);
  }
  const ShareBound bound(problem);
  EXPECT_EQ(bound.FewestFor(0), 0u);
  EXPECT_EQ(bound.FewestFor(1), 1u);
  EXPECT_EQ(bound.FewestFor(50), 1u);
  EXPECT_EQ(bound.FewestFor(51), 2u);
  EXPECT_EQ(bound.FewestFor(100), 3u);
  EXPECT_EQ(bound.FewestFor(101), 3u);  // all of them do not
}

TEST(ShareBoundTest, WhatAllShareGoesWithTheLast) {
  gc::EvictionProblem problem;
  const uint32_t shared = problem.AddPiece(90);
  const std::vector<uint32_t> pieces = {shared};
  for (int i = 0; i < 3; ++i) problem.AddCandidate(1, pieces);
  EXPECT_EQ(ShareBound(problem).FewestFor(30), 1u);  // a bound, no more
  EXPECT_EQ(ShareBound(problem).FewestFor(31), 2u);
  EXPECT_EQ(ShareBound(problem).FewestFor(90), 3u);
}

TEST(ShareBoundTest, APieceWithoutUsersIsFreedByNobody) {
  gc::EvictionProblem problem;
  problem.AddPiece(1000);
  const std::vector<uint32_t> pieces = {problem.AddPiece(1)};
  problem.AddCandidate(1, pieces);
  EXPECT_EQ(ShareBound(problem).FewestFor(1), 1u);
}

TEST(ShareBoundTest, IsNoHigherThanTheTruth) {
  constexpr uint64_t kSeed = 20260102;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937_64 random(kSeed);
  uint64_t exact_count = 0;
  for (int round = 0; round < 300; ++round) {
    gc::EvictionProblem problem;
    const uint32_t piece_count = 1 + random() % 9;
    for (uint32_t i = 0; i < piece_count; ++i) problem.AddPiece(random() % 50);
    std::vector<uint32_t> all;
    for (uint64_t i = 1 + random() % 9; i > 0; --i) {
      std::vector<uint32_t> pieces;
      for (uint32_t piece = 0; piece < piece_count; ++piece) {
        if (random() % 3 == 0) pieces.push_back(piece);
      }
      all.push_back(problem.AddCandidate(1, pieces));
    }
    const uint64_t most = tests::FreedNaively(problem, all);
    if (most == 0) continue;
    const uint64_t target = 1 + random() % most;
    const uint64_t fewest = tests::FewestByTrial(problem, target);
    const uint64_t bound = ShareBound(problem).FewestFor(target);
    ASSERT_LE(bound, fewest) << "round " << round;
    exact_count += bound == fewest;
  }
  EXPECT_GT(exact_count, 50u);
}

}  // namespace
}  // namespace reclaim::benchmark
