// tests/benchmark/measured_database.h — the databases of graph_benchmark: from
// a population to the sorted files that a start finds.

#ifndef RECLAIM_TESTS_BENCHMARK_MEASURED_DATABASE_H_
#define RECLAIM_TESTS_BENCHMARK_MEASURED_DATABASE_H_

#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "index/engine.h"
#include "index/rocksdb_engine.h"
#include "tests/benchmark/graph_measures.h"
#include "tests/benchmark/population_rows.h"

namespace reclaim::benchmark {

inline std::unique_ptr<index::Engine> OpenEngine(const std::string& path) {
  index::RocksDbOptions options;
  options.path = path;
  auto engine = index::OpenRocksDb(options);
  RECLAIM_CHECK(engine.ok(), "the folder of the measurement is ours");
  return *std::move(engine);
}

// Tells the population to a Writer on the database in `path`, and closes it
// with everything in sorted files.  `arguments` are those of the Writer after
// the engine.
template <typename Writer, typename... Arguments>
void WriteDatabase(const GraphMeasure& measure, const std::string& path,
                   const Arguments&... arguments) {
  {
    const std::unique_ptr<index::Engine> engine = OpenEngine(path);
    Writer writer(engine.get(), arguments...);
    TellRows(measure.objects, measure.seed, &writer);
    writer.Finish();
  }
  OpenEngine(path);  // replays the log into files
}

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_MEASURED_DATABASE_H_
