// rpc/held_content.h — what a client holds by its digest is read before he is
// answered.
//
// A pin, lease or container may name a manifest that no tag or repository leads
// to, and so no scan has read: what it references would be held by nothing.

#ifndef RECLAIM_RPC_HELD_CONTENT_H_
#define RECLAIM_RPC_HELD_CONTENT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "index/mutation.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// Of a mutation that was applied.  After an error it stands all the same: the
// caller asks again.
absl::Status ReadHeldContent(const ServiceParts& parts,
                             const index::Mutation& mutation);

// Applies `mutation` durably, then the same.
absl::Status Hold(const ServiceParts& parts, const index::Mutation& mutation);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_HELD_CONTENT_H_
