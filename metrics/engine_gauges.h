// metrics/engine_gauges.h — private: what the engine below the graph tells.

#ifndef RECLAIM_METRICS_ENGINE_GAUGES_H_
#define RECLAIM_METRICS_ENGINE_GAUGES_H_

#include <prometheus/metric_family.h>

#include <vector>

#include "index/engine_stats.h"

namespace reclaim::metrics {

void AddEngine(const index::EngineStats& stats,
               std::vector<prometheus::MetricFamily>* families);

}  // namespace reclaim::metrics

#endif  // RECLAIM_METRICS_ENGINE_GAUGES_H_
