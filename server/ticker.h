// server/ticker.h — calls a function again and again, on a thread of its own.

#ifndef RECLAIM_SERVER_TICKER_H_
#define RECLAIM_SERVER_TICKER_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace reclaim::server {

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
  // False if it is to stop.
  bool Wait(absl::Duration interval);

  base::Mutex mutex_;
  base::CondVar stopped_;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_TICKER_H_
