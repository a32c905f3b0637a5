#include "index/id_table.h"

#include <cstdint>
#include <random>
#include <set>

#include "gtest/gtest.h"

namespace reclaim::index {
namespace {

// A table beside a set of the standard library.
class Twins {
 public:
  // Of so many different hashes.
  explicit Twins(uint32_t hash_count) : hash_count_(hash_count) {}

  uint32_t HashOf(uint32_t id) const {
    const uint64_t few = id % hash_count_ + 1;
    return static_cast<uint32_t>(few * 0x9e3779b97f4a7c15 >> 32);
  }
  void Insert(uint32_t id) {
    if (!ids_.insert(id).second) return;
    table_.Insert(HashOf(id), id, [this](uint32_t one) { return HashOf(one); });
  }
  void Reserve(uint32_t count) { table_.Reserve(count); }
  void Prefetch(uint32_t id) const { table_.Prefetch(HashOf(id)); }
  void Erase(uint32_t id) {
    ids_.erase(id);
    table_.Erase(HashOf(id), id, [this](uint32_t one) { return HashOf(one); });
  }
  void ExpectSame(uint32_t id_end) const {
    ASSERT_EQ(table_.size(), ids_.size());
    for (uint32_t id = 0; id < id_end; ++id) {
      const uint32_t found =
          table_.Find(HashOf(id), [id](uint32_t one) { return one == id; });
      ASSERT_EQ(found, ids_.count(id) > 0 ? id : IdTable::kNone) << id;
    }
  }
  // All of one hash are told, each once.
  void ExpectAllOf(uint32_t hash) const {
    std::multiset<uint32_t> told;
    EXPECT_EQ(table_.Find(hash,
                          [&](uint32_t id) {
                            if (HashOf(id) == hash) told.insert(id);
                            return false;
                          }),
              IdTable::kNone);
    std::multiset<uint32_t> expected;
    for (const uint32_t id : ids_) {
      if (HashOf(id) == hash) expected.insert(id);
    }
    EXPECT_EQ(told, expected);
  }

 private:
  const uint32_t hash_count_;
  IdTable table_;
  std::set<uint32_t> ids_;
};

TEST(IdTableTest, NothingIsInAnEmptyOne) {
  Twins twins(10);
  twins.Erase(3);
  twins.ExpectSame(10);
}

// Room is made for fewer than come, for as many, and for more; few hashes come
// all into some of the shards.
TEST(IdTableTest, RoomThatWasMadeIsNoLimit) {
  constexpr uint32_t kIds = 5000;
  for (const uint32_t room : {0u, 1u, 1023u, 1024u, 5000u, 50'000u}) {
    for (const uint32_t hash_count : {7u, 300u, 0x7fffffffu}) {
      Twins twins(hash_count);
      twins.Prefetch(1);
      twins.Reserve(room);
      for (uint32_t id = 0; id < kIds; ++id) {
        twins.Prefetch(id + 1);
        twins.Insert(id);
      }
      // There is something in it: it stays.
      twins.Reserve(2 * kIds);
      twins.ExpectSame(kIds);
      for (uint32_t id = 0; id < kIds; id += 2) twins.Erase(id);
      twins.ExpectSame(kIds);
    }
  }
}

TEST(IdTableTest, ItHasWhatItsTwinHas) {
  constexpr uint32_t kIds = 5000;
  // Few hashes make long runs of slots, over the end of a shard as well.
  for (const uint32_t hash_count : {7u, 300u, 0x7fffffffu}) {
    SCOPED_TRACE(hash_count);
    std::mt19937 random(hash_count);
    Twins twins(hash_count);
    for (int round = 0; round < 6; ++round) {
      for (int i = 0; i < 4000; ++i) {
        const uint32_t id = random() % kIds;
        // It grows first and shrinks then.
        if (random() % 6 >= static_cast<uint32_t>(round)) {
          twins.Insert(id);
        } else {
          twins.Erase(id);
        }
      }
      twins.ExpectSame(kIds);
      twins.ExpectAllOf(twins.HashOf(random() % kIds));
    }
    for (uint32_t id = 0; id < kIds; ++id) twins.Erase(id);
    twins.ExpectSame(kIds);
  }
}

}  // namespace
}  // namespace reclaim::index
