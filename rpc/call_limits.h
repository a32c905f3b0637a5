// rpc/call_limits.h — which calls are admitted, and for how long.
//
// gRPC's synchronous server gives each call a thread.  So the calls that last
// (watches, streams) are counted, and refused beyond a bound that leaves
// threads for all others, and beyond one for each peer that leaves some of them
// to the others; a call without a deadline of its own gets one; each peer is
// heard with so many calls a second (rpc/peer_rates.h); and nothing is admitted
// before the graph is loaded (docs/decisions/0005-call-threads.md).
//
// Thread-safe.

#ifndef RECLAIM_RPC_CALL_LIMITS_H_
#define RECLAIM_RPC_CALL_LIMITS_H_

#include <atomic>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "grpcpp/server_context.h"
#include "rpc/peer_rates.h"

namespace reclaim::rpc {

struct CallLimitOptions {
  // Watches and streams at a time, of all callers together.
  int stream_count_max = 128;
  // Of calls that end by themselves, where the caller gave no deadline.
  absl::Duration unary_deadline = absl::Seconds(30);
  // Of one peer, and twice as many at once; 0 for any.
  int peer_calls_per_second = 1000;
  // Watches and streams of one peer at a time; 0 for any.
  int peer_stream_count_max = 64;
};

class CallLimits {
 public:
  CallLimits(const CallLimitOptions& options, const base::Clock* clock)
      : options_(options),
        clock_(clock),
        rates_(options.peer_calls_per_second, clock) {}

  // One call while it lives.
  class Admission {
   public:
    ~Admission();
    Admission(const Admission&) = delete;
    Admission& operator=(const Admission&) = delete;

    // OK: go on.  UNAVAILABLE (LOADING), RESOURCE_EXHAUSTED (TOO_MANY_STREAMS).
    const absl::Status& status() const { return status_; }
    // The deadline that we set has passed.
    bool IsLate() const;
    // What to answer: a call that was cut because it was late says so.
    absl::Status Outcome(absl::Status status) const;

   private:
    friend class CallLimits;
    Admission(CallLimits* limits, bool is_stream, std::string peer,
              absl::Duration ends);

    CallLimits* limits_;
    const std::string peer_;  // "" for one without a bound of its own
    bool has_slot_ = false;
    const absl::Duration ends_;  // monotonic; infinite for none
    absl::Status status_;
  };

  // Whether a peer is heard once more; see PeerRates::Admit().
  absl::Status AdmitPeer(absl::string_view actor) {
    return rates_.Admit(actor);
  }

  // `method` is "GraphService/Record", `actor` as rpc/peers.h names it.
  Admission Admit(absl::string_view method, const grpc::ServerContext& context,
                  absl::string_view actor);

  // From now on calls are admitted.
  void Open() { is_open_.store(true, std::memory_order_release); }

 private:
  absl::Status TakeSlot(const std::string& peer);
  void GiveSlotBack(const std::string& peer);

  const CallLimitOptions options_;
  const base::Clock* clock_;
  std::atomic<bool> is_open_{false};
  base::Mutex mutex_;
  int stream_count_ ABSL_GUARDED_BY(mutex_) = 0;
  // Of each peer that has any.
  std::map<std::string, int> peer_stream_counts_ ABSL_GUARDED_BY(mutex_);
  PeerRates rates_;
};

// Whether a call lasts as long as its caller likes: each that writes or reads a
// stream, for a caller who does not read holds its thread.
bool IsStream(absl::string_view method);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_CALL_LIMITS_H_
