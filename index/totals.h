// index/totals.h — the exact counters, as values.
//
// Updated with every mutation in proportion to what it reaches; recomputed from
// nothing by Recount() (index/recount.h), which must always agree (I6).

#ifndef RECLAIM_INDEX_TOTALS_H_
#define RECLAIM_INDEX_TOTALS_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::index {

struct Tally {
  uint64_t count = 0;
  store::Bytes bytes;
  friend bool operator==(const Tally& a, const Tally& b) {
    return a.count == b.count && a.bytes == b.bytes;
  }
  friend bool operator!=(const Tally& a, const Tally& b) { return !(a == b); }
};

// Of one store.  Identity, checked on every report:
//   stored = live + candidate + quarantined + orphan   (content and uploads)
struct StoreTotals {
  // Present nodes of each kind (content: not absent, not quarantined).
  std::array<Tally, kNodeKindCount> by_kind;

  // Present content and uploads that some root reaches, and files that have a
  // name elsewhere (GraphView::IsLinkedElsewhere): no deletion here frees them.
  Tally live;
  Tally candidate;    // present content that no root reaches
  Tally quarantined;  // bytes in quarantine
  // The part of `quarantined` that names elsewhere keep on the disk.
  Tally quarantined_held;
  // The part of `quarantined` that no node stands for: blobs that were found
  // there when the database had been lost, and second copies of what is here.
  Tally adopted;
  // The part of `adopted` that names elsewhere keep on the disk; a part of
  // `quarantined_held` as well.
  store::Bytes adopted_held;
  Tally orphan;  // strays
  Tally absent;  // referenced but not here (bytes are zero)

  // Images: present manifests and indexes that no present index lists, that are
  // no parent of a present image, and that are not referrers.  Active: some
  // container reaches it, or reaches a manifest that it lists.
  uint64_t image_count = 0;
  uint64_t active_image_count = 0;
  uint64_t dangling_image_count = 0;  // images that no tag names

  // Bytes of content that some present manifest references, the manifests
  // included: the Images row's SIZE.
  Tally imaged;
  // The part of `imaged` that any root reaches, and the part that roots other
  // than tags reach (containers, pins, leases, grace, uploads, only names,
  // opaque).  What `image prune` and `image prune -a` would leave.
  Tally imaged_live;
  Tally imaged_without_tags;
  // Present content outside `imaged` and uploads, and the part of them that a
  // root reaches.
  Tally loose;
  Tally loose_live;

  uint64_t running_container_count = 0;
  Tally unused_volumes;      // no container references them
  Tally running_containers;  // writable bytes of running ones
  Tally reclaimable_cache;   // build cache neither in use nor shared
  uint64_t used_cache_count = 0;
  uint64_t unknown_size_count = 0;  // named nodes whose bytes nobody told

  // Unpacked layers (snapshots): the part that `image prune` would leave, and
  // the part that `image prune -a` would leave.  A snapshot stays while a root
  // reaches it, while content stays that it was unpacked from, while it is
  // young, while nothing explains it (no content, and no snapshot that stands
  // on it), and below one that stays.
  Tally unpacked_kept;
  Tally unpacked_without_tags;
  // Those that a container needs, by itself or through an image.
  uint64_t active_unpacked_count = 0;
  uint64_t unknown_unpacked_count = 0;  // a part of `unknown_size_count`

  // Present content that some lease names, expired ones included; each once.
  Tally leased;
  absl::Time oldest_lease = absl::InfiniteFuture();  // when it was recorded

  store::Bytes stored() const {
    return live.bytes + candidate.bytes + quarantined.bytes + orphan.bytes;
  }
  friend bool operator==(const StoreTotals& a, const StoreTotals& b);
  friend bool operator!=(const StoreTotals& a, const StoreTotals& b) {
    return !(a == b);
  }
};

// What lies in a quarantine and no node stands for (StoreTotals::adopted).
struct AdoptedTally {
  Tally all;
  store::Bytes held;  // the part of it that names elsewhere keep on the disk
  friend bool operator==(const AdoptedTally& a, const AdoptedTally& b) {
    return a.all == b.all && a.held == b.held;
  }
};

// Every figure with its name, one a line; for findings and test failures.
std::string ToString(const StoreTotals& totals);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_TOTALS_H_
