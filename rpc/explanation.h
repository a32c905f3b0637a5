// rpc/explanation.h — why a node is there, in messages and in a sentence.
//
// Thread-safe.

#ifndef RECLAIM_RPC_EXPLANATION_H_
#define RECLAIM_RPC_EXPLANATION_H_

#include "absl/status/statusor.h"
#include "reclaim/v1/graph.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

absl::StatusOr<v1::ExplainResponse> MakeExplanation(
    const ServiceParts& parts, const v1::ExplainRequest& request);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_EXPLANATION_H_
