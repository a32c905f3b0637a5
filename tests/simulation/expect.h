// tests/simulation/expect.h — what an exploration must find.

#ifndef RECLAIM_TESTS_SIMULATION_EXPECT_H_
#define RECLAIM_TESTS_SIMULATION_EXPECT_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "gtest/gtest.h"
#include "tests/simulation/explorer.h"

namespace reclaim::simulation {

inline Exploration ExploreAll(const char* what, const Scenario& scenario) {
  constexpr uint64_t kRunMax = 2000000;
  const Exploration found = Explore(scenario, kRunMax);
  printf("%s: %s\n", what, ToString(found).c_str());
  ::testing::Test::RecordProperty("figure_interleavings_run",
                                  std::to_string(found.run_count));
  return found;
}

// Of explorations that must find none.
inline void TellLost(int count) {
  ::testing::Test::RecordProperty("figure_lost_in_simulation", count);
}

// Nothing is lost, and the exploration has seen what it is about.
inline void ExpectSafe(const char* what, const Scenario& scenario) {
  const Exploration found = ExploreAll(what, scenario);
  TellLost(found.loss.empty() ? 0 : 1);
  EXPECT_TRUE(found.is_complete);
  EXPECT_EQ(found.loss, "");
  EXPECT_GT(found.accepted_count, 0u);
  EXPECT_GT(found.refused_count, 0u);
  EXPECT_EQ(found.crashed_count > 0, scenario.may_crash);
}

// Orchestrators, who tell of what they do: nobody waits for them.
inline Scenario Records(bool may_crash) {
  Scenario scenario;
  scenario.has_foreign_writers = false;
  scenario.writers = {WriterKind::kRecords, WriterKind::kRecords};
  scenario.write_duration_max = absl::ZeroDuration();
  scenario.may_crash = may_crash;
  return scenario;
}

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_EXPECT_H_
