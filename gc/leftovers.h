// gc/leftovers.h — private to gc: what a store that deletes for good was not
// made to delete stays.
//
// Such a store sets nothing aside: what is on record as leaving is still in use
// by whoever likes, and its name may be another thing's tomorrow.  So it goes
// with the run that judged it, or not at all (docs/decisions/0008-engines.md).

#ifndef RECLAIM_GC_LEFTOVERS_H_
#define RECLAIM_GC_LEFTOVERS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gc/collected_store.h"

namespace reclaim::gc {

// Takes everything of the run (of every run if "") off the record and puts it
// back into the graph, also where the deletion had begun: the next scan says
// what is gone.  Does nothing in stores that have a quarantine.
absl::Status KeepLeftovers(CollectedStore* site, absl::string_view run_id,
                           absl::string_view actor);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_LEFTOVERS_H_
