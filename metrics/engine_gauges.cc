#include "metrics/engine_gauges.h"

#include "metrics/gauge_family.h"

namespace reclaim::metrics {

using prometheus::MetricType;

void AddEngine(const index::EngineStats& stats,
               std::vector<prometheus::MetricFamily>* families) {
  const struct {
    const char* name;
    const char* help;
    MetricType type;
    double value;
  } figures[] = {
      {"reclaim_rocksdb_disk_bytes", "Bytes of the database's sorted files.",
       MetricType::Gauge, D(stats.disk_bytes)},
      {"reclaim_rocksdb_memtable_bytes",
       "Bytes that are written and not yet in a sorted file.",
       MetricType::Gauge, D(stats.buffer_bytes)},
      {"reclaim_rocksdb_block_cache_bytes", "Bytes of cached blocks.",
       MetricType::Gauge, D(stats.cache_bytes)},
      {"reclaim_rocksdb_stall_seconds_total",
       "How long writers waited for flushes and compactions.",
       MetricType::Counter, absl::ToDoubleSeconds(stats.stalled)},
      {"reclaim_rocksdb_write_stopped", "1 while writers wait for it.",
       MetricType::Gauge, stats.is_write_stopped ? 1.0 : 0.0},
      {"reclaim_rocksdb_pending_compaction_bytes",
       "Bytes that compactions have yet to rewrite, as it estimates.",
       MetricType::Gauge, D(stats.pending_compaction_bytes)},
      {"reclaim_rocksdb_running_compactions", "Compactions at work now.",
       MetricType::Gauge, D(stats.running_compaction_count)},
      {"reclaim_rocksdb_running_flushes", "Flushes at work now.",
       MetricType::Gauge, D(stats.running_flush_count)},
      {"reclaim_rocksdb_compaction_read_bytes_total",
       "Bytes that compactions read.", MetricType::Counter,
       D(stats.compaction_read_bytes)},
      {"reclaim_rocksdb_compaction_written_bytes_total",
       "Bytes that compactions wrote.", MetricType::Counter,
       D(stats.compaction_written_bytes)},
      {"reclaim_rocksdb_flushed_bytes_total", "Bytes that flushes wrote.",
       MetricType::Counter, D(stats.flushed_bytes)},
      {"reclaim_rocksdb_background_errors_total",
       "Flushes and compactions that failed.", MetricType::Counter,
       D(stats.background_error_count)},
  };
  for (const auto& figure : figures) {
    GaugeFamily family(figure.name, figure.help, figure.type);
    family.Set({}, figure.value);
    family.MoveTo(families);
  }
}

}  // namespace reclaim::metrics
