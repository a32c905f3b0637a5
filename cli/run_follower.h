// cli/run_follower.h — a run to its end, with progress.

#ifndef RECLAIM_CLI_RUN_FOLLOWER_H_
#define RECLAIM_CLI_RUN_FOLLOWER_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "cli/session.h"
#include "reclaim/v1/collection.pb.h"

namespace reclaim::cli {

// Watches until the run has ended; `run` is then its last state.  SIGINT,
// SIGTERM and SIGHUP ask the daemon to cancel it, and we wait on: the code is
// then 128 + the signal.  Cancelled by somebody else is kDeclined.  kPartial
// and kFailed are said with their problems.  With --json each state is a line,
// message_type "status".
int FollowRun(Session* session, v1::Run* run);

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
