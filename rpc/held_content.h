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

// INVALID_ARGUMENT if a mutation holds so many digests of which it does not say
// where they are that nobody could look for them.  Before it is applied.
absl::Status CheckHeld(const ServiceParts& parts,
                       const index::Mutation& mutation);

// Of a mutation that was applied.  After an error it stands all the same: the
// caller asks again.
absl::Status ReadHeldContent(const ServiceParts& parts,
                             const index::Mutation& mutation);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_HELD_CONTENT_H_
