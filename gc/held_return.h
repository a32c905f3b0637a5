// gc/held_return.h — private to gc: nothing that is held stays in quarantine.
//
// Who references something that lies there waits until it is back (I4).  Only
// when the graph is opened nobody is there yet to give it back: what an earlier
// version had recorded as held in no place is held in each from then on, also
// where it is in quarantine (index/held_copies.cc).

#ifndef RECLAIM_GC_HELD_RETURN_H_
#define RECLAIM_GC_HELD_RETURN_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gc/collected_store.h"

namespace reclaim::gc {

// Gives back what the store's pins, leases, containers and snapshots hold, with
// all that it is made of.  ALREADY_EXISTS if something lies in the way of some
// of it, which keeps that where it is, as for any reference: a purge leaves it
// there.
absl::Status ReturnHeld(CollectedStore* site, absl::string_view actor);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_HELD_RETURN_H_
