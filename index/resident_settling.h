// index/resident_settling.h — private to the resident graph.

#ifndef RECLAIM_INDEX_RESIDENT_SETTLING_H_
#define RECLAIM_INDEX_RESIDENT_SETTLING_H_

#include "index/resident_graph.h"

namespace reclaim::index {

// While one of these lives, the node's contribution is taken out of the totals,
// so that its fields may change; then it is put back as it is by then.  May be
// nested for the same node.
class ResidentGraph::Settling {
 public:
  Settling(ResidentGraph* graph, NodeId id) : graph_(graph), id_(id) {
    graph_->Unsettle(id_);
  }
  ~Settling() { graph_->Settle(id_); }
  Settling(const Settling&) = delete;
  Settling& operator=(const Settling&) = delete;

 private:
  ResidentGraph* graph_;
  NodeId id_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RESIDENT_SETTLING_H_
