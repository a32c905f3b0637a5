#include "server/mark_keeper.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/watched_engine.h"
#include "store/testing/store_tree.h"

namespace reclaim::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MarkKeeperTest : public ::testing::Test {
 protected:
  // What is said from the start to the end of a daemon.
  std::vector<std::string> RunIn(const std::string& data_directory) {
    std::vector<std::string> said;
    auto keeper =
        MarkKeeper::Open(data_directory, &database_, &commits_, &random_);
    EXPECT_THAT(keeper, base::IsOk());
    (*keeper)->Begin([&](absl::string_view line) { said.emplace_back(line); });
    *keeper = nullptr;
    return said;
  }

  store::TempFolder folder_;
  index::MemoryEngine database_;
  index::WatchedEngine commits_{std::make_unique<index::MemoryEngine>()};
  base::SeededRandom random_{1};
};

TEST_F(MarkKeeperTest, TheMarkIsThereAfterARun) {
  EXPECT_THAT(RunIn(folder_.path()), IsEmpty());
  EXPECT_TRUE(folder_.Exists("graph-mark"));
}

// Nobody can say how much is free there; a disk without room is the same.
TEST_F(MarkKeeperTest, AMarkThatIsNotWrittenIsSaidOnce) {
  EXPECT_THAT(RunIn(folder_.path() + "/nowhere"),
              ElementsAre(AllOf(HasSubstr("fewer than 4 MiB"),
                                HasSubstr("an older copy"))));
  EXPECT_FALSE(folder_.Exists("nowhere"));
}

}  // namespace
}  // namespace reclaim::server
