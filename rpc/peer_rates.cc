#include "rpc/peer_rates.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "rpc/errors.h"

namespace reclaim::rpc {
namespace {

constexpr absl::Duration kBurst = absl::Seconds(2);
constexpr char kRoot[] = "uid:0";

}  // namespace

std::string PeerName(absl::string_view actor) {
  if (absl::StartsWith(actor, "ipv4:") || absl::StartsWith(actor, "ipv6:")) {
    return std::string(actor.substr(0, actor.rfind(':')));
  }
  return std::string(actor);
}

bool IsLocalRoot(absl::string_view actor) { return actor == kRoot; }

PeerRates::PeerRates(int calls_per_second, const base::Clock* clock)
    : calls_per_second_(calls_per_second),
      interval_(calls_per_second > 0 ? absl::Seconds(1) / calls_per_second
                                     : absl::ZeroDuration()),
      clock_(clock) {}

void PeerRates::DropFull(absl::Duration now) {
  for (auto it = full_at_.begin(); it != full_at_.end();) {
    it = it->second <= now ? full_at_.erase(it) : std::next(it);
  }
}

absl::Status PeerRates::Admit(absl::string_view actor) {
  if (calls_per_second_ <= 0 || IsLocalRoot(actor)) return absl::OkStatus();
  std::string peer = PeerName(actor);
  const absl::Duration now = clock_->Monotonic();
  base::MutexLock lock(&mutex_);
  if (full_at_.size() >= kPeerMax && full_at_.count(peer) == 0) {
    DropFull(now);
    if (full_at_.size() >= kPeerMax) peer.clear();
  }
  absl::Duration& full_at = full_at_.try_emplace(peer, now).first->second;
  full_at = std::max(full_at, now);
  const absl::Duration wait = full_at + interval_ - now - kBurst;
  if (wait > absl::ZeroDuration()) {
    return WithReason(absl::ResourceExhaustedError(absl::StrCat(
                          actor, " makes more than ", calls_per_second_,
                          " calls a second, which is all that one peer may "
                          "(limits.peer_calls_per_second); ask again in ",
                          absl::FormatDuration(wait))),
                      "TOO_MANY_CALLS");
  }
  full_at += interval_;
  return absl::OkStatus();
}

}  // namespace reclaim::rpc
