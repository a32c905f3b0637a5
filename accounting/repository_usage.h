// accounting/repository_usage.h — what each group of tags takes, and who
// pays for what is shared.
//
// A group is a set of tags: those of a repository, or of several.  Groups may
// overlap.
//
// Reachable: what its tags reach (content, referrers, extents), each once.
// Exclusive: the part of it that no tag outside the group, no other group and
// no other root (a pin, a lease, a container, the grace period, ...) reaches,
// and no name of its file outside of the store keeps: what would be freed if
// its tags went.  Apportioned: live content that the tags of k groups reach
// costs each of them 1/k.  The shares of all groups and the unattributed rest
// add up to the live bytes, to the byte: what a division leaves over goes to
// the first groups in their order, so that equal graphs give equal shares.
//
// Computed on demand in one pass over each repository's closure.  Pure; yields.

#ifndef RECLAIM_ACCOUNTING_REPOSITORY_USAGE_H_
#define RECLAIM_ACCOUNTING_REPOSITORY_USAGE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "index/graph_view.h"
#include "index/node.h"
#include "index/totals.h"
#include "store/types.h"

namespace reclaim::accounting {

struct RepositoryUsage {
  index::NodeId repository = index::kNoNode;
  uint64_t tag_count = 0;
  index::Tally reachable;
  index::Tally exclusive;
  store::Bytes apportioned;
};

struct StoreShares {
  std::vector<RepositoryUsage> repositories;  // ascending by node id
  store::Bytes unattributed;  // live, but no repository's tag reaches it
};

struct GroupUsage {
  uint64_t tag_count = 0;
  index::Tally reachable;
  index::Tally exclusive;
  store::Bytes apportioned;
};

struct GroupShares {
  std::vector<GroupUsage> groups;  // in the order in which they were given
  store::Bytes unattributed;       // live, but no group's tag reaches it
};

struct Judgement {
  // As the counters do (index::GraphReader::IsLive): content and uploads.
  std::function<bool(index::NodeId)> is_live;
  // Whether a root other than a tag reaches it (gc::Mark over the roots without
  // tags).
  std::function<bool(index::NodeId)> is_kept_otherwise;
};

// `groups` holds the tags of each group, which are of `store`.
GroupShares ShareGroups(const index::GraphView& view, index::StoreId store,
                        const std::vector<std::vector<index::NodeId>>& groups,
                        const Judgement& judge);

// The repositories of the store as groups.
StoreShares ShareStore(const index::GraphView& view, index::StoreId store,
                       const Judgement& judge);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_REPOSITORY_USAGE_H_
