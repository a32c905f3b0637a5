// metrics/gauge_family.h — private: one family whose values are read at scrape
// time.

#ifndef RECLAIM_METRICS_GAUGE_FAMILY_H_
#define RECLAIM_METRICS_GAUGE_FAMILY_H_

#include <prometheus/metric_family.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace reclaim::metrics {

inline double D(uint64_t value) { return static_cast<double>(value); }

class GaugeFamily {
 public:
  GaugeFamily(const char* name, const char* help,
              prometheus::MetricType type = prometheus::MetricType::Gauge) {
    family_.name = name;
    family_.help = help;
    family_.type = type;
  }
  void Set(std::vector<prometheus::ClientMetric::Label> labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (family_.type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family_.metric.push_back(std::move(metric));
  }
  void MoveTo(std::vector<prometheus::MetricFamily>* families) {
    families->push_back(std::move(family_));
  }

 private:
  prometheus::MetricFamily family_;
};

}  // namespace reclaim::metrics

#endif  // RECLAIM_METRICS_GAUGE_FAMILY_H_
