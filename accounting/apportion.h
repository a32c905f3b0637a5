// accounting/apportion.h — who pays for shared bytes.
//
// Live content that the tags of k repositories reach costs each of them 1/k.
// The shares of all repositories and the unattributed rest add up to the live
// bytes, to the byte: what a division leaves over goes to the first groups in
// order of node id, so that equal graphs give equal shares.
//
// Computed on demand in one pass over each repository's closure.  Pure; yields.

#ifndef RECLAIM_ACCOUNTING_APPORTION_H_
#define RECLAIM_ACCOUNTING_APPORTION_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::accounting {

struct GroupShare {
  index::NodeId repository = index::kNoNode;
  store::Bytes apportioned;
};

struct Apportionment {
  std::vector<GroupShare> groups;  // ascending by node id
  store::Bytes unattributed;       // live, but no repository's tag reaches it
};

// `is_live` judges content and uploads as the counters do
// (index::GraphReader::IsLive).
Apportionment Apportion(const index::GraphView& view, index::StoreId store,
                        const std::function<bool(index::NodeId)>& is_live);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_APPORTION_H_
