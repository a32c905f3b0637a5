// metrics/metrics.h — everything that Prometheus scrapes.
//
// Gauges are read out of the graph's counters at scrape time (the same cost
// whatever the size of the stores); counters and histograms are filled by what
// the collector and the gRPC server tell.  Names follow Prometheus' rules
// (`promtool check metrics` is clean).  No label holds a name that a client
// chooses but the store's: repositories, tags and digests are not bounded.
//
// Thread-safe.

#ifndef RECLAIM_METRICS_METRICS_H_
#define RECLAIM_METRICS_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "gc/observer.h"
#include "gc/schedule_observer.h"
#include "index/engine_stats.h"
#include "index/reference_graph.h"
#include "store/types.h"

namespace reclaim::metrics {

class Metrics : public gc::CollectorObserver, public gc::ScheduleObserver {
 public:
  // `graph` may be given later (SetGraph()); until then there are no stores.
  static std::unique_ptr<Metrics> Create(const base::Clock* clock,
                                         absl::string_view version);

  // Not owned.  `capacity` answers for a store's file system; UNAVAILABLE if
  // the store is away, another error if nobody knows.
  using CapacityOf =
      std::function<absl::StatusOr<store::Capacity>(const std::string& store)>;
  virtual void SetGraph(const index::ReferenceGraph* graph,
                        CapacityOf capacity) = 0;
  // No scrape reads the graph afterwards.
  virtual void ClearGraph() = 0;

  // How the engine fares, asked at each scrape; nullptr for none.
  virtual void SetEngine(std::function<index::EngineStats()> stats) = 0;
  // Whether the daemon serves (SetReady()); what the /readyz page says.
  virtual void SetReady(bool is_ready) = 0;
  // How many stores could not be recovered from a crash yet.
  virtual void SetUnrecoveredStores(uint64_t count) = 0;
  // When the server's certificate ends; InfiniteFuture() without TLS.
  virtual void SetCertificateExpiry(absl::Time expiry) = 0;
  // By how much the daemon's time is behind the wall clock (base/leap_clock.h).
  virtual void SetClockHeldBack(absl::Duration behind) = 0;
  // Methods as OnCallEnd() names them: their series begin at 0.
  virtual void DeclareMethods(const std::vector<std::string>& methods) = 0;

  // gRPC calls; a method that is none of reclaim.v1 counts as "other".
  virtual void OnCallBegin(absl::string_view method) = 0;
  virtual void OnCallEnd(absl::string_view method, absl::StatusCode code,
                         absl::Duration took) = 0;
  // A finding of `verify`, by its check.
  virtual void OnFinding(absl::string_view check) = 0;

  // A registry told of something, by its action.
  virtual void OnNotification(absl::string_view action) = 0;

  // The text exposition format, version 0.0.4.
  virtual std::string Scrape() = 0;
};

}  // namespace reclaim::metrics

#endif  // RECLAIM_METRICS_METRICS_H_
