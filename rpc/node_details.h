// rpc/node_details.h — what the arrays do not hold of a node: labels, types.
//
// Read from the engine, so never while the graph's read lock is held.

#ifndef RECLAIM_RPC_NODE_DETAILS_H_
#define RECLAIM_RPC_NODE_DETAILS_H_

#include <string>

#include "index/mutation.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "reclaim/v1/common.pb.h"

namespace reclaim::rpc {

// The labels of a named record; of kinds that have none, none.
const index::Labels& LabelsOf(const index::NamedRecord& record);

// Adds labels and media type.  What has gone meanwhile stays as it is.
void AddDetails(const index::ReferenceGraph& graph, index::NodeId id,
                v1::Node* node);

// "linux/arm64/v8"
std::string PlatformOf(const index::PutImageConfig& config);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_NODE_DETAILS_H_
