// tests/support/seed.h — where a random test begins.

#ifndef RECLAIM_TESTS_SUPPORT_SEED_H_
#define RECLAIM_TESTS_SUPPORT_SEED_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace reclaim::tests {

// RECLAIM_SEED, or else a new one; printed, and a property of the test that
// asks.
inline uint64_t AskSeed() {
  const char* const asked = std::getenv("RECLAIM_SEED");
  const uint64_t seed =
      asked == nullptr ? std::random_device()() : std::stoull(asked);
  std::printf("RECLAIM_SEED=%zu\n", size_t{seed});
  ::testing::Test::RecordProperty("seed", absl::StrCat(seed));
  return seed;
}

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_SEED_H_
