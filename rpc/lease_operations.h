// rpc/lease_operations.h — leases and pins as operations of the graph.
//
// What a client may ask is the same in the calls of LeaseService and in the
// batches of GraphService: both read and check with these.  What depends on
// what is there already, the graph sees to (PutLease::is_new and the like).
// Pure.

#ifndef RECLAIM_RPC_LEASE_OPERATIONS_H_
#define RECLAIM_RPC_LEASE_OPERATIONS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/mutation.h"
#include "index/node.h"
#include "reclaim/v1/graph.pb.h"
#include "reclaim/v1/lease.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// INVALID_ARGUMENT names the field.  Ids may be empty.
absl::StatusOr<index::PutLease> ReadLease(const v1::Lease& lease);
absl::StatusOr<index::PutPin> ReadPin(const v1::Pin& pin);
absl::StatusOr<index::RemoveNamed> ReadRemoval(index::NodeKind kind,
                                               const std::string& store,
                                               const std::string& id);
absl::Status CheckLeaseId(const std::string& id);
absl::Status CheckTargetCount(size_t count);

// An operation about a lease or pin, by its name in a batch, and the method
// that does the same for one: whoever may not call it gets nothing through a
// batch either.
struct LeaseOperation {
  const char* name;
  const char* method;
};
// Null for any other operation.
const LeaseOperation* FindLeaseOperation(const v1::Operation& operation);
// PERMISSION_DENIED; the index is named.
absl::Status CheckRoles(const Caller& caller, const v1::RecordRequest& request);

// Of a lease or pin whose store is known; anything else is left as it is.  Its
// content is of that store, a lease that is taken is the caller's own, and he
// ends no other, unless he is an admin.  INVALID_ARGUMENT.
absl::Status Assign(const Caller& caller, index::Operation* operation);
// All of a batch; the index is named.
absl::Status AssignAll(const Caller& caller, index::Mutation* mutation);

// Also of a lease that is changed.  What it names twice, it has once.
absl::Status FillTargets(index::PutLease* put);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_LEASE_OPERATIONS_H_
