// gc/shared_files.h — private to gc: whose bytes a file with several names is.
//
// The graph knows what the last scan told of hard links, and a new name for a
// file changes no folder that a scan would look at again.  So what a plan
// promises is held against the files as they are when it is made.

#ifndef RECLAIM_GC_SHARED_FILES_H_
#define RECLAIM_GC_SHARED_FILES_H_

#include <cstddef>

#include "absl/types/span.h"
#include "gc/plan.h"
#include "index/graph_view.h"
#include "store/types.h"

namespace reclaim::gc {

// Of each of `shared`, which the store has found among the removals of `plan`:
// its bytes are the last item's if no other name will be left, and else
// nobody's (PlanItem::held, if it is a name elsewhere that is left).  `items`
// says of which item each removal is.
void ChargeSharedFiles(const index::GraphView& view,
                       absl::Span<const store::SharedFile> shared,
                       absl::Span<const size_t> items, Plan* plan);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_SHARED_FILES_H_
