#include "index/packed_members.h"

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using store::MembershipKind;
using Key = std::pair<NodeId, MembershipKind>;
using Row = PackedMembers::Row;

constexpr int64_t kNow = 1'767'323'045'000'000;
constexpr int64_t kLongAgo = -(int64_t{1} << 55) + 1;

bool IsSame(const Row& a, const Row& b) {
  return a.content == b.content && a.kind == b.kind &&
         a.is_only_name == b.is_only_name && a.micros == b.micros;
}

// Beside a map of the standard library.
class Twins {
 public:
  void Fill(const std::vector<Row>& rows) {
    packed_.Fill(rows);
    for (const Row& row : rows) plain_[{row.content, row.kind}] = row;
  }
  void Put(const Row& row) {
    packed_.Put(row);
    plain_[{row.content, row.kind}] = row;
  }
  void Remove(const Key& key) {
    packed_.Remove(key.first, key.second);
    plain_.erase(key);
  }
  void ExpectSame() const {
    ASSERT_EQ(packed_.empty(), plain_.empty());
    auto next = plain_.begin();
    packed_.ForEach([&](const Row& row) {
      EXPECT_TRUE(next != plain_.end() && IsSame(row, next->second))
          << row.content;
      if (next != plain_.end()) ++next;
      return true;
    });
    ASSERT_TRUE(next == plain_.end());
  }
  void ExpectFinds(const Key& key) const {
    const std::optional<Row> found = packed_.Find(key.first, key.second);
    const auto expected = plain_.find(key);
    ASSERT_EQ(found.has_value(), expected != plain_.end()) << key.first;
    if (found) {
      EXPECT_TRUE(IsSame(*found, expected->second)) << key.first;
    }
  }

 private:
  PackedMembers packed_;
  std::map<Key, Row> plain_;
};

MembershipKind KindOf(uint64_t number) {
  return number % 2 == 0 ? MembershipKind::kRevision : MembershipKind::kLayer;
}

TEST(PackedMembersTest, RowsThatComeInOrderAreThere) {
  Twins twins;
  twins.ExpectSame();
  twins.ExpectFinds({3, MembershipKind::kLayer});
  for (NodeId id = 0; id < 1000; ++id) {
    twins.Put({id * 3, MembershipKind::kRevision, id % 5 == 0, kNow + id});
    twins.Put({id * 3, MembershipKind::kLayer, false, kNow - id * 1'000'000});
  }
  twins.ExpectSame();
  for (NodeId id = 0; id < 3003; ++id) {
    twins.ExpectFinds({id, MembershipKind::kRevision});
    twins.ExpectFinds({id, MembershipKind::kLayer});
  }
  for (NodeId id = 0; id < 1000; ++id) {
    twins.Remove({id * 3, MembershipKind::kRevision});
    twins.Remove({id * 3 + 1, MembershipKind::kRevision});
    twins.Remove({id * 3, MembershipKind::kLayer});
  }
  twins.ExpectSame();
}

// Of each count about the ends of blocks, with contents of one link and of two
// there; and it goes on as if they had come one by one.
TEST(PackedMembersTest, WhatIsFilledAtOnceIsThere) {
  for (size_t count = 0; count < 150; ++count) {
    for (const size_t shift : {0, 1, 2}) {
      SCOPED_TRACE(count);
      std::vector<Row> rows;
      for (size_t i = 0; rows.size() < count; ++i) {
        const auto content = static_cast<NodeId>(10 * i);
        rows.push_back({content, MembershipKind::kRevision, i % 5 == 0,
                        kNow + static_cast<int64_t>(i)});
        if (i % 3 == shift && rows.size() < count) {
          rows.push_back({content, MembershipKind::kLayer, false, kLongAgo});
        }
      }
      Twins twins;
      twins.Fill(rows);
      twins.ExpectSame();
      for (const Row& row : rows) {
        twins.ExpectFinds({row.content, MembershipKind::kRevision});
        twins.ExpectFinds({row.content, MembershipKind::kLayer});
        twins.ExpectFinds({row.content + 1, MembershipKind::kLayer});
      }
      for (const Row& row : rows) {
        twins.Put({row.content + 5, MembershipKind::kLayer, true, kNow});
        twins.Put({row.content, MembershipKind::kLayer, true, kNow});
      }
      twins.Put({10'000, MembershipKind::kLayer, true, kNow});
      twins.ExpectSame();
      for (const Row& row : rows) twins.Remove({row.content, row.kind});
      twins.ExpectSame();
      if (HasFatalFailure()) return;
    }
  }
}

TEST(PackedMembersTest, TheGreatestIdsAndTheOldestTimesFit) {
  Twins twins;
  twins.Put({kNoNode - 1, MembershipKind::kLayer, true, -kLongAgo});
  twins.Put({0, MembershipKind::kLayer, true, kLongAgo});
  twins.Put({kNoNode - 1, MembershipKind::kRevision, false, kLongAgo});
  twins.ExpectSame();
  twins.ExpectFinds({kNoNode - 1, MembershipKind::kLayer});
}

TEST(PackedMembersTest, AVisitEndsWhenItIsTold) {
  PackedMembers members;
  for (NodeId id = 0; id < 200; ++id) {
    members.Put({id, MembershipKind::kLayer, false, kNow});
  }
  NodeId count = 0;
  members.ForEach([&count](const Row& row) {
    ++count;
    return row.content < 99;
  });
  EXPECT_EQ(count, 100u);
}

TEST(PackedMembersTest, ItHasWhatItsTwinHas) {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Twins twins;
    for (int step = 0; step < 30'000; ++step) {
      const Key key(static_cast<NodeId>(random() % 1500), KindOf(random()));
      // It grows first and shrinks then.
      if (random() % 30'000 >= static_cast<uint64_t>(step)) {
        const int64_t micros =
            random() % 50 == 0 ? kLongAgo
                               : kNow - static_cast<int64_t>(random() % kNow);
        twins.Put({key.first, key.second, random() % 7 == 0, micros});
      } else {
        twins.Remove(key);
      }
      twins.ExpectFinds(
          {static_cast<NodeId>(random() % 1600), KindOf(random())});
      if (step % 500 == 0) twins.ExpectSame();
      if (HasFatalFailure()) return;
    }
    twins.ExpectSame();
  }
}

}  // namespace
}  // namespace reclaim::index
