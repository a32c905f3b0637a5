// index/resident_node.h — private to the resident graph: a node in 28 bytes.
//
// What few nodes have (large counts, uses, expiries, extents, subjects) lies
// beside, and a bit says so.

#ifndef RECLAIM_INDEX_RESIDENT_NODE_H_
#define RECLAIM_INDEX_RESIDENT_NODE_H_

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "index/id_lists.h"
#include "index/node.h"
#include "index/packed_lists.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::index {

// Times as the durable records hold them: microseconds, in 56 bits.  Those
// before the year 829 or after 3111 become the infinities.
inline constexpr int64_t kMicrosMax = (int64_t{1} << 55) - 1;
inline int64_t ToPackedMicros(absl::Time time) {
  return std::clamp(absl::ToUnixMicros(time), -kMicrosMax, kMicrosMax);
}
inline absl::Time FromPackedMicros(int64_t micros) {
  if (micros == kMicrosMax) return absl::InfiniteFuture();
  if (micros == -kMicrosMax) return absl::InfinitePast();
  return absl::FromUnixMicros(micros);
}

// Words of four bytes, so that there is no padding.
#pragma pack(push, 4)
class ResidentNode {
 public:
  NodeKind kind() const { return static_cast<NodeKind>(kind_); }
  void set_kind(NodeKind kind) { kind_ = static_cast<uint8_t>(kind) & 0x1f; }
  NodeState state() const { return static_cast<NodeState>(state_); }
  void set_state(NodeState state) {
    state_ = static_cast<uint8_t>(state) & 0x3;
  }
  bool exists() const { return exists_ != 0; }
  void set_exists(bool exists) { exists_ = exists ? 1 : 0; }
  absl::Time recorded() const { return FromPackedMicros(recorded_); }
  void set_recorded(absl::Time time) { recorded_ = ToPackedMicros(time); }

  // Unset if they are beside.
  std::optional<store::Bytes> bytes() const {
    const uint64_t logical = logical_;
    switch (allocation_) {
      case kAsLogical:
        return store::Bytes{logical, logical};
      case kInBlocks:
        return store::Bytes{logical, InBlocks(logical)};
      case kNothing:
        return store::Bytes{logical, 0};
      default:
        return std::nullopt;
    }
  }
  // False if they do not fit: put them beside.
  bool set_bytes(const store::Bytes& bytes) {
    logical_ = bytes.logical_bytes & kLogicalMax;
    allocation_ = AllocationOf(bytes);
    return allocation_ != kBeside;
  }

  uint16_t flags() const { return flags_; }
  void set_flags(uint16_t flags) { flags_ = flags & kFlagMask; }
  static constexpr uint16_t kFlagMask = 0xfff;
  // Reach classes in which it is retained as a root.
  uint8_t root_bits() const { return root_bits_; }
  void set_root_bits(uint8_t bits) { root_bits_ = bits & 0x7; }
  // > 0: its contribution is taken out of the totals.
  uint8_t settle_depth() const { return settle_depth_; }
  void set_settle_depth(uint8_t depth) { settle_depth_ = depth & 0x3; }
  static constexpr uint8_t kSettleDepthMax = 3;
  bool is_flat_applied() const { return is_flat_applied_ != 0; }
  void set_flat_applied(bool is_applied) {
    is_flat_applied_ = is_applied ? 1 : 0;
  }
  oci::DigestAlgorithm algorithm() const {
    return static_cast<oci::DigestAlgorithm>(algorithm_);
  }
  void set_algorithm(oci::DigestAlgorithm algorithm) {
    algorithm_ = static_cast<uint8_t>(algorithm) & 0x3;
  }
  bool has_extent() const { return has_extent_ != 0; }
  void set_has_extent(bool has) { has_extent_ = has ? 1 : 0; }
  bool has_subject() const { return has_subject_ != 0; }
  void set_has_subject(bool has) { has_subject_ = has ? 1 : 0; }
  bool has_referrers() const { return has_referrers_ != 0; }
  void set_has_referrers(bool has) { has_referrers_ = has ? 1 : 0; }
  bool has_use() const { return has_use_ != 0; }
  void set_has_use(bool has) { has_use_ = has ? 1 : 0; }

 private:
  static constexpr uint64_t kLogicalMax = (uint64_t{1} << 38) - 1;
  // How the allocated bytes follow from the logical ones.
  enum Allocation : uint8_t {
    kAsLogical = 0,
    kInBlocks = 1,
    kNothing = 2,
    kBeside = 3,
  };
  static uint64_t InBlocks(uint64_t bytes) { return (bytes + 4095) & ~4095ull; }
  static Allocation AllocationOf(const store::Bytes& bytes) {
    const uint64_t logical = bytes.logical_bytes;
    if (logical > kLogicalMax) return kBeside;
    if (bytes.allocated_bytes == logical) return kAsLogical;
    if (bytes.allocated_bytes == InBlocks(logical)) return kInBlocks;
    return bytes.allocated_bytes == 0 ? kNothing : kBeside;
  }

  int64_t recorded_ : 56;
  uint64_t kind_ : 5;
  uint64_t state_ : 2;
  uint64_t exists_ : 1;

  uint64_t logical_ : 38;
  uint64_t allocation_ : 2;
  uint64_t flags_ : 12;
  uint64_t root_bits_ : 3;
  uint64_t settle_depth_ : 2;
  uint64_t is_flat_applied_ : 1;
  uint64_t algorithm_ : 2;
  uint64_t has_extent_ : 1;
  uint64_t has_subject_ : 1;
  uint64_t has_referrers_ : 1;
  uint64_t has_use_ : 1;

 public:
  uint32_t home = 0;  // store, place and stamp, which many share
  IdLists::List kept = IdLists::kEmpty;
  PackedLists::List keepers = PackedLists::kEmpty;  // each edge to it once

  ResidentNode()
      : recorded_(0),
        kind_(0),
        state_(0),
        exists_(0),
        logical_(0),
        allocation_(kAsLogical),
        flags_(0),
        root_bits_(0),
        settle_depth_(0),
        is_flat_applied_(0),
        algorithm_(0),
        has_extent_(0),
        has_subject_(0),
        has_referrers_(0),
        has_use_(0) {}
};
#pragma pack(pop)
static_assert(sizeof(ResidentNode) == 28, "there are millions");

// The words of a named node's key.
struct NameLabel {
  uint32_t scope = 0;  // in the names
  uint32_t name = 0;
  StoreId store = 0;
  NodeKind kind = NodeKind::kTag;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_RESIDENT_NODE_H_
