// tests/benchmark/measuring.h — time, memory and the lines that a measurement
// prints.

#ifndef RECLAIM_TESTS_BENCHMARK_MEASURING_H_
#define RECLAIM_TESTS_BENCHMARK_MEASURING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace reclaim::benchmark {

struct Times {
  double wall = 0;  // seconds
  double cpu = 0;   // of this thread
  // Of all threads, the database's own among them.
  double all_cpu = 0;
};

// The median of `rounds` runs, each figure by itself.
Times Measure(int rounds, absl::FunctionRef<void()> run);
// Likewise, of runs that were measured one at a time.  REQUIRES: there is one.
Times MedianOf(const std::vector<Times>& runs);

// Tells who waits how far a measurement is: a line on stderr for each phase.
// tools/bench passes lines on that begin with "== "; all others are faults.
class Progress {
 public:
  explicit Progress(std::string name);
  // What has been done, and the seconds since the phase before.
  void Done(absl::string_view what);

 private:
  const std::string name_;
  double since_;
};

// Resident now.  Gives what was freed back to the system first, so that the
// difference of two calls is what was kept between them.
uint64_t ResidentBytes();
// The most that was resident since the start of the process, or since
// ResetPeak().
uint64_t PeakBytes();
void ResetPeak();

// One row of the table of tools/bench.
struct Line {
  std::string bench;
  std::string what;
  std::string unit = "s";
  double ours = 0;
  double limit = 0;  // 0: none was measured
  double peer = 0;   // likewise
  std::string peer_name;
  double cpu = 0;
  double wall = 0;
  uint64_t peak_bytes = 0;
  int rounds = 1;  // so many runs `ours` is the median of
  // Of latencies, in seconds; 0: none were taken.
  double p50 = 0;
  double p99 = 0;
  double max = 0;
  bool is_good = false;  // the oracle agrees
  std::string note;
};
void Print(const Line& line);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_MEASURING_H_
