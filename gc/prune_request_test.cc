#include "gc/prune_request.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

TEST(PruneRequestTest, EveryVerbHasItsWords) {
  std::set<std::string> words;
  for (int i = 1; i <= 7; ++i) {
    EXPECT_TRUE(words.insert(ToString(static_cast<PruneVerb>(i))).second);
  }
  EXPECT_EQ(words.count("unknown"), 0u);
  EXPECT_STREQ(ToString(PruneVerb::kAllImages), "image prune --all");
}

}  // namespace
}  // namespace reclaim::gc
