#include "index/id_lists.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace reclaim::index {
namespace {

// The word before the ids of a block.
uint32_t Header(uint32_t count, uint32_t block_class) {
  return count << 8 | block_class;
}
uint32_t CountIn(uint32_t header) { return header >> 8; }
uint32_t ClassIn(uint32_t header) { return header & 0xff; }

}  // namespace

uint32_t IdLists::ClassFor(uint32_t count) {
  return static_cast<uint32_t>(
      std::lower_bound(kRooms.begin(), kRooms.end(), count) - kRooms.begin());
}

absl::Span<const NodeId> IdLists::GetStored(List list) const {
  if ((list & kLong) != 0) return long_[list & (kLong - 1)];
  const uint32_t* block = Block(list & (kLong - 1));
  return {block + 1, CountIn(*block)};
}

uint32_t IdLists::NewBlock(uint32_t block_class) {
  uint32_t offset = free_blocks_[block_class];
  if (offset != kNoBlock) {
    free_blocks_[block_class] = Block(offset)[1];
    return offset;
  }
  const uint32_t words = kRooms[block_class] + 1;
  // No block lies in two chunks.
  if (pool_end_ % kPoolChunkWords + words > kPoolChunkWords ||
      pool_end_ % kPoolChunkWords == 0) {
    pool_end_ = static_cast<uint32_t>(pool_.size()) * kPoolChunkWords;
    RECLAIM_CHECK(pool_end_ < kLong, "a billion edges are not reached");
    pool_.push_back(std::make_unique<uint32_t[]>(kPoolChunkWords));
  }
  offset = pool_end_;
  pool_end_ += words;
  return offset;
}

void IdLists::FreeBlock(uint32_t offset) {
  uint32_t* block = Block(offset);
  const uint32_t block_class = ClassIn(*block);
  block[1] = free_blocks_[block_class];
  free_blocks_[block_class] = offset;
}

void IdLists::Free(List list) {
  if (list < kIdEnd || list == kEmpty) return;
  const uint32_t where = list & (kLong - 1);
  if ((list & kLong) == 0) {
    FreeBlock(where);
    return;
  }
  long_[where] = std::vector<NodeId>();
  free_long_.push_back(where);
}

void IdLists::Set(List* list, absl::Span<const NodeId> ids) {
  // `ids` may be of another list, never of this one.
  Free(*list);
  *list = kEmpty;
  if (ids.empty()) return;
  if (ids.size() == 1) {
    *list = ids[0];
    return;
  }
  if (ids.size() <= kRoomMax) {
    const auto count = static_cast<uint32_t>(ids.size());
    const uint32_t block_class = ClassFor(count);
    const uint32_t offset = NewBlock(block_class);
    *Block(offset) = Header(count, block_class);
    std::copy(ids.begin(), ids.end(), Block(offset) + 1);
    *list = kStored | offset;
    return;
  }
  auto where = static_cast<uint32_t>(long_.size());
  if (free_long_.empty()) {
    long_.emplace_back();
  } else {
    where = free_long_.back();
    free_long_.pop_back();
  }
  long_[where].assign(ids.begin(), ids.end());
  *list = kStored | kLong | where;
}

void IdLists::Insert(List* list, uint32_t at, NodeId id) {
  RECLAIM_CHECK(id < kIdEnd, "two billion nodes are not reached");
  if (*list == kEmpty) {
    *list = id;
    return;
  }
  const absl::Span<const NodeId> old = Get(*list);
  const auto count = static_cast<uint32_t>(old.size());
  if (count > kRoomMax) {
    std::vector<NodeId>& ids = long_[*list & (kLong - 1)];
    if (ids.size() == ids.capacity()) ids.reserve(ids.size() / 4 * 5);
    ids.insert(ids.begin() + at, id);
    return;
  }
  uint32_t* block = count > 1 ? Block(*list & (kLong - 1)) : nullptr;
  if (block != nullptr && count < kRooms[ClassIn(*block)]) {
    std::copy_backward(block + 1 + at, block + 1 + count, block + 2 + count);
    block[1 + at] = id;
    *block = Header(count + 1, ClassIn(*block));
    return;
  }
  std::array<NodeId, kRoomMax + 1> grown;
  std::copy(old.begin(), old.begin() + at, grown.begin());
  grown[at] = id;
  std::copy(old.begin() + at, old.end(), grown.begin() + at + 1);
  Set(list, absl::MakeConstSpan(grown).first(count + 1));
}

void IdLists::Append(List* list, NodeId id) {
  Insert(list, static_cast<uint32_t>(Get(*list).size()), id);
}

void IdLists::InsertSorted(List* list, NodeId id) {
  const absl::Span<const NodeId> ids = Get(*list);
  const auto at = std::upper_bound(ids.begin(), ids.end(), id);
  Insert(list, static_cast<uint32_t>(at - ids.begin()), id);
}

void IdLists::Remove(List* list, NodeId id) {
  const absl::Span<const NodeId> ids = Get(*list);
  const auto found = std::find(ids.begin(), ids.end(), id);
  RECLAIM_CHECK(found != ids.end(), "what is removed was there");
  const auto at = static_cast<uint32_t>(found - ids.begin());
  const auto count = static_cast<uint32_t>(ids.size());
  if (count == 1) {
    *list = kEmpty;
  } else if (count > kRoomMax + 1) {
    std::vector<NodeId>& all = long_[*list & (kLong - 1)];
    all.erase(all.begin() + at);
  } else if (count > 2 && count <= kRoomMax) {
    uint32_t* block = Block(*list & (kLong - 1));
    std::copy(block + 2 + at, block + 1 + count, block + 1 + at);
    *block = Header(count - 1, ClassIn(*block));
  } else {
    // To the one that is left, or back to a block.
    std::vector<NodeId> left(ids.begin(), ids.end());
    left.erase(left.begin() + at);
    Set(list, left);
  }
}

}  // namespace reclaim::index
