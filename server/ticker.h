// server/ticker.h — calls a function again and again, on a thread of its own.

#ifndef RECLAIM_SERVER_TICKER_H_
#define RECLAIM_SERVER_TICKER_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/time/time.h"

namespace reclaim::server {

// A wait that somebody else may end.  Not by base::CondVar, which waits until
// an instant of the wall clock: set back, it would wait for as long as that.
class Pause {
 public:
  // False if it was ended, now or before.
  bool For(absl::Duration time);
  void End();

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool is_ended_ = false;
};

class Ticker {
 public:
  // Waits for `interval` between two calls.
  Ticker(absl::Duration interval, std::function<void()> call);
  // Waits for the call that runs.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  void Run(absl::Duration interval, const std::function<void()>& call);

  Pause pause_;
  std::thread thread_;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_TICKER_H_
