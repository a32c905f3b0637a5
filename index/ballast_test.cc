#include "index/ballast.h"

#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <string>

#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "store/testing/store_tree.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

constexpr uint64_t kBytes = 1 << 20;

class BallastTest : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/ballast"; }
  uint64_t AllocatedBytes() const {
    struct stat st;
    return stat(path().c_str(), &st) == 0
               ? static_cast<uint64_t>(st.st_blocks) * 512
               : 0;
  }
  store::TempFolder folder_;
};

TEST_F(BallastTest, TakesSpaceAndGivesItBack) {
  Ballast ballast(path(), kBytes);
  EXPECT_FALSE(ballast.is_held());
  EXPECT_FALSE(ballast.Release());
  ASSERT_THAT(ballast.Refill(), IsOk());
  EXPECT_GE(AllocatedBytes(), kBytes);
  ASSERT_THAT(ballast.Refill(), IsOk());
  EXPECT_TRUE(Ballast(path(), kBytes).is_held()) << "after a restart";
  EXPECT_TRUE(ballast.Release());
  EXPECT_FALSE(folder_.Exists("ballast"));
  EXPECT_FALSE(ballast.Release());
}

TEST_F(BallastTest, OneOfAnotherSizeIsMadeAnew) {
  ASSERT_THAT(Ballast(path(), kBytes).Refill(), IsOk());
  EXPECT_FALSE(Ballast(path(), 2 * kBytes).is_held());
  EXPECT_FALSE(folder_.Exists("ballast"));
  ASSERT_THAT(Ballast(path(), kBytes).Refill(), IsOk());
  EXPECT_FALSE(Ballast(path(), 0).is_held()) << "none is wanted any more";
  EXPECT_FALSE(folder_.Exists("ballast"));
}

TEST_F(BallastTest, NeverTakesTheLastSpace) {
  Ballast ballast(path(), uint64_t{1} << 60);
  EXPECT_THAT(ballast.Refill(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_FALSE(folder_.Exists("ballast"));
}

TEST_F(BallastTest, AFullDiskLetsItGoAndCommitsAgain) {
  MemoryEngine memory;
  Ballast ballast(path(), kBytes);
  const std::unique_ptr<Engine> engine = MakeBallastedEngine(&memory, &ballast);
  ASSERT_THAT(ballast.Refill(), IsOk());
  Batch batch;
  batch.Put(Family::kMeta, "key", "value");
  {
    base::ScopedFault full("engine.commit",
                           absl::ResourceExhaustedError("full"));
    EXPECT_THAT(engine->Commit(batch, Durability::kDurable),
                StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_EQ(full.hit_count(), 2) << "once more without the ballast";
  }
  EXPECT_FALSE(ballast.is_held());
  EXPECT_THAT(engine->Commit(batch, Durability::kDurable), IsOk());
  {
    base::ScopedFault broken("engine.commit", absl::UnavailableError("broken"));
    EXPECT_FALSE(engine->Commit(batch, Durability::kDurable).ok());
    EXPECT_EQ(broken.hit_count(), 1) << "only a full disk is tried again";
  }
}

}  // namespace
}  // namespace reclaim::index
