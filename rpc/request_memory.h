// rpc/request_memory.h — what a request id has begun.
//
// A call that begins a run or makes a plan and is repeated with the same id (by
// the same caller) within a day gets the same run or plan.  In memory: after a
// restart of the daemon an apply that is repeated is refused by its plan
// ("applied by run ..."), the others begin anew, which is harmless.
//
// Thread-safe.

#ifndef RECLAIM_RPC_REQUEST_MEMORY_H_
#define RECLAIM_RPC_REQUEST_MEMORY_H_

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace reclaim::rpc {

class RequestMemory {
 public:
  // Not owned.
  explicit RequestMemory(const base::Clock* clock) : clock_(clock) {}

  // The id that `begin` returned for `key` before, else what it returns now.
  // Calls with ids are ordered.  With an empty `request_id` nothing is
  // remembered.
  absl::StatusOr<std::string> Once(
      const std::string& actor, const std::string& request_id,
      const std::function<absl::StatusOr<std::string>()>& begin);

 private:
  void DropOld() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock* clock_;
  base::Mutex mutex_;
  std::map<std::string, std::string> ids_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<absl::Time, std::string>> order_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_REQUEST_MEMORY_H_
