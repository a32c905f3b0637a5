// metrics/graph_gauges.h — private: gauges that are read at scrape time.

#ifndef RECLAIM_METRICS_GRAPH_GAUGES_H_
#define RECLAIM_METRICS_GRAPH_GAUGES_H_

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "index/reference_graph.h"
#include "metrics/metrics.h"

namespace reclaim::metrics {

void AddGraph(const index::ReferenceGraph& graph,
              const Metrics::CapacityOf& capacity, const base::Clock& clock,
              std::vector<prometheus::MetricFamily>* families);

void AddProcess(const base::Clock& clock, const std::string& version,
                std::vector<prometheus::MetricFamily>* families);

}  // namespace reclaim::metrics

#endif  // RECLAIM_METRICS_GRAPH_GAUGES_H_
