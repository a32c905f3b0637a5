// Both engines keep the promises of index/engine.h.

#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/memory_engine.h"
#include "index/rocksdb_engine.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::reclaim::base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

class Folder {
 public:
  Folder() {
    std::string name = ::testing::TempDir() + "/engine-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class EngineTest : public ::testing::TestWithParam<bool> {
 protected:
  EngineTest() { Open(); }
  void Open() {
    engine_.reset();
    if (!GetParam()) {
      engine_ = std::make_unique<MemoryEngine>();
      return;
    }
    auto opened = OpenRocksDb({folder_.path() + "/db"});
    ASSERT_THAT(opened, IsOk());
    engine_ = *std::move(opened);
  }

  std::vector<std::string> Keys(bool is_backwards, const std::string& prefix,
                                const std::string& bound) {
    std::vector<std::string> keys;
    const auto visit = [&](absl::string_view key, absl::string_view) {
      keys.emplace_back(key);
      return true;
    };
    EXPECT_THAT(
        is_backwards
            ? engine_->ScanBackwards(Family::kNamed, prefix, bound, visit)
            : engine_->Scan(Family::kNamed, prefix, bound, visit),
        IsOk());
    return keys;
  }

  Folder folder_;
  std::unique_ptr<Engine> engine_;
};

TEST_P(EngineTest, FindsWhatWasPut) {
  Batch batch;
  batch.Put(Family::kContent, std::string("k\0x", 3), "v");
  ASSERT_THAT(engine_->Commit(batch, Durability::kDurable), IsOk());
  EXPECT_THAT(engine_->Get(Family::kContent, std::string("k\0x", 3)),
              IsOkAndHolds(Optional(std::string("v"))));
  EXPECT_THAT(engine_->Get(Family::kContent, "k"),
              IsOkAndHolds(std::optional<std::string>()));
  EXPECT_THAT(engine_->Get(Family::kNamed, std::string("k\0x", 3)),
              IsOkAndHolds(std::optional<std::string>()));
}

TEST_P(EngineTest, ABatchIsAppliedInOrder) {
  Batch batch;
  batch.Put(Family::kMeta, "a", "1");
  batch.Delete(Family::kMeta, "a");
  batch.Put(Family::kMeta, "b", "1");
  batch.Put(Family::kMeta, "b", "2");
  ASSERT_THAT(engine_->Commit(batch, Durability::kBuffered), IsOk());
  EXPECT_THAT(engine_->Get(Family::kMeta, "a"),
              IsOkAndHolds(std::optional<std::string>()));
  EXPECT_THAT(engine_->Get(Family::kMeta, "b"),
              IsOkAndHolds(Optional(std::string("2"))));
}

TEST_P(EngineTest, ScansARangeBothWays) {
  Batch batch;
  for (const char* key : {"a", "b1", "b2", "b3", "b\xff\xff", "c"}) {
    batch.Put(Family::kNamed, key, "");
  }
  ASSERT_THAT(engine_->Commit(batch, Durability::kBuffered), IsOk());
  EXPECT_THAT(Keys(false, "b", ""), ElementsAre("b1", "b2", "b3", "b\xff\xff"));
  EXPECT_THAT(Keys(false, "b", "b2"), ElementsAre("b2", "b3", "b\xff\xff"));
  EXPECT_THAT(Keys(true, "b", ""), ElementsAre("b\xff\xff", "b3", "b2", "b1"));
  EXPECT_THAT(Keys(true, "b", "b2"), ElementsAre("b1"));
  // Bounds before, and behind, all that has the prefix.
  EXPECT_THAT(Keys(true, "b", "d"), ElementsAre("b\xff\xff", "b3", "b2", "b1"));
  EXPECT_THAT(Keys(true, "b", "a"), ElementsAre());
  EXPECT_THAT(Keys(false, "b", "a"),
              ElementsAre("b1", "b2", "b3", "b\xff\xff"));
  EXPECT_THAT(Keys(false, "b", "c"), ElementsAre());
  EXPECT_THAT(Keys(true, "", ""),
              ElementsAre("c", "b\xff\xff", "b3", "b2", "b1", "a"));
}

TEST_P(EngineTest, AScanStopsWhenAsked) {
  Batch batch;
  for (const char* key : {"a", "b"}) batch.Put(Family::kNamed, key, "");
  ASSERT_THAT(engine_->Commit(batch, Durability::kBuffered), IsOk());
  int count = 0;
  ASSERT_THAT(engine_->Scan(Family::kNamed, "", "",
                            [&](absl::string_view, absl::string_view) {
                              ++count;
                              return false;
                            }),
              IsOk());
  EXPECT_EQ(count, 1);
}

TEST_P(EngineTest, ARangeIsDeletedInItsPlaceInTheBatch) {
  Batch before;
  for (const char* key : {"a", "b1", "b2", "c"}) {
    before.Put(Family::kNamed, key, "");
  }
  before.Put(Family::kRun, "b1", "");
  ASSERT_THAT(engine_->Commit(before, Durability::kBuffered), IsOk());
  Batch batch;
  batch.Put(Family::kNamed, "b3", "");
  batch.DeleteRange(Family::kNamed, "b", "c");
  batch.Put(Family::kNamed, "b2", "");
  ASSERT_THAT(engine_->Commit(batch, Durability::kBuffered), IsOk());
  EXPECT_THAT(Keys(false, "", ""), ElementsAre("a", "b2", "c"));
  EXPECT_THAT(engine_->Get(Family::kRun, "b1"),
              IsOkAndHolds(Optional(std::string())));
  Batch all;
  all.DeleteRange(Family::kNamed, "", "b");
  ASSERT_THAT(engine_->Commit(all, Durability::kDurable), IsOk());
  EXPECT_THAT(Keys(true, "", ""), ElementsAre("c", "b2"));
}

TEST_P(EngineTest, ASyncSaysWhetherItWorked) {
  Batch batch;
  batch.Put(Family::kMeta, "a", "1");
  ASSERT_THAT(engine_->Commit(batch, Durability::kBuffered), IsOk());
  EXPECT_THAT(engine_->Sync(), IsOk());
  EXPECT_THAT(engine_->Sync(), IsOk());  // nothing to do is no error
  base::ScopedFault fault("engine.sync", absl::UnavailableError("gone"));
  EXPECT_THAT(engine_->Sync(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_P(EngineTest, AFailedCommitChangesNothing) {
  Batch batch;
  batch.Put(Family::kMeta, "a", "1");
  {
    base::ScopedFault fault("engine.commit",
                            absl::ResourceExhaustedError("disk full"));
    EXPECT_THAT(engine_->Commit(batch, Durability::kDurable),
                StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_THAT(engine_->Get(Family::kMeta, "a"),
              IsOkAndHolds(std::optional<std::string>()));
}

TEST_P(EngineTest, StatsAreFigures) {
  Batch batch;
  batch.Put(Family::kMeta, "k", std::string(1000, 'v'));
  ASSERT_THAT(engine_->Commit(batch, Durability::kDurable), IsOk());
  const EngineStats stats = engine_->Stats();
  EXPECT_EQ(stats.disk_bytes, engine_->ApproximateBytes());
  EXPECT_FALSE(stats.is_write_stopped);
  EXPECT_EQ(stats.stalled, absl::ZeroDuration());
  EXPECT_EQ(stats.background_error_count, 0u);
  if (GetParam()) {
    EXPECT_GT(stats.buffer_bytes, 1000u);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, EngineTest, ::testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "RocksDb" : "Memory";
                         });

TEST(RocksDbEngineTest, KeepsWhatWasCommittedAcrossOpening) {
  Folder folder;
  {
    auto engine = OpenRocksDb({folder.path() + "/db"});
    ASSERT_THAT(engine, IsOk());
    Batch batch;
    batch.Put(Family::kRun, "r", "1");
    ASSERT_THAT((*engine)->Commit(batch, Durability::kDurable), IsOk());
  }
  auto engine = OpenRocksDb({folder.path() + "/db"});
  ASSERT_THAT(engine, IsOk());
  EXPECT_THAT((*engine)->Get(Family::kRun, "r"),
              IsOkAndHolds(Optional(std::string("1"))));
}

TEST(RocksDbEngineTest, ASecondOpenSaysThatTheDatabaseIsInUse) {
  Folder folder;
  auto first = OpenRocksDb({folder.path() + "/db"});
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(OpenRocksDb({folder.path() + "/db"}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("stop the other reclaimd")));
}

TEST(RocksDbEngineTest, ADamagedDatabaseIsDataLoss) {
  Folder folder;
  ASSERT_THAT(OpenRocksDb({folder.path() + "/db"}), IsOk());
  for (const auto& file :
       std::filesystem::directory_iterator(folder.path() + "/db")) {
    if (file.path().filename().string().rfind("MANIFEST", 0) == 0) {
      std::filesystem::resize_file(file.path(), 5);
    }
  }
  EXPECT_THAT(OpenRocksDb({folder.path() + "/db"}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("move it away")));
}

}  // namespace
}  // namespace reclaim::index
