#include "index/id_lists.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace reclaim::index {
namespace {

std::vector<NodeId> Of(const IdLists& lists, const IdLists::List& list) {
  const absl::Span<const NodeId> ids = lists.Get(list);
  return {ids.begin(), ids.end()};
}

TEST(IdListsTest, KeepsTheOrderInWhichIdsCame) {
  IdLists lists;
  IdLists::List list = IdLists::kEmpty;
  EXPECT_TRUE(lists.IsEmpty(list));
  for (const NodeId id : {7u, 3u, 9u}) lists.Append(&list, id);
  EXPECT_EQ(Of(lists, list), (std::vector<NodeId>{7, 3, 9}));
  lists.Remove(&list, 3);
  EXPECT_EQ(Of(lists, list), (std::vector<NodeId>{7, 9}));
  lists.Remove(&list, 7);
  lists.Remove(&list, 9);
  EXPECT_TRUE(lists.IsEmpty(list));
}

TEST(IdListsTest, SortsWhereAskedTo) {
  IdLists lists;
  IdLists::List list = IdLists::kEmpty;
  for (const NodeId id : {7u, 3u, 9u, 5u}) lists.InsertSorted(&list, id);
  EXPECT_EQ(Of(lists, list), (std::vector<NodeId>{3, 5, 7, 9}));
}

// Many lists that grow and shrink through every size, beside plain vectors.
TEST(IdListsPropertyTest, ListsAreWhatVectorsAre) {
  const uint64_t seed = 20261126;
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr size_t kListCount = 40;
  IdLists lists;
  std::vector<IdLists::List> handles(kListCount, IdLists::kEmpty);
  std::vector<std::vector<NodeId>> twins(kListCount);
  for (int step = 0; step < 60000; ++step) {
    const size_t at = random() % kListCount;
    std::vector<NodeId>& twin = twins[at];
    const auto id = static_cast<NodeId>(random() % 1000);
    // For a while lists grow, then they shrink.
    const bool grows = random() % 10 < (step / 10000 % 2 == 0 ? 7u : 3u);
    if (random() % 200 == 0) {
      std::vector<NodeId> ids(random() % 100);
      for (NodeId& each : ids) each = static_cast<NodeId>(random() % 1000);
      lists.Set(&handles[at], ids);
      twin = ids;
    } else if (grows) {
      lists.Append(&handles[at], id);
      twin.push_back(id);
    } else if (!twin.empty()) {
      const NodeId gone = twin[random() % twin.size()];
      lists.Remove(&handles[at], gone);
      twin.erase(std::find(twin.begin(), twin.end(), gone));
    }
    ASSERT_EQ(Of(lists, handles[at]), twin)
        << absl::StrCat("seed ", seed, " step ", step);
  }
  for (size_t i = 0; i < kListCount; ++i) {
    EXPECT_EQ(Of(lists, handles[i]), twins[i]);
  }
}

}  // namespace
}  // namespace reclaim::index
