// server/daemon_observers.h — private: what the daemon's parts tell, passed on
// to the metrics and to the log.

#ifndef RECLAIM_SERVER_DAEMON_OBSERVERS_H_
#define RECLAIM_SERVER_DAEMON_OBSERVERS_H_

#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gc/run.h"
#include "gc/schedule_observer.h"
#include "metrics/metrics.h"
#include "rpc/service_parts.h"

namespace reclaim::server {

// What the gRPC server tells, counted.
class CountedCalls final : public rpc::CallObserver {
 public:
  explicit CountedCalls(metrics::Metrics* metrics) : metrics_(metrics) {}
  void OnCallBegin(absl::string_view method) override {
    metrics_->OnCallBegin(method);
  }
  void OnCallEnd(absl::string_view method, const absl::Status& status,
                 absl::Duration took) override {
    metrics_->OnCallEnd(method, status.code(), took);
  }
  void OnNotification(absl::string_view action) override {
    metrics_->OnNotification(action);
  }
  void OnFinding(absl::string_view check) override {
    metrics_->OnFinding(check);
  }
  void OnVerifyBegin(const gc::Run& run) override { metrics_->OnRunBegin(run); }
  void OnVerifyEnd(const gc::Run& run) override { metrics_->OnRunEnd(run); }

 private:
  metrics::Metrics* metrics_;
};

// What a person should know of the runs of schedules; the rest is counted.
class ScheduleLog final : public gc::ScheduleObserver {
 public:
  ScheduleLog(gc::ScheduleObserver* next,
              std::function<void(absl::string_view)> say)
      : next_(next), say_(std::move(say)) {}
  void OnScheduleEnd(const gc::Schedule& schedule,
                     const gc::ScheduleState& state) override {
    next_->OnScheduleEnd(schedule, state);
    if (state.last_outcome == gc::ScheduleOutcome::kSucceeded ||
        state.last_outcome == gc::ScheduleOutcome::kNothingToDo) {
      return;
    }
    say_(absl::StrCat("schedule ", schedule.name, ": ",
                      gc::ToString(state.last_outcome), ": ",
                      state.last_message));
  }

 private:
  gc::ScheduleObserver* next_;
  std::function<void(absl::string_view)> say_;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_DAEMON_OBSERVERS_H_
