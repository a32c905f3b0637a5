#include "rpc/request_memory.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rpc/operations.h"

namespace reclaim::rpc {

absl::StatusOr<std::string> RequestMemory::Once(
    const std::string& actor, const std::string& request_id,
    const std::function<absl::StatusOr<std::string>()>& begin) {
  if (request_id.empty()) return begin();
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request_id));
  const std::string key = absl::StrCat(actor, "\n", request_id);
  {
    base::MutexLock lock(&mutex_);
    while (begun_now_.count(key) > 0) changed_.Wait(&mutex_);
    begun_now_.insert(key);
  }
  absl::StatusOr<std::string> id = BeginOrRecall(key, begin);
  base::MutexLock lock(&mutex_);
  begun_now_.erase(key);
  changed_.NotifyAll();
  return id;
}

absl::StatusOr<std::string> RequestMemory::BeginOrRecall(
    const std::string& key,
    const std::function<absl::StatusOr<std::string>()>& begin) {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> known,
                           (*graph_)->RecallAnswer(key));
  if (known) return *known;
  RECLAIM_ASSIGN_OR_RETURN(std::string id, begin());
  // It has begun, whatever becomes of its record: without one a repeated call
  // begins anew, which deletes nothing that it would not have deleted.
  (*graph_)->RememberAnswer(key, id).IgnoreError();
  return id;
}

}  // namespace reclaim::rpc
