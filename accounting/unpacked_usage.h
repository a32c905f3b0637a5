// accounting/unpacked_usage.h — the row of `df` for unpacked layers.
//
// An engine keeps an image twice: as it was pulled (content), and unpacked
// (snapshots).  The two are never added into one figure of images.
//
// Cost: what containers, leases and pins of the store reach, and its snapshots.
// Pure.

#ifndef RECLAIM_ACCOUNTING_UNPACKED_USAGE_H_
#define RECLAIM_ACCOUNTING_UNPACKED_USAGE_H_

#include "absl/time/time.h"
#include "accounting/disk_usage.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::accounting {

// "Unpacked Layers": active are those that a container, a pin or a lease that
// has not ended by `now` needs, by itself or through an image; the others are
// what pruning all unused images would free.
UsageRow UnpackedUsage(const index::GraphView& view, index::StoreId store,
                       absl::Time now);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_UNPACKED_USAGE_H_
