// index/narrow_counts.h — counts, nearly all of them small: a byte a node, the
// few large ones beside.

#ifndef RECLAIM_INDEX_NARROW_COUNTS_H_
#define RECLAIM_INDEX_NARROW_COUNTS_H_

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "index/chunked.h"
#include "index/node.h"

namespace reclaim::index {

// Not thread-safe.
class NarrowCounts {
 public:
  // New counts are 0.
  void Grow(size_t size) { low_.Grow(size); }

  bool IsZero(NodeId id) const { return low_[id] == 0; }
  uint32_t operator[](NodeId id) const {
    const uint8_t low = low_[id];
    return low < kLarge ? low : large_.find(id)->second;
  }
  void Set(NodeId id, uint32_t count) {
    if (count >= kLarge) {
      low_[id] = kLarge;
      large_[id] = count;
      return;
    }
    if (low_[id] == kLarge) large_.erase(id);
    low_[id] = static_cast<uint8_t>(count);
  }
  void Add(NodeId id, int sign) { Set(id, (*this)[id] + sign); }

 private:
  static constexpr uint8_t kLarge = 255;

  Chunked<uint8_t> low_;
  absl::flat_hash_map<NodeId, uint32_t> large_;
};

// Counts of which nearly all are zero.  Not thread-safe.
class SparseCounts {
 public:
  uint32_t operator[](NodeId id) const {
    if (counts_.empty()) return 0;
    const auto it = counts_.find(id);
    return it == counts_.end() ? 0 : it->second;
  }
  void Set(NodeId id, uint32_t count) {
    if (count == 0) {
      counts_.erase(id);
    } else {
      counts_[id] = count;
    }
  }
  void Add(NodeId id, int sign) { Set(id, (*this)[id] + sign); }

 private:
  absl::flat_hash_map<NodeId, uint32_t> counts_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_NARROW_COUNTS_H_
