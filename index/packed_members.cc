#include "index/packed_members.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace reclaim::index {
namespace {

// Two numbers of up to 64 bits, seven of them a byte.
constexpr size_t kRowBytesMax = 20;
constexpr uint64_t kKindMask = 0x3;

uint8_t* Write(uint64_t number, uint8_t* at) {
  for (; number >= 0x80; number >>= 7) {
    *at++ = static_cast<uint8_t>(number | 0x80);
  }
  *at++ = static_cast<uint8_t>(number);
  return at;
}

const uint8_t* Read(const uint8_t* at, uint64_t* number) {
  uint64_t value = 0;
  int shift = 0;
  for (; (*at & 0x80) != 0; shift += 7)
    value |= uint64_t{*at++ & 0x7fu} << shift;
  *number = value | uint64_t{*at++} << shift;
  return at;
}

// The sign goes into the lowest bit.
uint64_t Fold(int64_t number) {
  return static_cast<uint64_t>(number) << 1 ^
         static_cast<uint64_t>(number >> 63);
}
int64_t Unfold(uint64_t folded) {
  return static_cast<int64_t>(folded >> 1 ^ (~(folded & 1) + 1));
}

uint8_t* WriteRow(const PackedMembers::Row& before,
                  const PackedMembers::Row& row, uint8_t* at) {
  const uint64_t kind = static_cast<uint64_t>(row.kind) & kKindMask;
  at = Write(uint64_t{row.content - before.content} << 3 | kind << 1 |
                 (row.is_only_name ? 1 : 0),
             at);
  return Write(Fold(row.micros - before.micros), at);
}

}  // namespace

bool PackedMembers::Reader::Next() {
  if (left_ == 0) return false;
  --left_;
  uint64_t content = 0;
  uint64_t time = 0;
  at_ = index::Read(index::Read(at_, &content), &time);
  row_.content += static_cast<NodeId>(content >> 3);
  row_.kind = static_cast<store::MembershipKind>(content >> 1 & kKindMask);
  row_.is_only_name = (content & 1) != 0;
  row_.micros += Unfold(time);
  return true;
}

size_t PackedMembers::BlockOf(NodeId content) const {
  const auto after = std::upper_bound(
      blocks_.begin(), blocks_.end(), content,
      [](NodeId wanted, const Block& block) { return wanted < block.first; });
  if (after == blocks_.begin()) return 0;
  return static_cast<size_t>(after - blocks_.begin()) - 1;
}

PackedMembers::Rows PackedMembers::Read(const Block& block) {
  Rows rows;
  rows.reserve(block.count + size_t{1});
  Reader reader(block);
  while (reader.Next()) rows.push_back(reader.row());
  return rows;
}

PackedMembers::Block PackedMembers::Pack(const Row* begin, const Row* end) {
  std::array<uint8_t, (kRowsMax + 1) * kRowBytesMax> bytes;
  Block block;
  block.first = begin->content;
  Row before;
  before.content = block.first;
  uint8_t* at = bytes.data();
  for (const Row* row = begin; row != end; ++row) {
    at = WriteRow(before, *row, at);
    before = *row;
  }
  block.count = static_cast<uint16_t>(end - begin);
  block.size = static_cast<uint16_t>(at - bytes.data());
  block.bytes =
      std::make_unique<uint8_t[]>((block.size + kStep - 1) / kStep * kStep);
  std::memcpy(block.bytes.get(), bytes.data(), block.size);
  return block;
}

bool PackedMembers::Append(const Row& row) {
  if (row.content < last_) return false;
  Block& block = blocks_.back();
  Reader reader(block);
  while (reader.Next()) {
  }
  if (!IsBefore(reader.row(), row)) return false;
  if (block.count >= kRowsMax) {
    // Who comes in order fills its blocks.
    if (reader.row().content == row.content) return false;
    blocks_.push_back(Pack(&row, &row + 1));
    return true;
  }
  std::array<uint8_t, kRowBytesMax> bytes;
  const size_t added = WriteRow(reader.row(), row, bytes.data()) - bytes.data();
  const size_t steps = (block.size + kStep - 1) / kStep;
  if (block.size + added > steps * kStep) {
    auto grown = std::make_unique<uint8_t[]>((steps + 1) * kStep);
    std::memcpy(grown.get(), block.bytes.get(), block.size);
    block.bytes = std::move(grown);
  }
  std::memcpy(block.bytes.get() + block.size, bytes.data(), added);
  block.size = static_cast<uint16_t>(block.size + added);
  ++block.count;
  return true;
}

void PackedMembers::Replace(size_t block, const Rows& rows) {
  const auto at = blocks_.begin() + static_cast<ptrdiff_t>(block);
  if (rows.empty()) {
    blocks_.erase(at);
    return;
  }
  const Row* begin = rows.data();
  const Row* end = begin + rows.size();
  if (rows.size() <= kRowsMax) {
    *at = Pack(begin, end);
    return;
  }
  const Row* middle = begin + rows.size() / 2;
  if (middle->content == middle[-1].content) ++middle;
  *at = Pack(begin, middle);
  blocks_.insert(at + 1, Pack(middle, end));
}

std::optional<PackedMembers::Row> PackedMembers::Find(
    NodeId content, store::MembershipKind kind) const {
  if (blocks_.empty() || content > last_) return std::nullopt;
  Reader reader(blocks_[BlockOf(content)]);
  while (reader.Next() && reader.row().content <= content) {
    if (reader.row().content == content && reader.row().kind == kind) {
      return reader.row();
    }
  }
  return std::nullopt;
}

void PackedMembers::Put(const Row& row) {
  if (blocks_.empty()) {
    blocks_.push_back(Pack(&row, &row + 1));
  } else if (!Append(row)) {
    const size_t block = BlockOf(row.content);
    Rows rows = Read(blocks_[block]);
    const auto at = std::lower_bound(rows.begin(), rows.end(), row, IsBefore);
    if (at != rows.end() && !IsBefore(row, *at)) {
      *at = row;
    } else {
      rows.insert(at, row);
    }
    Replace(block, rows);
  }
  last_ = std::max(last_, row.content);
}

// In blocks as Put() fills them with rows that come in order.
void PackedMembers::Fill(absl::Span<const Row> rows) {
  // For those that come behind it doubles: exact room each time is a square.
  if (blocks_.empty()) {
    blocks_.reserve((rows.size() + kRowsMax - 1) / kRowsMax);
  }
  while (!rows.empty()) {
    size_t count = std::min(rows.size(), kRowsMax);
    while (count < rows.size() && count > 1 &&
           rows[count].content == rows[count - 1].content) {
      --count;
    }
    blocks_.push_back(Pack(rows.data(), rows.data() + count));
    last_ = rows[count - 1].content;
    rows.remove_prefix(count);
  }
}

void PackedMembers::Remove(NodeId content, store::MembershipKind kind) {
  if (blocks_.empty() || content > last_) return;
  const size_t block = BlockOf(content);
  Rows rows = Read(blocks_[block]);
  const auto end =
      std::remove_if(rows.begin(), rows.end(), [&](const Row& row) {
        return row.content == content && row.kind == kind;
      });
  if (end == rows.end()) return;
  rows.erase(end, rows.end());
  // What became small joins the next one.
  if (rows.size() <= kRowsMax / 4 && block + 1 < blocks_.size() &&
      blocks_[block + 1].count <= kRowsMax / 2) {
    const Rows next = Read(blocks_[block + 1]);
    rows.insert(rows.end(), next.begin(), next.end());
    blocks_.erase(blocks_.begin() + static_cast<ptrdiff_t>(block) + 1);
  }
  Replace(block, rows);
}

}  // namespace reclaim::index
