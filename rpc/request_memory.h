// rpc/request_memory.h — what a request id has begun.
//
// A call that begins a run or makes a plan and is repeated with the same id (by
// the same caller) within GraphOptions::request_memory gets the same run or
// plan, also from a daemon that was restarted meanwhile.  A daemon that dies
// between the beginning and its record has answered nobody: the repeated call
// then begins anew, and an apply is refused by its plan ("applied by run ...").
//
// Thread-safe.

#ifndef RECLAIM_RPC_REQUEST_MEMORY_H_
#define RECLAIM_RPC_REQUEST_MEMORY_H_

#include <functional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "index/reference_graph.h"

namespace reclaim::rpc {

class RequestMemory {
 public:
  // Where the graph will be once it is loaded; not owned.
  explicit RequestMemory(index::ReferenceGraph* const* graph) : graph_(graph) {}

  // The id that `begin` returned for this request before, else what it returns
  // now.  A repeated call waits for the first.  With an empty `request_id`
  // nothing is remembered.
  absl::StatusOr<std::string> Once(
      const std::string& actor, const std::string& request_id,
      const std::function<absl::StatusOr<std::string>()>& begin);

 private:
  absl::StatusOr<std::string> BeginOrRecall(
      const std::string& key,
      const std::function<absl::StatusOr<std::string>()>& begin);

  index::ReferenceGraph* const* graph_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::set<std::string> begun_now_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_REQUEST_MEMORY_H_
