// index/packed_members.h — what belongs to one repository, sorted, in few
// bytes.
//
// Rows lie in blocks of some dozens, as differences to the row before: of the
// content, and of the time.  Links of one push are of nearly one time and
// content came in that order, so that a row takes 4 bytes; where neither is so
// it takes 10.  A B-tree of plain rows takes 13.

#ifndef RECLAIM_INDEX_PACKED_MEMBERS_H_
#define RECLAIM_INDEX_PACKED_MEMBERS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::index {

// Not thread-safe.
class PackedMembers {
 public:
  struct Row {
    NodeId content = kNoNode;
    store::MembershipKind kind = store::MembershipKind::kRevision;
    bool is_only_name = false;
    int64_t micros = 0;  // as ToPackedMicros()
  };

  bool empty() const { return blocks_.empty(); }
  // Rows of one content, in the order of their kinds.
  std::optional<Row> Find(NodeId content, store::MembershipKind kind) const;
  // Anew, or instead of the one with that content and kind.
  void Put(const Row& row);
  // Whether all that is there is of contents below `content`.
  bool EndsBefore(NodeId content) const {
    return blocks_.empty() || last_ < content;
  }
  // Many at once: ascending, none twice.  REQUIRES: EndsBefore() the first.
  void Fill(absl::Span<const Row> rows);
  // Does nothing if it is not there.
  void Remove(NodeId content, store::MembershipKind kind);
  // Ascending by content, then kind, until `visit` returns false.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const Block& block : blocks_) {
      Reader reader(block);
      while (reader.Next()) {
        if (!visit(reader.row())) return;
      }
    }
  }

 private:
  struct Block {
    NodeId first = 0;  // content of its first row
    uint16_t size = 0;
    uint16_t count = 0;
    std::unique_ptr<uint8_t[]> bytes;  // in steps of kStep
  };
  class Reader {
   public:
    explicit Reader(const Block& block)
        : at_(block.bytes.get()), left_(block.count) {
      row_.content = block.first;
    }
    bool Next();
    const Row& row() const { return row_; }

   private:
    const uint8_t* at_;
    uint16_t left_;
    Row row_;
  };
  using Rows = std::vector<Row>;

  static constexpr size_t kRowsMax = 48;
  static constexpr size_t kStep = 32;

  static bool IsBefore(const Row& a, const Row& b) {
    return a.content != b.content ? a.content < b.content : a.kind < b.kind;
  }
  // The block that has, or would have, what is of `content`.
  size_t BlockOf(NodeId content) const;
  static Rows Read(const Block& block);
  static Block Pack(const Row* begin, const Row* end);
  // False if the row does not come after all others.
  bool Append(const Row& row);
  void Replace(size_t block, const Rows& rows);

  std::vector<Block> blocks_;  // all rows of one content lie in one block
  NodeId last_ = 0;            // nothing has a content above it
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_PACKED_MEMBERS_H_
