#include "index/packed_lists.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace reclaim::index {
namespace {

std::vector<NodeId> Of(const PackedLists& lists, PackedLists::List list) {
  std::vector<NodeId> ids;
  lists.ForEach(list, [&](NodeId id) {
    ids.push_back(id);
    return true;
  });
  return ids;
}

TEST(PackedListsTest, KeepsTheOrderInWhichIdsCame) {
  PackedLists lists;
  PackedLists::List list = PackedLists::kEmpty;
  EXPECT_TRUE(lists.IsEmpty(list));
  for (const NodeId id : {7u, 3u, 9u, 3u}) lists.Append(&list, id);
  EXPECT_EQ(Of(lists, list), (std::vector<NodeId>{7, 3, 9, 3}));
  EXPECT_FALSE(lists.IsEmpty(list));
  lists.Remove(&list, 3);
  EXPECT_EQ(Of(lists, list), (std::vector<NodeId>{7, 9, 3}));
  for (const NodeId id : {7u, 9u, 3u}) lists.Remove(&list, id);
  EXPECT_TRUE(lists.IsEmpty(list));
}

TEST(PackedListsTest, AWalkEndsWhereItIsToldTo) {
  for (const NodeId count : {1u, 3u, 200u}) {
    PackedLists lists;
    PackedLists::List list = PackedLists::kEmpty;
    for (NodeId id = 0; id < count; ++id) lists.Append(&list, id);
    NodeId seen = 0;
    lists.ForEach(list, [&](NodeId) { return ++seen < 2; });
    EXPECT_EQ(seen, std::min(count, 2u));
  }
}

// Of every length, and usable as one that grew.
TEST(PackedListsTest, AListThatIsFilledIsOneThatGrew) {
  for (NodeId count = 0; count < 200; ++count) {
    std::vector<NodeId> expected;
    for (NodeId i = 0; i < count; ++i) {
      expected.push_back(i * 7919 % 100'003);
    }
    PackedLists lists;
    PackedLists::List list = PackedLists::kEmpty;
    lists.Fill(&list, expected);
    ASSERT_EQ(Of(lists, list), expected);
    lists.Append(&list, 5);
    expected.push_back(5);
    ASSERT_EQ(Of(lists, list), expected);
    lists.Remove(&list, expected[0]);
    expected.erase(expected.begin());
    ASSERT_EQ(Of(lists, list), expected);
    while (!expected.empty()) {
      lists.Remove(&list, expected.back());
      expected.erase(
          std::find(expected.begin(), expected.end(), expected.back()));
    }
    EXPECT_TRUE(lists.IsEmpty(list));
  }
}

// Differences of every size, both ways.
TEST(PackedListsTest, IdsMayLieAsFarApartAsTheyCan) {
  constexpr NodeId kLast = PackedLists::kIdEnd - 1;
  std::vector<NodeId> expected;
  for (NodeId power = 1; power < kLast; power *= 2) {
    for (const NodeId id : {power - 1, kLast - power, power}) {
      expected.push_back(id);
      PackedLists lists;
      PackedLists::List list = PackedLists::kEmpty;
      for (const NodeId one : expected) lists.Append(&list, one);
      ASSERT_EQ(Of(lists, list), expected);
    }
    if (power > kLast / 2) break;
  }
}

// Many lists that grow and shrink through every size, beside plain vectors.
TEST(PackedListsPropertyTest, ListsAreWhatVectorsAre) {
  for (const NodeId id_end : {NodeId{300}, NodeId{100'000}, NodeId{1} << 31}) {
    const uint64_t seed = 20261126 + id_end;
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    constexpr size_t kListCount = 40;
    PackedLists lists;
    std::vector<PackedLists::List> handles(kListCount, PackedLists::kEmpty);
    std::vector<std::vector<NodeId>> twins(kListCount);
    for (int step = 0; step < 60000; ++step) {
      const size_t at = random() % kListCount;
      std::vector<NodeId>& twin = twins[at];
      // For a while lists grow, then they shrink.
      const bool grows = random() % 10 < (step / 10000 % 2 == 0 ? 7u : 3u);
      if (grows) {
        const auto id = static_cast<NodeId>(random() % id_end);
        lists.Append(&handles[at], id);
        twin.push_back(id);
      } else if (!twin.empty()) {
        const NodeId gone = twin[random() % twin.size()];
        lists.Remove(&handles[at], gone);
        twin.erase(std::find(twin.begin(), twin.end(), gone));
      }
      ASSERT_EQ(Of(lists, handles[at]), twin) << "step " << step;
    }
    for (size_t i = 0; i < kListCount; ++i) {
      EXPECT_EQ(Of(lists, handles[i]), twins[i]);
    }
  }
}

}  // namespace
}  // namespace reclaim::index
