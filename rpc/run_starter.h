// rpc/run_starter.h — runs as calls begin, await and watch them.
//
// Thread-safe.

#ifndef RECLAIM_RPC_RUN_STARTER_H_
#define RECLAIM_RPC_RUN_STARTER_H_

#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gc/run.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// Starts a scan of an open store on the board.
absl::StatusOr<gc::Run> StartScan(const ServiceParts& parts,
                                  const std::string& store, bool from_nothing,
                                  const Caller& caller);

// The run now: from the board while it goes on, else from its record.
absl::StatusOr<gc::Run> FindRun(const ServiceParts& parts,
                                const std::string& id);

// Calls `visit` with the run now, at each change (at most ten a second) and
// when it has ended; stops early when `visit` returns false.  CANCELLED when
// the caller goes away; the run goes on.
absl::Status WatchRun(const ServiceParts& parts, const std::string& id,
                      const Caller& caller,
                      absl::FunctionRef<bool(const gc::Run&)> visit);

// Before a plan is applied to a store that others write to: scans it again,
// unless a scan began within the last minute.  What nobody told the graph of is
// then known to the guard (I1).  OK of a plan that is not there, or has had its
// time: Apply() says so.
absl::Status LookAgain(const ServiceParts& parts, const std::string& plan_id,
                       const Caller& caller);

// Waits for the run's end; when the caller goes away the run is cancelled.  The
// run's failure is the status.
absl::Status AwaitRun(const ServiceParts& parts, const std::string& id,
                      const Caller& caller);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_RUN_STARTER_H_
