// base/random.h — randomness, injected.
//
// Ids of plans and runs must be hard to guess and must not collide; tests want
// them repeatable.  Thread-safe.

#ifndef RECLAIM_BASE_RANDOM_H_
#define RECLAIM_BASE_RANDOM_H_

#include <cstdint>
#include <random>
#include <string>

#include "base/mutex.h"

namespace reclaim::base {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual uint64_t Next() = 0;
};

// The kernel's random numbers.  Lives for ever.
RandomSource* SystemRandom();

// Repeats itself for equal seeds; for tests.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  uint64_t Next() override {
    MutexLock lock(&mutex_);
    return engine_();
  }

 private:
  Mutex mutex_;
  std::mt19937_64 engine_ ABSL_GUARDED_BY(mutex_);
};

// 16 lower-case hex digits.
std::string RandomId(RandomSource* random);

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_RANDOM_H_
