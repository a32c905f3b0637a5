// server/ticker.h — calls a function again and again, on a thread of its own.

#ifndef RECLAIM_SERVER_TICKER_H_
#define RECLAIM_SERVER_TICKER_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/time/time.h"

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

  std::mutex mutex_;
  std::condition_variable stopped_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_TICKER_H_
