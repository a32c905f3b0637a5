// Histories of a small registry and its daemon, drawn from seeds: clients,
// callers, two runs at once, time and crashes, in one thread
// (tests/simulation/seeded_world.h).  Nothing that is kept is lost, what was
// acknowledged stands, the counters are a recount, and in the end no garbage is
// left.
//
// RECLAIM_SEEDS sets how many, RECLAIM_SEED the first.
// tests/simulation/seeds.txt has those that are always taken.  One that fails
// is told with all its steps and the command that repeats it.

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/simulation/seeded_world.h"

namespace reclaim::simulation {
namespace {

constexpr char kSeedFile[] = "tests/simulation/seeds.txt";
constexpr uint64_t kFirstSeed = 20260306;
constexpr uint64_t kSeedCount = 5000;
// From so many on everything that can happen has happened.
constexpr uint64_t kManySeeds = 1000;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  uint64_t value = otherwise;
  if (text != nullptr && !absl::SimpleAtoi(text, &value)) {
    ADD_FAILURE() << name << " is no number: " << text;
  }
  return value;
}

std::string Repetition(uint64_t seed) {
  return absl::StrCat("RECLAIM_SEEDS=1 RECLAIM_SEED=", seed,
                      " bazel-bin/tests/simulation/seeded_test"
                      " --gtest_filter='SeededTest.NothingIsLost'");
}

// A check that fails in the daemon (base/check.h) ends all of this: then it is
// told here which seed that was.
char told_at_abort[256];

void TellAtAbort(int) {
  const ssize_t written =
      write(STDERR_FILENO, told_at_abort, std::strlen(told_at_abort));
  static_cast<void>(written);
}

SeedEnd RunSeed(uint64_t seed, SeedOptions options = {}) {
  options.seed = seed;
  std::snprintf(told_at_abort, sizeof(told_at_abort), "seed %llu; repeat: %s\n",
                static_cast<unsigned long long>(seed),
                Repetition(seed).c_str());
  std::signal(SIGABRT, TellAtAbort);
  SeedEnd end = SeededWorld(options).Run();
  std::signal(SIGABRT, SIG_DFL);
  return end;
}

// Tells a failure with all that led to it.
void ExpectHolds(uint64_t seed, const SeedEnd& end) {
  if (end.failure.empty()) return;
  SeedOptions options;
  options.is_traced = true;
  const SeedEnd again = RunSeed(seed, options);
  ADD_FAILURE() << "seed " << seed << ": " << end.failure << "\n"
                << absl::StrJoin(again.trace, "\n") << "\nseed " << seed << ": "
                << end.failure
                << (again.failure == end.failure
                        ? ""
                        : absl::StrCat("\nthe second time: ", again.failure))
                << "\nrepeat: " << Repetition(seed) << "\nthen add " << seed
                << " to " << kSeedFile;
}

std::vector<uint64_t> KeptSeeds() {
  std::vector<uint64_t> seeds;
  std::ifstream file(kSeedFile);
  EXPECT_TRUE(file) << kSeedFile << " can't be read";
  for (std::string line; std::getline(file, line);) {
    const absl::string_view text = absl::StripAsciiWhitespace(line);
    if (text.empty() || text[0] == '#') continue;
    uint64_t seed = 0;
    EXPECT_TRUE(absl::SimpleAtoi(text, &seed)) << line;
    seeds.push_back(seed);
  }
  return seeds;
}

TEST(SeededTest, WhatOnceFailedHolds) {
  const std::vector<uint64_t> seeds = KeptSeeds();
  EXPECT_FALSE(seeds.empty());
  for (const uint64_t seed : seeds) {
    ExpectHolds(seed, RunSeed(seed));
    if (HasFailure()) return;
  }
}

// Otherwise a seed that failed would show nothing.
TEST(SeededTest, ASeedRepeatsItself) {
  SeedOptions options;
  options.is_traced = true;
  for (uint64_t seed = kFirstSeed; seed < kFirstSeed + 20; ++seed) {
    const SeedEnd first = RunSeed(seed, options);
    const SeedEnd second = RunSeed(seed, options);
    ASSERT_EQ(first.trace, second.trace) << "seed " << seed;
    EXPECT_EQ(first.failure, second.failure) << "seed " << seed;
  }
}

void ExpectEverythingHappened(const SeedCounts& counts) {
  EXPECT_GT(counts.crashes, counts.power_cuts);
  EXPECT_GT(counts.power_cuts, 0u);
  EXPECT_GT(counts.calls, 0u);
  EXPECT_GT(counts.recounts, 0u);
  EXPECT_GT(counts.accepted, 0u);
  EXPECT_GT(counts.refused, 0u);
  EXPECT_GT(counts.deeds.moved, 0u);
  EXPECT_GT(counts.deeds.restored, 0u);
  EXPECT_GT(counts.deeds.freed, 0u);
}

TEST(SeededTest, NothingIsLost) {
  const uint64_t first = FromEnvironment("RECLAIM_SEED", kFirstSeed);
  const uint64_t count = FromEnvironment("RECLAIM_SEEDS", kSeedCount);
  SeedCounts counts;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const SeedEnd end = RunSeed(seed);
    counts += end.counts;
    ExpectHolds(seed, end);
    if (HasFailure()) return;
  }
  std::printf("%llu seeds from %llu: %s\n",
              static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(first), ToString(counts).c_str());
  if (count >= kManySeeds) ExpectEverythingHappened(counts);
  RecordProperty("figure_simulation_seeds", absl::StrCat(count));
}

// And with a part taken out: a simulation that can't see this sees nothing.

uint64_t FirstThatFails(const SeedOptions& options, std::string* failure) {
  uint64_t seed = kFirstSeed;
  while (failure->empty() && seed < kFirstSeed + kManySeeds) {
    *failure = RunSeed(seed++, options).failure;
  }
  return seed - kFirstSeed;
}

TEST(SeededTest, WithoutTheGuardSomethingIsTaken) {
  SeedOptions options;
  options.has_guard = false;
  std::string failure;
  const uint64_t count = FirstThatFails(options, &failure);
  EXPECT_NE(failure, "");
  std::printf("without the guard, at seed %llu: %s\n",
              static_cast<unsigned long long>(count), failure.c_str());
}

TEST(SeededTest, WithoutTheProofSomethingIsLost) {
  SeedOptions options;
  options.scans_for_proof = false;
  std::string failure;
  const uint64_t count = FirstThatFails(options, &failure);
  EXPECT_NE(failure, "");
  std::printf("without the proof, at seed %llu: %s\n",
              static_cast<unsigned long long>(count), failure.c_str());
}

}  // namespace
}  // namespace reclaim::simulation
