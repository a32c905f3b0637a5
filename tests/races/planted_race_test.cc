// Two threads count in one variable without a lock.  tools/races runs this
// under ThreadSanitizer and fails if no race is reported: a sanitizer that sees
// nothing here would prove nothing about core_stress_test.  The lock-guarded
// twin must stay silent: what base/mutex.h tells the sanitizer is understood.
//
// Tagged manual: it is wrong on purpose.

#include <cstdint>
#include <thread>

#include "base/mutex.h"
#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

constexpr int kRoundCount = 10000;

template <typename Step>
void InTwoThreads(Step step) {
  const auto rounds = [&step] {
    for (int i = 0; i < kRoundCount; ++i) step();
  };
  std::thread first(rounds);
  std::thread second(rounds);
  first.join();
  second.join();
}

TEST(PlantedRaceTest, WithoutALock) {
  // volatile: the optimiser would make one addition of all.
  volatile int64_t counter = 0;
  InTwoThreads([&counter] { counter = counter + 1; });
  EXPECT_GT(counter, 0);
}

TEST(PlantedRaceTest, UnderALock) {
  Mutex mutex;
  int64_t counter = 0;
  InTwoThreads([&mutex, &counter] {
    MutexLock lock(&mutex);
    ++counter;
  });
  EXPECT_EQ(counter, 2 * kRoundCount);
}

}  // namespace
}  // namespace reclaim::base
