// gc/schedule_observer.h — who hears of the runs of schedules.

#ifndef RECLAIM_GC_SCHEDULE_OBSERVER_H_
#define RECLAIM_GC_SCHEDULE_OBSERVER_H_

#include "gc/schedule.h"

namespace reclaim::gc {

// Called from several threads; must be quick and must not call back.
class ScheduleObserver {
 public:
  virtual ~ScheduleObserver() = default;
  // A run has ended; `state` says how.
  virtual void OnScheduleEnd(const Schedule& schedule,
                             const ScheduleState& state) {}
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_SCHEDULE_OBSERVER_H_
