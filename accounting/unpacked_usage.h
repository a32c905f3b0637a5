// accounting/unpacked_usage.h — the row of `df` for unpacked layers.
//
// An engine keeps an image twice: as it was pulled (content), and unpacked
// (snapshots).  The two are never added into one figure of images.
//
// Cost: what containers, leases and pins of the store reach, and its snapshots.
// Pure.

#ifndef RECLAIM_ACCOUNTING_UNPACKED_USAGE_H_
#define RECLAIM_ACCOUNTING_UNPACKED_USAGE_H_

#include "accounting/disk_usage.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::accounting {

// "Unpacked Layers": active are those that a container, lease or pin needs, by
// itself or through an image; the others are what pruning all unused images
// would free.
UsageRow UnpackedUsage(const index::GraphView& view, index::StoreId store);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_UNPACKED_USAGE_H_
