// index/id_table.h — a set of ids, found by a hash of what they stand for.
//
// Only the ids are held, with a byte of the hash each: who asks compares.  A
// set that doubles holds up to twice what it needs, and three times while it
// moves; here 64 shards grow by a quarter, one at a time, and are at least two
// thirds full: some 6.5 bytes an id.

#ifndef RECLAIM_INDEX_ID_TABLE_H_
#define RECLAIM_INDEX_ID_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace reclaim::index {

// Hashes are uniform in all of their bits.  Not thread-safe.
class IdTable {
 public:
  static constexpr uint32_t kNone = 0xffffffff;

  size_t size() const { return size_; }

  // The first id of that hash, or of one that is much like it, of which `is_it`
  // says so; kNone if there is none.
  template <typename IsIt>
  uint32_t Find(uint32_t hash, IsIt is_it) const {
    const Shard& shard = shards_[hash >> kShardShift];
    if (shard.capacity == 0) return kNone;
    const uint8_t tag = TagOf(hash);
    for (uint32_t at = shard.Home(hash); shard.tags[at] != kFree;
         at = shard.After(at)) {
      if (shard.tags[at] == tag && is_it(shard.ids[at])) return shard.ids[at];
    }
    return kNone;
  }

  // Room for so many, if nothing is in it yet: shards grow but by chance.
  void Reserve(size_t count) {
    // A few of them take what room they need.
    if (size_ > 0 || count < shards_.size() * kReservedMin) return;
    const size_t slots = count / shards_.size() * 5 / 4 + kCapacityMin;
    for (Shard& shard : shards_) shard = Shard(static_cast<uint32_t>(slots));
  }
  // Asks memory for where `hash` is looked for: who knows what he will insert
  // a little later does not wait for it then.
  void Prefetch(uint32_t hash) const {
    const Shard& shard = shards_[hash >> kShardShift];
    if (shard.capacity == 0) return;
    const uint32_t home = shard.Home(hash);
    __builtin_prefetch(&shard.tags[home]);
    __builtin_prefetch(&shard.ids[home]);
  }

  // REQUIRES: `id` is not in the table.  `hash_of` tells the hashes of those
  // that are, here and below.
  template <typename HashOf>
  void Insert(uint32_t hash, uint32_t id, HashOf hash_of) {
    Shard& shard = shards_[hash >> kShardShift];
    if ((uint64_t{shard.count} + 1) * 20 > uint64_t{shard.capacity} * 17) {
      Shard grown(shard.capacity + shard.capacity / 4 + kCapacityMin);
      for (uint32_t at = 0; at < shard.capacity; ++at) {
        if (shard.tags[at] == kFree) continue;
        grown.Add(hash_of(shard.ids[at]), shard.ids[at]);
      }
      shard = std::move(grown);
    }
    shard.Add(hash, id);
    ++size_;
  }

  // Does nothing if it is not there.
  template <typename HashOf>
  void Erase(uint32_t hash, uint32_t id, HashOf hash_of) {
    Shard& shard = shards_[hash >> kShardShift];
    if (shard.capacity == 0) return;
    uint32_t hole = shard.Home(hash);
    while (shard.tags[hole] != kFree &&
           (shard.tags[hole] != TagOf(hash) || shard.ids[hole] != id)) {
      hole = shard.After(hole);
    }
    if (shard.tags[hole] == kFree) return;
    --shard.count;
    --size_;
    // Whoever would not be found over a free slot moves into it.
    for (uint32_t at = shard.After(hole); shard.tags[at] != kFree;
         at = shard.After(at)) {
      const uint32_t home = shard.Home(hash_of(shard.ids[at]));
      const bool is_between =
          hole < at ? hole < home && home <= at : hole < home || home <= at;
      if (is_between) continue;
      shard.tags[hole] = shard.tags[at];
      shard.ids[hole] = shard.ids[at];
      hole = at;
    }
    shard.tags[hole] = kFree;
  }

 private:
  static constexpr int kShardShift = 26;
  static constexpr uint32_t kCapacityMin = 4;
  static constexpr size_t kReservedMin = 16;  // a shard
  static constexpr uint8_t kFree = 0;

  static uint8_t TagOf(uint32_t hash) {
    const auto tag = static_cast<uint8_t>(hash);
    return tag == kFree ? 1 : tag;
  }

  struct Shard {
    uint32_t capacity = 0;
    uint32_t count = 0;
    std::unique_ptr<uint32_t[]> ids;
    std::unique_ptr<uint8_t[]> tags;

    Shard() = default;
    explicit Shard(uint32_t slots)
        : capacity(slots),
          ids(std::make_unique<uint32_t[]>(slots)),
          tags(std::make_unique<uint8_t[]>(slots)) {}

    // The bits below those that chose the shard.
    uint32_t Home(uint32_t hash) const {
      const uint32_t rest = hash << (32 - kShardShift);
      return static_cast<uint32_t>(uint64_t{rest} * capacity >> 32);
    }
    uint32_t After(uint32_t at) const {
      return at + 1 == capacity ? 0 : at + 1;
    }
    void Add(uint32_t hash, uint32_t id) {
      uint32_t at = Home(hash);
      while (tags[at] != kFree) at = After(at);
      tags[at] = TagOf(hash);
      ids[at] = id;
      ++count;
    }
  };

  std::array<Shard, size_t{1} << (32 - kShardShift)> shards_;
  size_t size_ = 0;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_ID_TABLE_H_
