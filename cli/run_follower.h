// cli/run_follower.h — a run to its end, with progress.

#ifndef RECLAIM_CLI_RUN_FOLLOWER_H_
#define RECLAIM_CLI_RUN_FOLLOWER_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "cli/session.h"
#include "cli/signal_watch.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "reclaim/v1/collection.pb.h"

namespace reclaim::cli {

// Watches until the run has ended; `run` is then its last state.  SIGINT,
// SIGTERM and SIGHUP ask the daemon to cancel it, and we wait on: the code is
// then 128 + the signal.  If it refuses we do not wait, and the code is of the
// refusal.  Cancelled by somebody else is kDeclined.  kPartial and kFailed are
// said with their problems.  With --json each state is a line, message_type
// "status".
int FollowRun(Session* session, v1::Run* run);
// The same of a run that was started while `watch` lived, signals since then
// included.
int FollowRun(Session* session, SignalWatch* watch, v1::Run* run);

// Makes the call that starts a run, and follows it: a signal that comes before
// the call is answered cancels the run as well.  `run` has no id if none was
// started; the code says why.
template <typename Stub, typename Request>
int StartAndFollow(Session* session,
                   grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                const Request&, v1::Run*),
                   Stub* stub, const Request& request, v1::Run* run) {
  SignalWatch watch;
  const int code = session->Ask(method, stub, request, run);
  return code == kDone ? FollowRun(session, &watch, run) : code;
}

// Why an item was skipped, if that is one of the run's problems as well.
inline constexpr char kToldAsProblem[] = "failed";

// "scan", "apply", ...; "succeeded", "partial", ...
std::string KindWord(v1::RunKind kind);
std::string PhaseWord(v1::RunPhase phase);
uint64_t FreedBytes(const v1::RemovalBytes& bytes);
// What stays on the disk although it leaves the store; nothing if nothing does.
void SayHeld(const v1::RemovalBytes& bytes, std::ostream* out);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_RUN_FOLLOWER_H_
