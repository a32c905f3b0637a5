// tests/benchmark/ingest_measures.h — private: the modes of ingest_benchmark.
//
// Each prints one JSON object, times in seconds.  The exit code is 1 if a call
// failed; why stands on stderr.

#ifndef RECLAIM_TESTS_BENCHMARK_INGEST_MEASURES_H_
#define RECLAIM_TESTS_BENCHMARK_INGEST_MEASURES_H_

#include <map>
#include <string>
#include <vector>

namespace reclaim::benchmark {

// Words NAME=VALUE.  One that is missing or no number ends the program with 2.
class Arguments {
 public:
  explicit Arguments(const std::vector<std::string>& words);

  bool Has(const std::string& name) const { return words_.count(name) > 0; }
  const std::string& Text(const std::string& name) const;
  // 0 or more.
  int Number(const std::string& name) const;

 private:
  std::map<std::string, std::string> words_;
};

// B6: pushes, a message after the other, and RocksDB with the same records.
int MeasurePushes(const Arguments& arguments);
// B6: all that clients of a registry do (tests/benchmark/event_mix.h).
int MeasureMix(const Arguments& arguments);
// B7, B9, B10: clients that push at a rate while something else is measured.
int WritePushes(const Arguments& arguments);
// B7: a question and an empty call in turns.
int MeasureCalls(const Arguments& arguments);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_INGEST_MEASURES_H_
