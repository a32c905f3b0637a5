// tests/support/naive_usage.h — the answer of `df`, worked out the slow and
// obvious way.  FOR TESTS ONLY.
//
// It shares no code with index or accounting: each row is counted over the
// nodes that are there, by what proto/reclaim/v1/usage.proto and Docker say of
// it.  Of one store that knows its containers and has no files of several
// names, no orphans and no content that a lost database had in quarantine.

#ifndef RECLAIM_TESTS_SUPPORT_NAIVE_USAGE_H_
#define RECLAIM_TESTS_SUPPORT_NAIVE_USAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "index/graph_view.h"
#include "index/totals.h"
#include "store/types.h"

namespace reclaim::tests {

struct NaiveRow {
  std::string type;
  uint64_t total_count = 0;
  uint64_t active_count = 0;
  store::Bytes bytes;
  store::Bytes reclaimable;
};

struct NaiveUsage {
  std::vector<NaiveRow> rows;
  index::Tally live;
  index::Tally candidate;
  index::Tally quarantined;
  index::Tally content;
  index::Tally unpacked;
  uint64_t image_count = 0;
  uint64_t dangling_image_count = 0;
  uint64_t tag_count = 0;
  uint64_t repository_count = 0;
};

// Of store 0.
NaiveUsage CountUsageNaively(const index::GraphView& view, absl::Time now,
                             absl::Duration grace_period);

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_NAIVE_USAGE_H_
