#include "rpc/call_limits.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "rpc/errors.h"

namespace reclaim::rpc {

bool IsStream(absl::string_view method) {
  for (const char* stream :
       {"CollectionService/WatchEvents", "CollectionService/WatchRun",
        "GraphService/RecordStream", "PolicyService/TestPolicy",
        "StoreService/VerifyStore"}) {
    if (method == stream) return true;
  }
  return false;
}

CallLimits::Admission::Admission(CallLimits* limits, bool is_stream,
                                 absl::Duration ends)
    : limits_(limits), ends_(ends) {
  if (!limits_->is_open_.load(std::memory_order_acquire)) {
    status_ = WithReason(
        absl::UnavailableError("the graph is being loaded; retry"), "LOADING");
    return;
  }
  if (!is_stream) return;
  const int max = limits_->options_.stream_count_max;
  if (limits_->stream_count_.fetch_add(1) < max) {
    has_slot_ = true;
    return;
  }
  limits_->stream_count_.fetch_sub(1);
  status_ = WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          max,
          " watches and streams are open, which is all that this daemon "
          "takes (limits.stream_count_max); end one of them")),
      "TOO_MANY_STREAMS");
}

CallLimits::Admission::~Admission() {
  if (has_slot_) limits_->stream_count_.fetch_sub(1);
}

bool CallLimits::Admission::IsLate() const {
  return ends_ != absl::InfiniteDuration() &&
         limits_->clock_->Monotonic() >= ends_;
}

absl::Status CallLimits::Admission::Outcome(absl::Status status) const {
  if (!absl::IsCancelled(status) || !IsLate()) return status;
  return absl::DeadlineExceededError(absl::StrCat(
      "the call took longer than ",
      absl::FormatDuration(limits_->options_.unary_deadline),
      ", which calls without a deadline of their own get; set one"));
}

CallLimits::Admission CallLimits::Admit(absl::string_view method,
                                        const grpc::ServerContext& context) {
  const bool is_stream = IsStream(method);
  const bool has_deadline =
      context.deadline() != std::chrono::system_clock::time_point::max();
  return Admission(this, is_stream,
                   is_stream || has_deadline
                       ? absl::InfiniteDuration()
                       : clock_->Monotonic() + options_.unary_deadline);
}

}  // namespace reclaim::rpc
