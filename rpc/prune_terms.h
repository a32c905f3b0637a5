// rpc/prune_terms.h — what a caller wants pruned, read from the API.
//
// Pure.

#ifndef RECLAIM_RPC_PRUNE_TERMS_H_
#define RECLAIM_RPC_PRUNE_TERMS_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gc/prune_request.h"
#include "reclaim/v1/collection.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// `store` is the resolved name.  INVALID_ARGUMENT names the field or term.
absl::StatusOr<gc::PruneRequest> MakePruneRequest(
    const v1::CreatePlanRequest& request, const ServiceParts& parts,
    const std::string& store, const Caller& caller);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_PRUNE_TERMS_H_
