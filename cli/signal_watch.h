// cli/signal_watch.h — a signal that is to end a run, and not the program.

#ifndef RECLAIM_CLI_SIGNAL_WATCH_H_
#define RECLAIM_CLI_SIGNAL_WATCH_H_

#include <signal.h>

#include <cstddef>

namespace reclaim::cli {

// While it lives SIGINT, SIGTERM and SIGHUP do not end the program: the last
// one is remembered.  It begins before the call that starts a run, for one that
// comes before the answer is meant for a run whose id nobody knows yet.
//
// Until Hold() that is true of the first of each kind alone: the daemon may
// have to scan before it begins (ApplyPlan), and a second one ends the program,
// with which the daemon ends that scan.
//
// One at a time, for signals belong to the program.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();  // what was before is again
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  // The run is known, and is asked to end: no signal ends the program.
  void Hold();

  // The last signal that came; 0 for none, and where there is no watch.
  // Thread-safe.
  static int Caught();

 private:
  static constexpr size_t kSignalCount = 3;
  struct sigaction before_[kSignalCount] = {};
};

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_SIGNAL_WATCH_H_
