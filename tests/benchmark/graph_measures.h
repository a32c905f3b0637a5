// tests/benchmark/graph_measures.h — the measurements of graph_benchmark.

#ifndef RECLAIM_TESTS_BENCHMARK_GRAPH_MEASURES_H_
#define RECLAIM_TESTS_BENCHMARK_GRAPH_MEASURES_H_

#include <cstdint>
#include <string>

namespace reclaim::benchmark {

struct GraphMeasure {
  uint64_t objects = 100'000;
  uint64_t seed = 1;
  int rounds = 5;      // of what can be repeated; at least 1
  std::string folder;  // of the databases
};

// Each prints its lines and returns whether every oracle agreed.
bool MeasureMark(const GraphMeasure& measure);       // B1
bool MeasureColdMark(const GraphMeasure& measure);   // B2
bool MeasureExclusive(const GraphMeasure& measure);  // B8
bool MeasureMemory(const GraphMeasure& measure);     // B11
bool MeasureSweep(const GraphMeasure& measure);      // B13
bool MeasureEvict(const GraphMeasure& measure);      // B12; objects: images
// All of a run in one process, for its peak.
bool MeasureWhole(const GraphMeasure& measure);
// No measurement: the population as text for other programs, nodes.tsv and
// edges.tsv in the folder, and a line with what they must find.
bool WriteTables(const GraphMeasure& measure);
// Nor this: the database of the population for a daemon, with an external store
// "s", as graph in the folder, and a line with what the daemon must find.
bool WriteRecords(const GraphMeasure& measure);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_GRAPH_MEASURES_H_
