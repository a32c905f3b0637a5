#include "base/random.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

TEST(RandomTest, IdsAreSixteenHexDigits) {
  const std::string id = RandomId(SystemRandom());
  EXPECT_EQ(id.size(), 16u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST(RandomTest, SystemIdsDoNotRepeat) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(RandomId(SystemRandom()));
  EXPECT_EQ(ids.size(), 1000u);
}

TEST(RandomTest, EqualSeedsRepeat) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom c(8);
  const std::string first = RandomId(&a);
  EXPECT_EQ(first, RandomId(&b));
  EXPECT_NE(first, RandomId(&c));
}

}  // namespace
}  // namespace reclaim::base
