// rpc/peer_rates.h — how many calls a second each peer is heard with.
//
// A token bucket for each, kept as the one instant at which it will be full (as
// ATM's "generic cell rate algorithm" does): each call moves that on by its
// share of a second, and is refused while it is too far ahead of now.  So a
// peer that keeps its rate can wait and then make two seconds' calls at once.
//
// Thread-safe.

#ifndef RECLAIM_RPC_PEER_RATES_H_
#define RECLAIM_RPC_PEER_RATES_H_

#include <cstddef>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace reclaim::rpc {

// Who `actor` (rpc/peers.h) is, over however many connections: of an address
// the port does not count, which each connection has anew.
std::string PeerName(absl::string_view actor);

// Root on a Unix socket needs no calls to stop us, and has to be able to help.
bool IsLocalRoot(absl::string_view actor);

class PeerRates {
 public:
  // Of so many peers the buckets are known, and they are not full; the others
  // share one.
  static constexpr size_t kPeerMax = 4096;

  // `calls_per_second` 0: no limit.  `clock` is not owned.
  PeerRates(int calls_per_second, const base::Clock* clock);

  // Counts a call of `actor` (rpc/peers.h).  RESOURCE_EXHAUSTED
  // (TOO_MANY_CALLS), saying when to ask again; that one is not counted.
  // IsLocalRoot() is always heard.
  absl::Status Admit(absl::string_view actor);

 private:
  void DropFull(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int calls_per_second_;
  const absl::Duration interval_;  // between two calls at the rate
  const base::Clock* const clock_;
  base::Mutex mutex_;
  // When each bucket is full, by the monotonic clock.
  std::map<std::string, absl::Duration> full_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_PEER_RATES_H_
