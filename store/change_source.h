// store/change_source.h — a store that says when it has changed.
//
// Engines have event streams.  An event is taken as a hint that the listing of
// the store has changed, never as the change itself: what the graph gets to
// know comes from a scan, so that an event that is lost, doubled or of unknown
// form costs a scan at the most.

#ifndef RECLAIM_STORE_CHANGE_SOURCE_H_
#define RECLAIM_STORE_CHANGE_SOURCE_H_

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace reclaim::store {

class ChangeSource {
 public:
  virtual ~ChangeSource() = default;

  // Waits until something has changed since the last call returned, at most
  // `patience`.  OK: it has, or may have (the first call, a stream that was
  // lost and is back): scan.  DEADLINE_EXCEEDED: nothing has.  UNAVAILABLE: the
  // engine is away; the call has waited, and the next one tries again.
  // CANCELLED: Interrupt() was called.  By one thread at a time.
  virtual absl::Status AwaitChange(absl::Duration patience) = 0;

  // Ends a call that waits, and every later one.  From any thread.
  virtual void Interrupt() = 0;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CHANGE_SOURCE_H_
