// The graph in memory and in its database, beside bare loops and oracles:
//
//   graph_benchmark mark|mark-cold|exclusive|memory|sweep-db|evict|whole|
//   tables|records OBJECTS FOLDER [SEED [ROUNDS]]
//
// Prints a JSON object for each row of the table of tools/bench, and what it
// has done so far on stderr.  FOLDER must be there and empty; it is left full.
// What can be repeated is run ROUNDS times (5), and the median counts.  The
// exit code is 1 if an oracle disagrees.

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "tests/benchmark/graph_measures.h"

namespace reclaim::benchmark {
namespace {

struct Named {
  const char* name;
  bool (*run)(const GraphMeasure& measure);
};
constexpr Named kMeasures[] = {
    {"mark", MeasureMark},           {"mark-cold", MeasureColdMark},
    {"exclusive", MeasureExclusive}, {"memory", MeasureMemory},
    {"sweep-db", MeasureSweep},      {"evict", MeasureEvict},
    {"whole", MeasureWhole},         {"tables", WriteTables},
    {"records", WriteRecords}};

int Main(const std::vector<std::string>& arguments) {
  GraphMeasure measure;
  const Named* chosen = nullptr;
  for (const Named& named : kMeasures) {
    if (!arguments.empty() && arguments[0] == named.name) chosen = &named;
  }
  if (chosen == nullptr || arguments.size() < 3 || arguments.size() > 5 ||
      !absl::SimpleAtoi(arguments[1], &measure.objects) ||
      (arguments.size() > 3 &&
       !absl::SimpleAtoi(arguments[3], &measure.seed)) ||
      (arguments.size() > 4 &&
       !absl::SimpleAtoi(arguments[4], &measure.rounds)) ||
      measure.rounds < 1) {
    std::fputs(
        "graph_benchmark mark|mark-cold|exclusive|memory|sweep-db|evict|whole|"
        "tables|records OBJECTS FOLDER [SEED [ROUNDS]]\n",
        stderr);
    return 2;
  }
  measure.folder = arguments[2];
  return chosen->run(measure) ? 0 : 1;
}

}  // namespace
}  // namespace reclaim::benchmark

int main(int argc, char** argv) {
  return reclaim::benchmark::Main({argv + 1, argv + argc});
}
