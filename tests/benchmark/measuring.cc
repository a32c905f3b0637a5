#include "tests/benchmark/measuring.h"

#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace reclaim::benchmark {
namespace {

double Now(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

uint64_t StatusBytes(const char* format) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  uint64_t kib = 0;
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    if (std::sscanf(line, format, &kib) == 1) break;
  }
  std::fclose(file);
  return kib * 1024;
}

}  // namespace

Times Measure(int rounds, absl::FunctionRef<void()> run) {
  std::vector<Times> runs;
  for (int i = 0; i < rounds; ++i) {
    const double wall_begin = Now(CLOCK_MONOTONIC);
    const double cpu_begin = Now(CLOCK_THREAD_CPUTIME_ID);
    const double all_cpu_begin = Now(CLOCK_PROCESS_CPUTIME_ID);
    run();
    Times times;
    times.cpu = Now(CLOCK_THREAD_CPUTIME_ID) - cpu_begin;
    times.all_cpu = Now(CLOCK_PROCESS_CPUTIME_ID) - all_cpu_begin;
    times.wall = Now(CLOCK_MONOTONIC) - wall_begin;
    runs.push_back(times);
  }
  return MedianOf(runs);
}

Times MedianOf(const std::vector<Times>& runs) {
  std::vector<double> wall;
  std::vector<double> cpu;
  std::vector<double> all_cpu;
  for (const Times& times : runs) {
    wall.push_back(times.wall);
    cpu.push_back(times.cpu);
    all_cpu.push_back(times.all_cpu);
  }
  return {Median(wall), Median(cpu), Median(all_cpu)};
}

Progress::Progress(std::string name)
    : name_(std::move(name)), since_(Now(CLOCK_MONOTONIC)) {}

void Progress::Done(absl::string_view what) {
  const double now = Now(CLOCK_MONOTONIC);
  std::fprintf(stderr, "== %s: %.*s, %.1f s\n", name_.c_str(),
               static_cast<int>(what.size()), what.data(), now - since_);
  since_ = now;
}

uint64_t ResidentBytes() {
  malloc_trim(0);
  return StatusBytes("VmRSS: %" SCNu64 " kB");
}

uint64_t PeakBytes() { return StatusBytes("VmHWM: %" SCNu64 " kB"); }

void ResetPeak() {
  malloc_trim(0);
  std::FILE* file = std::fopen("/proc/self/clear_refs", "w");
  if (file == nullptr) return;
  std::fputs("5", file);
  std::fclose(file);
}

void Print(const Line& line) {
  std::printf(
      "{\"bench\": \"%s\", \"what\": \"%s\", \"unit\": \"%s\", "
      "\"ours\": %.9g, \"limit\": %.9g, \"peer\": %.9g, \"peer_name\": "
      "\"%s\", \"cpu\": %.9g, \"wall\": %.9g, \"peak_bytes\": %" PRIu64
      ", \"rounds\": %d, \"p50\": %.9g, \"p99\": %.9g, \"max\": %.9g, "
      "\"oracle\": %s, \"note\": \"%s\"}\n",
      line.bench.c_str(), line.what.c_str(), line.unit.c_str(), line.ours,
      line.limit, line.peer, line.peer_name.c_str(), line.cpu, line.wall,
      line.peak_bytes, line.rounds, line.p50, line.p99, line.max,
      line.is_good ? "true" : "false", line.note.c_str());
  std::fflush(stdout);
}

}  // namespace reclaim::benchmark
