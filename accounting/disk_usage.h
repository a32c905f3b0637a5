// accounting/disk_usage.h — the rows of `df`, from the counters alone.
//
// Costs the same whatever the size of the store: every figure is a difference
// of two exact totals (index/totals.h).  The first four rows and their meaning
// are Docker's (`docker system df`); the rows after them are ours, and the last
// of them, "Unpacked Layers", only a store has that unpacks (an engine).
//
// Pure and thread-safe.

#ifndef RECLAIM_ACCOUNTING_DISK_USAGE_H_
#define RECLAIM_ACCOUNTING_DISK_USAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "index/totals.h"
#include "store/types.h"

namespace reclaim::accounting {

struct UsageRow {
  std::string type;  // "Images", "Containers", "Local Volumes", ...
  uint64_t total_count = 0;
  uint64_t active_count = 0;
  store::Bytes bytes;
  // What pruning all that is unused would free.  Never more than `bytes`.
  store::Bytes reclaimable;
  uint64_t unknown_size_count = 0;  // nodes whose size nobody told; count zero
};

// Usage of one store, or of several added up.
struct DiskUsage {
  std::vector<UsageRow> rows;
  index::Tally live;
  index::Tally candidate;
  index::Tally quarantined;
  index::Tally orphan;
  index::Tally content;   // as it is stored: blobs, manifests and uploads
  index::Tally unpacked;  // snapshots
  uint64_t image_count = 0;
  uint64_t dangling_image_count = 0;
  uint64_t tag_count = 0;
  uint64_t repository_count = 0;
};

// The rows of one store.  `knows_containers` says that "unused" can be judged,
// as it does to a plan (SEMANTICS, rule 1): then the rows of images and of
// unpacked layers count as reclaimable what `image prune -a` would take (as
// Docker does), else only what `image prune` would.
DiskUsage MakeDiskUsage(const index::StoreTotals& totals,
                        bool knows_containers);

// Row by row; all inputs come from MakeDiskUsage().
DiskUsage AddUp(absl::Span<const DiskUsage> parts);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_DISK_USAGE_H_
