// server/store_follower.h — keeps the graph current with engines that say when
// they have changed.
//
// One thread a store waits for its event stream and asks the collector for a
// sync.  Many events in a row are one sync: while one is at work more may come,
// and the next sees all of them.  An engine that is away is tried again; the
// other stores do not notice.

#ifndef RECLAIM_SERVER_STORE_FOLLOWER_H_
#define RECLAIM_SERVER_STORE_FOLLOWER_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "gc/collector.h"
#include "store/content_store.h"

namespace reclaim::server {

class StoreFollower {
 public:
  // `say` takes a line for the log, from any thread.  Not owned.
  StoreFollower(gc::Collector* collector, const base::Clock* clock,
                std::function<void(const std::string&)> say)
      : collector_(collector), clock_(clock), say_(std::move(say)) {}
  ~StoreFollower() { Stop(); }

  // Nothing if the store has no event stream.  The store outlives Stop().
  void Follow(const std::string& name, store::ContentStore* content);

  // Ends all threads.  Idempotent.
  void Stop();

 private:
  void Run(const std::string& name, store::ChangeSource* changes);
  // False when the store is not collected any more.
  bool SyncOnce(const std::string& name, bool* needs_recovery,
                std::string* last_problem);
  // False if Stop() was called meanwhile.
  bool Pause(absl::Duration duration);

  gc::Collector* collector_;
  const base::Clock* clock_;
  const std::function<void(const std::string&)> say_;
  std::mutex mutex_;  // guards all below
  std::condition_variable stopped_;
  bool is_stopping_ = false;
  std::vector<store::ChangeSource*> sources_;
  std::vector<std::thread> threads_;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_STORE_FOLLOWER_H_
