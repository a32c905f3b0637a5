// The words are metric labels and are printed: they never change, and no two
// values share one.

#include "gc/run.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace reclaim::gc {
namespace {

template <typename Enum>
void ExpectDistinctWords(int first, int last) {
  std::set<std::string> words;
  for (int i = first; i <= last; ++i) {
    const std::string word = ToString(static_cast<Enum>(i));
    EXPECT_NE(word, "unknown") << i;
    EXPECT_TRUE(words.insert(word).second) << word;
  }
  EXPECT_STREQ(ToString(static_cast<Enum>(last + 1)), "unknown");
}

TEST(RunTest, EveryKindHasAWord) { ExpectDistinctWords<RunKind>(1, 5); }
TEST(RunTest, EveryPhaseHasAWord) { ExpectDistinctWords<RunPhase>(1, 6); }
TEST(RunTest, EverySkipReasonHasAWord) {
  ExpectDistinctWords<SkipReason>(0, 9);
  EXPECT_STREQ(ToString(SkipReason::kBecameLive), "became-live");
}

}  // namespace
}  // namespace reclaim::gc
