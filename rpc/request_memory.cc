#include "rpc/request_memory.h"

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "rpc/operations.h"

namespace reclaim::rpc {
namespace {

constexpr absl::Duration kMemory = absl::Hours(24);
constexpr size_t kCountMax = 100'000;

}  // namespace

void RequestMemory::DropOld() {
  const absl::Time now = clock_->Now();
  while (!order_.empty() &&
         (order_.size() > kCountMax || order_.front().first + kMemory < now)) {
    ids_.erase(order_.front().second);
    order_.pop_front();
  }
}

absl::StatusOr<std::string> RequestMemory::Once(
    const std::string& actor, const std::string& request_id,
    const std::function<absl::StatusOr<std::string>()>& begin) {
  if (request_id.empty()) return begin();
  RECLAIM_RETURN_IF_ERROR(CheckRequestId(request_id));
  const std::string key = absl::StrCat(actor, "\n", request_id);
  base::MutexLock lock(&mutex_);
  DropOld();
  const auto it = ids_.find(key);
  if (it != ids_.end()) return it->second;
  RECLAIM_ASSIGN_OR_RETURN(std::string id, begin());
  ids_[key] = id;
  order_.emplace_back(clock_->Now(), key);
  return id;
}

}  // namespace reclaim::rpc
