#include "index/packed_lists.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace reclaim::index {

uint8_t* PackedLists::Write(NodeId before, NodeId id, uint8_t* at) {
  const int64_t difference = int64_t{id} - int64_t{before};
  uint64_t folded = difference >= 0
                        ? static_cast<uint64_t>(difference) << 1
                        : static_cast<uint64_t>(-difference - 1) << 1 | 1;
  while (folded >= 0x80) {
    *at++ = static_cast<uint8_t>(folded | 0x80);
    folded >>= 7;
  }
  *at++ = static_cast<uint8_t>(folded);
  return at;
}

// A free block's first word after the header's says which is free next.
uint32_t PackedLists::NewBlock(uint32_t block_class) {
  const uint32_t free = free_blocks_[block_class];
  if (free != kNoBlock) {
    std::memcpy(&free_blocks_[block_class], Block(free) + 4, sizeof(uint32_t));
    return free;
  }
  const uint32_t words = kWords[block_class];
  // No block lies in two chunks.
  if (pool_end_ % kPoolChunkWords + words > kPoolChunkWords ||
      pool_end_ % kPoolChunkWords == 0) {
    pool_end_ = static_cast<uint32_t>(pool_.size()) * kPoolChunkWords;
    RECLAIM_CHECK(pool_end_ < kLong, "a billion edges are not reached");
    pool_.push_back(std::make_unique<uint32_t[]>(kPoolChunkWords));
  }
  const uint32_t offset = pool_end_;
  pool_end_ += words;
  return offset;
}

void PackedLists::FreeBlock(uint32_t offset) {
  uint8_t* block = Block(offset);
  const uint8_t block_class = block[1];
  std::memcpy(block + 4, &free_blocks_[block_class], sizeof(uint32_t));
  free_blocks_[block_class] = offset;
}

PackedLists::Short PackedLists::Read(List list) const {
  Short ids;
  ForEach(list, [&](NodeId id) {
    ids.ids[ids.count++] = id;
    return true;
  });
  return ids;
}

void PackedLists::MakeLong(List* list, absl::Span<const NodeId> ids) {
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

// Where `*list` is a block it is taken again if its size is still right.
void PackedLists::Store(List* list, absl::Span<const NodeId> ids) {
  std::array<uint8_t, kBytesMax> bytes{};
  uint32_t size = 0;
  uint32_t block_class = 0;
  if (ids.size() > 1 && ids.size() <= kShortMax) {
    uint8_t* at = bytes.data() + kHeaderSize;
    NodeId before = 0;
    for (const NodeId id : ids) {
      at = Write(before, id, at);
      before = id;
    }
    size = static_cast<uint32_t>(at - bytes.data());
    block_class = static_cast<uint32_t>(
        std::lower_bound(kWords.begin(), kWords.end(), (size + 3) / 4) -
        kWords.begin());
  }
  uint32_t offset = kNoBlock;
  if (*list != kEmpty && *list >= kIdEnd) offset = *list & (kLong - 1);
  if (offset != kNoBlock && (size == 0 || Block(offset)[1] != block_class)) {
    FreeBlock(offset);
    offset = kNoBlock;
  }
  if (size == 0) {
    *list = kEmpty;
    if (ids.size() == 1) *list = ids[0];
    if (ids.size() > kShortMax) MakeLong(list, ids);
    return;
  }
  if (offset == kNoBlock) offset = NewBlock(block_class);
  bytes[0] = static_cast<uint8_t>(ids.size());
  bytes[1] = static_cast<uint8_t>(block_class);
  std::memcpy(Block(offset), bytes.data(), size);
  *list = kStored | offset;
}

void PackedLists::Append(List* list, NodeId id) {
  RECLAIM_CHECK(id < kIdEnd, "two billion nodes are not reached");
  if (*list == kEmpty) {
    *list = id;
    return;
  }
  if (*list >= kIdEnd && (*list & kLong) != 0) {
    std::vector<NodeId>& ids = long_[*list & (kLong - 1)];
    if (ids.size() == ids.capacity()) ids.reserve(ids.size() / 4 * 5);
    ids.push_back(id);
    return;
  }
  Short ids = Read(*list);
  ids.ids[ids.count++] = id;
  Store(list, ids.all());
}

void PackedLists::Fill(List* list, absl::Span<const NodeId> ids) {
  RECLAIM_CHECK(IsEmpty(*list), "a list is filled once");
  if (ids.size() == 1) {
    *list = ids[0];
  } else {
    Store(list, ids);
  }
}

void PackedLists::Remove(List* list, NodeId id) {
  if (*list != kEmpty && *list >= kIdEnd && (*list & kLong) != 0) {
    const uint32_t where = *list & (kLong - 1);
    std::vector<NodeId>& all = long_[where];
    const auto found = std::find(all.begin(), all.end(), id);
    RECLAIM_CHECK(found != all.end(), "what is removed was there");
    all.erase(found);
    if (all.size() > kShortMax) return;
    Short ids;
    for (const NodeId one : all) ids.ids[ids.count++] = one;
    all = std::vector<NodeId>();
    free_long_.push_back(where);
    *list = kEmpty;
    Store(list, ids.all());
    return;
  }
  Short ids = Read(*list);
  NodeId* end = ids.ids.data() + ids.count;
  NodeId* found = std::find(ids.ids.data(), end, id);
  RECLAIM_CHECK(found != end, "what is removed was there");
  std::copy(found + 1, end, found);
  --ids.count;
  Store(list, ids.all());
}

}  // namespace reclaim::index
