#include "rpc/call_limits.h"

#include <chrono>
#include <utility>

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

absl::Status CallLimits::TakeSlot(const std::string& peer) {
  const int max = options_.stream_count_max;
  const int peer_max = options_.peer_stream_count_max;
  base::MutexLock lock(&mutex_);
  if (stream_count_ >= max) {
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat(
            max,
            " watches and streams are open, which is all that this daemon "
            "takes (limits.stream_count_max); end one of them")),
        "TOO_MANY_STREAMS");
  }
  if (!peer.empty()) {
    int& of_peer = peer_stream_counts_[peer];
    if (peer_max > 0 && of_peer >= peer_max) {
      return WithReason(
          absl::ResourceExhaustedError(absl::StrCat(
              peer, " has ", peer_max,
              " watches and streams open, which is all that one peer may "
              "(limits.peer_stream_count_max); end one of them")),
          "TOO_MANY_STREAMS");
    }
    ++of_peer;
  }
  ++stream_count_;
  return absl::OkStatus();
}

void CallLimits::GiveSlotBack(const std::string& peer) {
  base::MutexLock lock(&mutex_);
  --stream_count_;
  const auto it = peer_stream_counts_.find(peer);
  if (it == peer_stream_counts_.end()) return;
  if (--it->second == 0) peer_stream_counts_.erase(it);
}

CallLimits::Admission::Admission(CallLimits* limits, bool is_stream,
                                 std::string peer, absl::Duration ends)
    : limits_(limits), peer_(std::move(peer)), ends_(ends) {
  if (!limits_->is_open_.load(std::memory_order_acquire)) {
    status_ = WithReason(
        absl::UnavailableError("the graph is being loaded; retry"), "LOADING");
    return;
  }
  if (!is_stream) return;
  status_ = limits_->TakeSlot(peer_);
  has_slot_ = status_.ok();
}

CallLimits::Admission::~Admission() {
  if (has_slot_) limits_->GiveSlotBack(peer_);
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
                                        const grpc::ServerContext& context,
                                        absl::string_view actor) {
  const bool is_stream = IsStream(method);
  const bool has_deadline =
      context.deadline() != std::chrono::system_clock::time_point::max();
  return Admission(this, is_stream, IsLocalRoot(actor) ? "" : PeerName(actor),
                   is_stream || has_deadline
                       ? absl::InfiniteDuration()
                       : clock_->Monotonic() + options_.unary_deadline);
}

}  // namespace reclaim::rpc
