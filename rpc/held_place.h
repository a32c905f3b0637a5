// rpc/held_place.h — where in a store the content is that a client holds.
//
// In a folder of image layouts content lies in places, and a client that holds
// a digest may not know which.  Held in no place it would be held by nothing.

#ifndef RECLAIM_RPC_HELD_PLACE_H_
#define RECLAIM_RPC_HELD_PLACE_H_

#include "absl/status/status.h"
#include "index/mutation.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// Gives the targets of a lease or a pin, and the image of a container or a
// snapshot, the store where they name none (targets alone), and the place where
// the content is where they name none: a lease each place that has it.
// FAILED_PRECONDITION where several have it and one is needed, or where no
// layout of the folder has what a lease or pin holds; both say what to name.
// Other stores have no places: nothing is done.
absl::Status FillPlaces(const ServiceParts& parts, index::PutLease* put);
absl::Status FillPlaces(const ServiceParts& parts, index::PutPin* put);
absl::Status FillPlaces(const ServiceParts& parts, index::Mutation* mutation);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_HELD_PLACE_H_
