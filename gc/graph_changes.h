// gc/graph_changes.h — private to gc: what an item's going and coming back mean
// in the graph.

#ifndef RECLAIM_GC_GRAPH_CHANGES_H_
#define RECLAIM_GC_GRAPH_CHANGES_H_

#include <vector>

#include "gc/records.h"
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

// It is gone for good: content that was quarantined is absent from now on.
void AddPurging(const QuarantineRecord& record, GraphChanges* changes);

// It was to be purged, and the store did not let it go.
void AddStaying(const QuarantineRecord& record, GraphChanges* changes);

// The store has no such content and there is none in quarantine either.
void AddLoss(const QuarantineRecord& record, GraphChanges* changes);

bool IsBlob(const QuarantineRecord& record);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_GRAPH_CHANGES_H_
