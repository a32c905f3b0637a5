// rpc/operation_sizes.h — the sizes that clients give what they record.
//
// One thing has at most store::kSizeMax bytes; what all of them come to is held
// by the graph (ReferenceGraph::Apply).  Pure.

#ifndef RECLAIM_RPC_OPERATION_SIZES_H_
#define RECLAIM_RPC_OPERATION_SIZES_H_

#include "absl/status/status.h"
#include "reclaim/v1/graph.pb.h"

namespace reclaim::rpc {

// INVALID_ARGUMENT "bytes.logical_bytes: ...".
absl::Status CheckSizes(const v1::Operation& operation);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_OPERATION_SIZES_H_
