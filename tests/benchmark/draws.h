// tests/benchmark/draws.h — random numbers that are the same on every machine,
// unlike those of <random>'s distributions.
//
// SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number
// generators", 2014).  Thread-compatible.

#ifndef RECLAIM_TESTS_BENCHMARK_DRAWS_H_
#define RECLAIM_TESTS_BENCHMARK_DRAWS_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace reclaim::benchmark {

class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  bool Chance(double share) { return Unit() < share; }
  // In [least, most].
  uint32_t Between(uint32_t least, uint32_t most) {
    return least + static_cast<uint32_t>(Next() % (most - least + 1));
  }
  // In [0, count), which is not empty.
  size_t Below(size_t count) { return Next() % count; }
  // In [0, count), low ones far more often: Zipf with exponent 1, by inversion
  // of its continuous form.
  size_t Rank(size_t count) {
    const double n = static_cast<double>(count);
    const auto rank = static_cast<size_t>(std::pow(n + 1, Unit())) - 1;
    return std::min(rank, count - 1);
  }
  // Box and Muller, one of the pair.
  double Normal() {
    const double u = 1.0 - Unit();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2 * M_PI * Unit());
  }
  double LogNormal(double median, double sigma) {
    return median * std::exp(sigma * Normal());
  }
  // With a mean of 1: what lies between two events that know nothing of each
  // other.
  double Exponential() { return -std::log(1.0 - Unit()); }

  // Bytes of a layer, compressed, as PERFORMANCE.md 1.4 has them distributed:
  // half below 4 MB (these have 1.2 MB), a tenth above 63 MB (62).  That is a
  // third tiny ones and a log-normal rest, whose median is 6.7 MB here: with
  // the 3 MB that are given there a tenth would be above no more than 28 MB.
  uint64_t LayerBytes() {
    if (Chance(0.35)) {
      return static_cast<uint64_t>(32 * std::pow(100'000.0 / 32, Unit()));
    }
    return static_cast<uint64_t>(std::min(LogNormal(6.7e6, 2.2), 10e9));
  }

 private:
  uint64_t state_;
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_DRAWS_H_
