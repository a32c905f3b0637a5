// gc/graph_changes.h — private to gc: what an item's going and coming back mean
// in the graph.

#ifndef RECLAIM_GC_GRAPH_CHANGES_H_
#define RECLAIM_GC_GRAPH_CHANGES_H_

#include <vector>

#include "gc/records.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"

namespace reclaim::gc {

struct GraphChanges {
  std::vector<index::StateChange> states;
  std::vector<index::Operation> operations;
};

// The item leaves: content becomes quarantined, names and links are removed.
void AddLeaving(const QuarantineRecord& record, GraphChanges* changes);

// It comes back as it was.
void AddReturning(const QuarantineRecord& record, GraphChanges* changes);

// The store left it where it was, for somebody wrote there since: back as it
// was, unless somebody has given its name to another thing.  What a link names
// is spared by the rest of the run, or the link would lead to nothing (I3).
void AddRefused(const index::GraphView& view, index::StoreId store,
                const QuarantineRecord& record, GraphChanges* changes);

// It is gone for good: content that was quarantined is absent from now on.
void AddPurging(const QuarantineRecord& record, GraphChanges* changes);

// It was on its way out, and the store kept it: present again, unless somebody
// has given its name to another thing.
void AddStaying(const index::GraphView& view, index::StoreId store,
                const QuarantineRecord& record, GraphChanges* changes);

// Whether a name like the record's is in the graph: one that was made anew
// meanwhile stands.
bool IsNameTaken(const index::GraphView& view, index::StoreId store,
                 const QuarantineRecord& record);

// The store has no such content and there is none in quarantine either.
void AddLoss(const QuarantineRecord& record, GraphChanges* changes);

bool IsBlob(const QuarantineRecord& record);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_GRAPH_CHANGES_H_
