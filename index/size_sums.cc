// Sums of sizes, which must not begin anew at zero (SEMANTICS, case 74): what
// would make those of a store too large is refused before anything is written.
// Each store has its own limit, so that the wrong sizes of one stop no other.

#include <cstdint>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "index/durable_graph.h"
#include "index/write_set.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using store::Bytes;

uint64_t Beyond(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

// The part of `a` that is more than `b`, of each measure.
Bytes Beyond(const Bytes& a, const Bytes& b) {
  return {Beyond(a.logical_bytes, b.logical_bytes),
          Beyond(a.allocated_bytes, b.allocated_bytes)};
}

// Content, in quarantine or not, strays, and what has a name and a size.
Bytes SumOf(const StoreTotals& totals) {
  Bytes sum = totals.quarantined.bytes + totals.orphan.bytes;
  for (const Tally& tally : totals.by_kind) sum += tally.bytes;
  return sum;
}

}  // namespace

std::map<StoreId, WriteSet::Growth> WriteSet::SizeGrowth() const {
  std::map<StoreId, Growth> growth;
  const auto add = [&growth](StoreId store, const Bytes& now,
                             const Bytes& before) {
    Growth& of_store = growth[store];
    of_store.more += Beyond(now, before);
    of_store.less += Beyond(before, now);
  };
  const auto before = [this](NodeId id) {
    return graph_->Exists(id) ? graph_->bytes(id) : Bytes();
  };
  for (const auto& [id, entry] : content_) {
    // Of a file with several names its extent has them.
    const bool has_bytes = !entry.record.has_extent();
    add(entry.record.store(),
        has_bytes ? Bytes{entry.record.logical_bytes(),
                          entry.record.allocated_bytes()}
                  : Bytes(),
        before(id));
  }
  for (const auto& [id, entry] : named_) {
    add(entry.record.store(),
        entry.is_removed ? Bytes()
                         : Bytes{entry.record.logical_bytes(),
                                 entry.record.allocated_bytes()},
        before(id));
  }
  for (const auto& [store, orphans] : orphans_) {
    add(store, orphans.bytes, graph_->totals(store).orphan.bytes);
  }
  return growth;
}

absl::Status DurableGraph::CheckSums(const WriteSet& set) const {
  base::ReaderMutexLock lock(&graph_mutex_);
  for (const auto& [store, growth] : set.SizeGrowth()) {
    if (growth.more == Bytes()) continue;
    const Bytes sum =
        Beyond(SumOf(graph_.totals(store)), growth.less) + growth.more;
    if (sum.logical_bytes <= store::kSizeSumMax &&
        sum.allocated_bytes <= store::kSizeSumMax) {
      continue;
    }
    return absl::OutOfRangeError(absl::StrCat(
        "the sizes of all that is recorded in ", graph_.StoreName(store),
        " would come to ", sum.logical_bytes, " bytes (", sum.allocated_bytes,
        " on disk), more than ", store::kSizeSumMax,
        " (4 EiB): one of them is wrong; `reclaim df` shows where they are"));
  }
  return absl::OkStatus();
}

}  // namespace reclaim::index
