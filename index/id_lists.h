// index/id_lists.h — many lists of node ids, most of them empty or of one.
//
// A list is a word: nothing, the one id itself, or where the ids lie.  Short
// lists lie in a pool of blocks whose sizes grow by a quarter; freed blocks are
// taken again.  Long lists are vectors.  Order is kept.

#ifndef RECLAIM_INDEX_ID_LISTS_H_
#define RECLAIM_INDEX_ID_LISTS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "index/node.h"

namespace reclaim::index {

// Not thread-safe.  Ids are below kIdEnd.
class IdLists {
 public:
  // Of one list.  Its owner keeps it; it must not be copied while in use.
  using List = uint32_t;
  static constexpr List kEmpty = kNoNode;
  static constexpr NodeId kIdEnd = NodeId{1} << 31;

  // Valid until the list changes or moves.
  absl::Span<const NodeId> Get(const List& list) const {
    if (list == kEmpty) return {};
    if (list < kIdEnd) return {&list, 1};
    return GetStored(list);
  }
  bool IsEmpty(List list) const { return list == kEmpty; }
  void Set(List* list, absl::Span<const NodeId> ids);
  void Append(List* list, NodeId id);
  // Before the first that is greater.
  void InsertSorted(List* list, NodeId id);
  // The first that equals `id`.  REQUIRES: there is one.
  void Remove(List* list, NodeId id);

 private:
  // Ids that a block of each class has room for; one word before them holds
  // their count and the class.
  static constexpr std::array<uint32_t, 17> kRooms = {
      2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33, 41, 51, 62};
  static constexpr uint32_t kRoomMax = 62;
  static constexpr uint32_t kPoolChunkWords = 1 << 14;
  static constexpr uint32_t kStored = uint32_t{1} << 31;
  static constexpr uint32_t kLong = uint32_t{1} << 30;
  static constexpr uint32_t kNoBlock = 0xffffffff;

  static uint32_t ClassFor(uint32_t count);
  uint32_t* Block(uint32_t offset) const {
    return pool_[offset / kPoolChunkWords].get() + offset % kPoolChunkWords;
  }
  absl::Span<const NodeId> GetStored(List list) const;
  uint32_t NewBlock(uint32_t block_class);
  void FreeBlock(uint32_t offset);
  void Free(List list);
  void Insert(List* list, uint32_t at, NodeId id);

  std::vector<std::unique_ptr<uint32_t[]>> pool_;
  uint32_t pool_end_ = 0;  // in words
  std::array<uint32_t, kRooms.size()> free_blocks_ = FreeBlocks();
  std::vector<std::vector<NodeId>> long_;
  std::vector<uint32_t> free_long_;

  static std::array<uint32_t, kRooms.size()> FreeBlocks() {
    std::array<uint32_t, kRooms.size()> blocks{};
    blocks.fill(kNoBlock);
    return blocks;
  }
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_ID_LISTS_H_
