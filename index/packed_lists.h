// index/packed_lists.h — lists of node ids that are walked, not indexed.
//
// As index/id_lists.h, a list is a word: nothing, the one id itself, or where
// the ids lie.  What references a node came at about the same time, so short
// lists are differences of one to three bytes instead of ids of four.  Long
// lists are vectors.  Order is kept.

#ifndef RECLAIM_INDEX_PACKED_LISTS_H_
#define RECLAIM_INDEX_PACKED_LISTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "index/node.h"

namespace reclaim::index {

// Not thread-safe.  Ids are below kIdEnd.
class PackedLists {
 public:
  // Of one list.  Its owner keeps it; it must not be copied while in use.
  using List = uint32_t;
  static constexpr List kEmpty = kNoNode;
  static constexpr NodeId kIdEnd = NodeId{1} << 31;

  bool IsEmpty(List list) const { return list == kEmpty; }
  // Stops when `visit` returns false.  The list must not change meanwhile.
  template <typename Visit>
  void ForEach(List list, Visit visit) const {
    if (list == kEmpty) return;
    if (list < kIdEnd) {
      visit(NodeId{list});
      return;
    }
    if ((list & kLong) != 0) {
      for (const NodeId id : long_[list & (kLong - 1)]) {
        if (!visit(id)) return;
      }
      return;
    }
    const uint8_t* at = Block(list & (kLong - 1));
    const uint32_t count = *at;
    at += kHeaderSize;
    NodeId id = 0;
    for (uint32_t i = 0; i < count; ++i) {
      at = Read(at, &id);
      if (!visit(id)) return;
    }
  }
  void Append(List* list, NodeId id);
  // All ids of a list that is empty, at once.
  void Fill(List* list, absl::Span<const NodeId> ids);
  // The first that equals `id`.  REQUIRES: there is one.
  void Remove(List* list, NodeId id);

 private:
  static constexpr uint32_t kShortMax = 62;   // ids of a list in a block
  static constexpr uint32_t kHeaderSize = 2;  // count, class
  static constexpr uint32_t kDifferenceSizeMax = 5;
  static constexpr uint32_t kBytesMax =
      kHeaderSize + kShortMax * kDifferenceSizeMax;
  // Words of four bytes that a block of each class has.
  static constexpr std::array<uint32_t, 19> kWords = {
      2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33, 41, 51, 62, 70, 78};
  static_assert(kWords.back() * 4 >= kBytesMax, "the longest fits");
  static constexpr uint32_t kPoolChunkWords = 1 << 14;
  static constexpr uint32_t kStored = uint32_t{1} << 31;
  static constexpr uint32_t kLong = uint32_t{1} << 30;
  static constexpr uint32_t kNoBlock = 0xffffffff;

  // Ids of a list that is not long, and one more.
  struct Short {
    std::array<NodeId, kShortMax + 1> ids{};
    uint32_t count = 0;
    absl::Span<const NodeId> all() const {
      return absl::MakeConstSpan(ids).first(count);
    }
  };

  // The next id after `*id`: seven bits of the difference a byte, lowest first,
  // the sign in its lowest bit.
  static const uint8_t* Read(const uint8_t* at, NodeId* id) {
    uint64_t folded = 0;
    int shift = 0;
    while ((*at & 0x80) != 0) {
      folded |= uint64_t{*at++ & 0x7fu} << shift;
      shift += 7;
    }
    folded |= uint64_t{*at++} << shift;
    const auto half = static_cast<uint32_t>(folded >> 1);
    *id += (folded & 1) != 0 ? ~half : half;
    return at;
  }
  static uint8_t* Write(NodeId before, NodeId id, uint8_t* at);

  uint8_t* Block(uint32_t offset) const {
    return reinterpret_cast<uint8_t*>(pool_[offset / kPoolChunkWords].get() +
                                      offset % kPoolChunkWords);
  }
  Short Read(List list) const;
  void Store(List* list, absl::Span<const NodeId> ids);
  uint32_t NewBlock(uint32_t block_class);
  void FreeBlock(uint32_t offset);
  void MakeLong(List* list, absl::Span<const NodeId> ids);

  std::vector<std::unique_ptr<uint32_t[]>> pool_;
  uint32_t pool_end_ = 0;  // in words
  std::array<uint32_t, kWords.size()> free_blocks_ = FreeBlocks();
  std::vector<std::vector<NodeId>> long_;
  std::vector<uint32_t> free_long_;

  static std::array<uint32_t, kWords.size()> FreeBlocks() {
    std::array<uint32_t, kWords.size()> blocks{};
    blocks.fill(kNoBlock);
    return blocks;
  }
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_PACKED_LISTS_H_
