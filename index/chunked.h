// index/chunked.h — an array that grows without moving and without slack.
//
// A vector that doubles holds up to twice what it needs, and three times while
// it moves; at ten million nodes that is what memory is lost on.

#ifndef RECLAIM_INDEX_CHUNKED_H_
#define RECLAIM_INDEX_CHUNKED_H_

#include <cstddef>
#include <memory>
#include <vector>

namespace reclaim::index {

// Elements never move.  Not thread-safe.
template <typename T>
class Chunked {
 public:
  // At least `size` elements; new ones are T().
  void Grow(size_t size) {
    while (chunks_.size() * kChunkSize < size) {
      chunks_.push_back(std::make_unique<T[]>(kChunkSize));
    }
    if (size > size_) size_ = size;
  }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return chunks_[i / kChunkSize][i % kChunkSize]; }
  const T& operator[](size_t i) const {
    return chunks_[i / kChunkSize][i % kChunkSize];
  }

 private:
  static constexpr size_t kChunkSize = 4096;

  std::vector<std::unique_ptr<T[]>> chunks_;
  size_t size_ = 0;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_CHUNKED_H_
