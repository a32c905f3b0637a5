// index/narrow_counts.h — counts, nearly all of them small: a byte a node, the
// few large ones beside, and nothing for thousands of neighbours that are zero
// (what containers reach, in a registry).

#ifndef RECLAIM_INDEX_NARROW_COUNTS_H_
#define RECLAIM_INDEX_NARROW_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "index/node.h"

namespace reclaim::index {

// Not thread-safe.
class NarrowCounts {
 public:
  // New counts are 0.
  void Grow(size_t size) {
    const size_t chunk_count = (size + kChunkSize - 1) / kChunkSize;
    if (chunk_count > chunks_.size()) chunks_.resize(chunk_count);
  }

  bool IsZero(NodeId id) const { return Low(id) == 0; }
  uint32_t operator[](NodeId id) const {
    const uint8_t low = Low(id);
    return low < kLarge ? low : large_.find(id)->second;
  }
  void Set(NodeId id, uint32_t count) {
    std::unique_ptr<uint8_t[]>& chunk = chunks_[id / kChunkSize];
    if (chunk == nullptr) {
      if (count == 0) return;
      chunk = std::make_unique<uint8_t[]>(kChunkSize);
    }
    uint8_t& low = chunk[id % kChunkSize];
    if (count >= kLarge) {
      low = kLarge;
      large_[id] = count;
      return;
    }
    if (low == kLarge) large_.erase(id);
    low = static_cast<uint8_t>(count);
  }
  void Add(NodeId id, int sign) { Set(id, (*this)[id] + sign); }
  // True if it was 0.
  bool Increment(NodeId id) {
    std::unique_ptr<uint8_t[]>& chunk = chunks_[id / kChunkSize];
    if (chunk == nullptr) chunk = std::make_unique<uint8_t[]>(kChunkSize);
    uint8_t& low = chunk[id % kChunkSize];
    if (low + 1 < kLarge) return low++ == 0;
    Set(id, (*this)[id] + 1);
    return false;
  }

 private:
  static constexpr uint8_t kLarge = 255;
  static constexpr size_t kChunkSize = 4096;

  uint8_t Low(NodeId id) const {
    const uint8_t* chunk = chunks_[id / kChunkSize].get();
    return chunk == nullptr ? 0 : chunk[id % kChunkSize];
  }

  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
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
