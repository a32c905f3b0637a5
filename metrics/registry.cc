#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/labels.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "metrics/engine_gauges.h"
#include "metrics/errno_label.h"
#include "metrics/graph_gauges.h"
#include "metrics/metrics.h"

namespace reclaim::metrics {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;

const Histogram::BucketBoundaries& RunBuckets() {
  static const auto* const buckets = new Histogram::BucketBoundaries{
      0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200};
  return *buckets;
}
const Histogram::BucketBoundaries& CallBuckets() {
  static const auto* const buckets = new Histogram::BucketBoundaries{
      0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30};
  return *buckets;
}
const Histogram::BucketBoundaries& HoldBuckets() {
  static const auto* const buckets = new Histogram::BucketBoundaries{
      0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1};
  return *buckets;
}

constexpr gc::DoomReason kReasons[] = {
    gc::DoomReason::kUnreferenced,    gc::DoomReason::kDangling,
    gc::DoomReason::kUnused,          gc::DoomReason::kStopped,
    gc::DoomReason::kNoContainer,     gc::DoomReason::kCacheUnused,
    gc::DoomReason::kUntaggedLink,    gc::DoomReason::kUnusedLayerLink,
    gc::DoomReason::kAbandonedUpload, gc::DoomReason::kSubjectGone,
    gc::DoomReason::kNamed,           gc::DoomReason::kRetention};
constexpr gc::ScheduleOutcome kOutcomes[] = {
    gc::ScheduleOutcome::kSucceeded,
    gc::ScheduleOutcome::kPartial,
    gc::ScheduleOutcome::kFailed,
    gc::ScheduleOutcome::kTooLarge,
    gc::ScheduleOutcome::kNothingToDo,
    gc::ScheduleOutcome::kWaitsForApproval,
    gc::ScheduleOutcome::kWaitsForConfirmation};
constexpr gc::RunKind kKinds[] = {gc::RunKind::kScan, gc::RunKind::kApply,
                                  gc::RunKind::kRestore, gc::RunKind::kPurge,
                                  gc::RunKind::kVerify};
// Those of index/verify.h (Finding::check): a series that appears with its
// first event is none that an alert sees grow.
const char* const kChecks[] = {
    "counter-mismatch",   "identity-broken", "record-mismatch",
    "missing-record",     "missing-blob",    "size-differs",
    "missing-quarantine", "unknown-content", "unreadable",
    "digest-mismatch",    "edge-mismatch",   "unread-manifest",
    "kept-scope",         "empty-link",      "declared-size",
    "embedded-data",      "future-time",     "missing-snapshot"};

const char* const kActions[] = {"push", "pull", "mount", "delete", "unknown"};

Family<Counter>& Counters(prometheus::Registry* registry, const char* name,
                          const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry);
}
Family<Histogram>& Histograms(prometheus::Registry* registry, const char* name,
                              const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(*registry);
}
Family<prometheus::Gauge>& Gauges(prometheus::Registry* registry,
                                  const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(*registry);
}

constexpr int kCodeMax = static_cast<int>(absl::StatusCode::kUnauthenticated);

// Not a name, a link or a record.
bool TakesBlob(const gc::PlanItem& item) {
  return item.removal && item.removal->kind == store::RemovalKind::kBlob;
}

bool IsKnownMethod(absl::string_view method) {
  return method.find("Service/") != absl::string_view::npos;
}

// Calls that wait for their turn in the write order.
bool IsWrite(absl::string_view method) {
  for (const char* verb : {"/Record", "/Check", "/Create", "/Update", "/Delete",
                           "/Register", "/Forget"}) {
    if (method.find(verb) != absl::string_view::npos) return true;
  }
  return false;
}

class RegistryMetrics final : public Metrics {
 public:
  RegistryMetrics(const base::Clock* clock, absl::string_view version)
      : clock_(clock), version_(version) {
    for (const char* check : kChecks) findings_.Add({{"kind", check}});
    for (const char* action : kActions) notified_.Add({{"action", action}});
    for (const gc::ScheduleOutcome outcome : kOutcomes) {
      schedule_runs_.Add({{"outcome", gc::ToString(outcome)}});
    }
    for (const gc::RunKind kind : kKinds) {
      running_.Add({{"kind", gc::ToString(kind)}});
    }
    ready_.Set(0);
    certificate_.Set(0);
  }

  void SetEngine(std::function<index::EngineStats()> stats) override {
    base::MutexLock lock(&mutex_);
    engine_ = std::move(stats);
  }
  void SetReady(bool is_ready) override { ready_.Set(is_ready ? 1 : 0); }
  void SetUnrecoveredStores(uint64_t count) override {
    unrecovered_.Set(static_cast<double>(count));
  }
  void SetCertificateExpiry(absl::Time expiry) override {
    certificate_.Set(expiry == absl::InfiniteFuture()
                         ? 0
                         : absl::ToDoubleSeconds(expiry - absl::UnixEpoch()));
  }
  void SetClockHeldBack(absl::Duration behind) override {
    held_back_.Set(absl::ToDoubleSeconds(behind));
  }
  void DeclareMethods(const std::vector<std::string>& methods) override {
    for (const std::string& method : methods) {
      // Of other codes once there is one: fifteen lines for each.
      handling_.Add({{"method", method}, {"code", "OK"}}, CallBuckets());
      for (int code = 0; code <= kCodeMax; ++code) {
        handled_.Add({{"method", method},
                      {"code", absl::StatusCodeToString(
                                   static_cast<absl::StatusCode>(code))}});
      }
    }
  }

  void SetGraph(const index::ReferenceGraph* graph,
                CapacityOf capacity) override {
    base::MutexLock lock(&mutex_);
    graph_ = graph;
    capacity_ = std::move(capacity);
  }
  void ClearGraph() override {
    base::MutexLock lock(&mutex_);
    graph_ = nullptr;
    capacity_ = nullptr;
  }

  void OnRunBegin(const gc::Run& run) override {
    running_.Add({{"kind", gc::ToString(run.kind)}}).Increment();
  }
  void OnRunEnd(const gc::Run& run) override {
    const char* kind = gc::ToString(run.kind);
    running_.Add({{"kind", kind}}).Decrement();
    if (run.phase == gc::RunPhase::kSucceeded) {
      last_success_.Add({{"store", run.store}, {"phase", kind}})
          .Set(absl::ToDoubleSeconds(run.ended - absl::UnixEpoch()));
    }
    const double took = absl::ToDoubleSeconds(run.ended - run.started);
    if (run.kind == gc::RunKind::kScan) Observe(&scan_, run.store, took);
    if (run.kind == gc::RunKind::kApply) Observe(&sweep_, run.store, took);
  }
  void OnScheduleEnd(const gc::Schedule&,
                     const gc::ScheduleState& state) override {
    schedule_runs_.Add({{"outcome", gc::ToString(state.last_outcome)}})
        .Increment();
  }
  void OnMarked(const std::string& store, absl::Duration took) override {
    Observe(&mark_, store, absl::ToDoubleSeconds(took));
  }
  void OnItemQuarantined(const std::string& store,
                         const gc::PlanItem& item) override {
    if (!TakesBlob(item)) return;
    deleted_.Add({{"store", store}, {"reason", gc::ToString(item.reason)}})
        .Increment();
  }
  void OnBytesPurged(const std::string& store,
                     const store::Bytes& bytes) override {
    deleted_bytes_.Add({{"store", store}})
        .Increment(static_cast<double>(bytes.allocated_bytes));
  }
  void OnItemRestored(const std::string& store,
                      const gc::PlanItem& item) override {
    if (TakesBlob(item)) restored_.Add({{"store", store}}).Increment();
  }
  void OnItemFailed(const std::string& store,
                    const absl::Status& status) override {
    errors_.Add({{"store", store}, {"errno", ErrnoLabel(status)}}).Increment();
  }
  void OnBatchHeld(const std::string& store, absl::Duration took) override {
    const double seconds = absl::ToDoubleSeconds(took);
    held_.Add({{"store", store}}, HoldBuckets()).Observe(seconds);
    base::MutexLock lock(&held_mutex_);
    double& most = held_most_[store];
    most = std::max(most, seconds);
    held_max_.Add({{"store", store}}).Set(most);
  }
  void OnWriterWaited(const std::string& store, absl::Duration took) override {
    const double seconds = absl::ToDoubleSeconds(took);
    waited_.Add({{"store", store}}, CallBuckets()).Observe(seconds);
    base::MutexLock lock(&held_mutex_);
    double& most = waited_most_[store];
    most = std::max(most, seconds);
    waited_max_.Add({{"store", store}}).Set(most);
  }

  void OnCallBegin(absl::string_view method) override {
    in_flight_.Increment();
    if (IsWrite(method)) queue_.Increment();
  }
  void OnCallEnd(absl::string_view method, absl::StatusCode code,
                 absl::Duration took) override {
    in_flight_.Decrement();
    if (IsWrite(method)) queue_.Decrement();
    const std::string name =
        IsKnownMethod(method) ? std::string(method) : "other";
    const prometheus::Labels labels = {
        {"method", name}, {"code", absl::StatusCodeToString(code)}};
    handled_.Add(labels).Increment();
    handling_.Add(labels, CallBuckets()).Observe(absl::ToDoubleSeconds(took));
  }
  void OnFinding(absl::string_view check) override {
    findings_.Add({{"kind", std::string(check)}}).Increment();
  }

  void OnNotification(absl::string_view action) override {
    notified_.Add({{"action", std::string(action)}}).Increment();
  }

  std::string Scrape() override {
    std::vector<prometheus::MetricFamily> families;
    {
      base::MutexLock lock(&mutex_);
      AddProcess(*clock_, version_, &families);
      if (graph_ != nullptr) {
        for (const auto& store : graph_->Stores()) Begin(store.name);
        AddGraph(*graph_, capacity_, *clock_, &families);
      }
      if (engine_) AddEngine(engine_(), &families);
    }
    std::vector<prometheus::MetricFamily> counted = registry_.Collect();
    std::move(counted.begin(), counted.end(), std::back_inserter(families));
    return prometheus::TextSerializer().Serialize(families);
  }

 private:
  void Observe(Family<Histogram>* family, const std::string& store,
               double seconds) {
    family->Add({{"store", store}}, RunBuckets()).Observe(seconds);
  }

  // Every series of a store is there from its first scrape, at 0: a rate over
  // a series that appears with its first event misses that event.
  void Begin(const std::string& store) {
    for (const gc::DoomReason reason : kReasons) {
      deleted_.Add({{"store", store}, {"reason", gc::ToString(reason)}});
    }
    deleted_bytes_.Add({{"store", store}});
    restored_.Add({{"store", store}});
    scan_.Add({{"store", store}}, RunBuckets());
    mark_.Add({{"store", store}}, RunBuckets());
    sweep_.Add({{"store", store}}, RunBuckets());
    held_.Add({{"store", store}}, HoldBuckets());
    for (const std::string& label : ErrnoLabels()) {
      errors_.Add({{"store", store}, {"errno", label}});
    }
    held_max_.Add({{"store", store}});
    waited_.Add({{"store", store}}, CallBuckets());
    waited_max_.Add({{"store", store}});
    for (const gc::RunKind kind : kKinds) {
      last_success_.Add({{"store", store}, {"phase", gc::ToString(kind)}});
    }
  }

  const base::Clock* clock_;
  const std::string version_;
  base::Mutex mutex_;
  const index::ReferenceGraph* graph_ = nullptr;
  CapacityOf capacity_;
  std::function<index::EngineStats()> engine_;
  // Of its own: whoever reports a batch may hold the graph, for which a scrape
  // waits.
  base::Mutex held_mutex_;
  std::map<std::string, double> held_most_;
  std::map<std::string, double> waited_most_;
  prometheus::Registry registry_;
  Family<Histogram>& scan_ =
      Histograms(&registry_, "reclaim_scan_duration_seconds",
                 "How long scans of a store took.");
  Family<Histogram>& mark_ =
      Histograms(&registry_, "reclaim_mark_duration_seconds",
                 "How long marking and planning took.");
  Family<Histogram>& sweep_ =
      Histograms(&registry_, "reclaim_sweep_duration_seconds",
                 "How long applied plans took.");
  Family<Histogram>& held_ =
      Histograms(&registry_, "reclaim_sweep_batch_held_seconds",
                 "How long a batch of a sweep or a purge held the write order "
                 "for one of its two commits, the commit's sync included.");
  Family<prometheus::Gauge>& held_max_ =
      Gauges(&registry_, "reclaim_sweep_batch_held_max_seconds",
             "The longest time since the start that a batch of a sweep or a "
             "purge held the write order for a commit.");
  Family<Histogram>& waited_ = Histograms(
      &registry_, "reclaim_writer_wait_seconds",
      "How long records, existence checks, notifications and scans that name "
      "what lies in quarantine waited until it was back, for the batch at work "
      "and for the way back; and who holds content that no scan has read, for "
      "the batch at work.");
  Family<prometheus::Gauge>& waited_max_ =
      Gauges(&registry_, "reclaim_writer_wait_max_seconds",
             "The longest of reclaim_writer_wait_seconds since the start.");
  Family<Counter>& deleted_ =
      Counters(&registry_, "reclaim_deleted_blobs_total",
               "Blobs taken into quarantine, by the reason of their plan.");
  Family<Counter>& deleted_bytes_ =
      Counters(&registry_, "reclaim_deleted_bytes_total",
               "Bytes on disk that purges freed.");
  Family<Counter>& errors_ =
      Counters(&registry_, "reclaim_delete_errors_total",
               "Items that a store refused to take away, by errno.");
  Family<Counter>& restored_ =
      Counters(&registry_, "reclaim_resurrected_blobs_total",
               "Blobs that came back out of quarantine.");
  Family<Counter>& findings_ =
      Counters(&registry_, "reclaim_graph_inconsistencies_total",
               "Findings of verifications, by check.");
  Family<Counter>& notified_ =
      Counters(&registry_, "reclaim_registry_notifications_total",
               "Events that registries told of and that are in the graph, by "
               "action.");
  Family<Counter>& schedule_runs_ =
      Counters(&registry_, "reclaim_schedule_runs_total",
               "Runs of schedules that ended, by outcome; too-large, "
               "waits-for-approval and waits-for-confirmation wait for a "
               "person.");
  Family<prometheus::Gauge>& last_success_ =
      Gauges(&registry_, "reclaim_last_success_timestamp_seconds",
             "When a run of this phase last succeeded; 0: never yet.");
  Family<prometheus::Gauge>& running_ = Gauges(
      &registry_, "reclaim_runs_in_progress", "Runs at work now, by kind.");
  Family<Counter>& handled_ =
      Counters(&registry_, "reclaim_grpc_server_handled_total",
               "gRPC calls that ended, by method and code.");
  Family<Histogram>& handling_ =
      Histograms(&registry_, "reclaim_grpc_server_handling_seconds",
                 "How long gRPC calls took, streams included, by method and "
                 "code.");
  prometheus::Gauge& ready_ =
      Gauges(&registry_, "reclaim_ready", "1 while /readyz says so.").Add({});
  prometheus::Gauge& unrecovered_ =
      Gauges(&registry_, "reclaim_stores_unrecovered",
             "Stores whose recovery from a crash did not come to its end; it "
             "is tried again every ten minutes.")
          .Add({});
  prometheus::Gauge& certificate_ =
      Gauges(&registry_, "reclaim_tls_certificate_expiry_timestamp_seconds",
             "When the server's certificate ends; 0 without TLS.")
          .Add({});
  prometheus::Gauge& held_back_ =
      Gauges(&registry_, "reclaim_clock_held_back_seconds",
             "By how much the daemon's time is behind the wall clock, because "
             "that leapt forward less than a day ago.")
          .Add({});
  prometheus::Gauge& queue_ =
      Gauges(&registry_, "reclaim_queue_depth",
             "Calls that write and are not answered yet: they wait for the "
             "write order or for the disk.")
          .Add({});
  prometheus::Gauge& in_flight_ =
      Gauges(&registry_, "reclaim_grpc_server_in_flight",
             "gRPC calls that are being answered.")
          .Add({});
};

}  // namespace

std::unique_ptr<Metrics> Metrics::Create(const base::Clock* clock,
                                         absl::string_view version) {
  return std::make_unique<RegistryMetrics>(clock, version);
}

}  // namespace reclaim::metrics
