#include "index/database_mark.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "base/fault_point.h"
#include "base/random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/memory_engine.h"
#include "store/testing/store_tree.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class DatabaseMarkTest : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/mark"; }

  std::unique_ptr<DatabaseMark> Open(Engine* engine) {
    auto mark = DatabaseMark::Open(path(), engine, &random_);
    EXPECT_THAT(mark, IsOk());
    return *std::move(mark);
  }
  std::string DoubtOf(Engine* engine) {
    std::string doubt = Open(engine)->doubt();
    EXPECT_THAT(doubt, Not(HasSubstr(folder_.path())));
    return doubt;
  }

  // A start after which so many commits were marked.
  void Run(Engine* engine, int count) {
    const auto mark = Open(engine);
    for (int i = 1; i <= count; ++i) {
      ASSERT_THAT(mark->Advance(static_cast<uint64_t>(i)), IsOk());
    }
  }

  // What a backup of the database holds.
  static std::unique_ptr<MemoryEngine> CopyOf(const Engine& engine) {
    auto copy = std::make_unique<MemoryEngine>();
    Batch batch;
    EXPECT_THAT(
        engine.Scan(Family::kMeta, "", "",
                    [&](absl::string_view key, absl::string_view value) {
                      batch.Put(Family::kMeta, std::string(key),
                                std::string(value));
                      return true;
                    }),
        IsOk());
    EXPECT_THAT(copy->Commit(batch, Durability::kDurable), IsOk());
    return copy;
  }

  store::TempFolder folder_;
  base::SeededRandom random_{1};
  MemoryEngine engine_;
};

TEST_F(DatabaseMarkTest, TheLatestOneIsNotDoubted) {
  EXPECT_EQ(DoubtOf(&engine_), "") << "the first start";
  EXPECT_FALSE(folder_.Exists("mark")) << "opening changes nothing";
  for (int i = 0; i < 3; ++i) {
    Run(&engine_, 5);
    EXPECT_EQ(DoubtOf(&engine_), "");
  }
}

TEST_F(DatabaseMarkTest, AnOlderCopyIsNoticed) {
  Run(&engine_, 1);
  const auto backup = CopyOf(engine_);
  EXPECT_EQ(DoubtOf(backup.get()), "") << "nothing came since";
  Run(&engine_, 1);
  EXPECT_THAT(DoubtOf(backup.get()),
              AllOf(HasSubstr("an older copy is in its place"),
                    HasSubstr("mark 1,"), HasSubstr("mark 2")));
  EXPECT_EQ(DoubtOf(&engine_), "");
}

// Once its loss is on record it is the latest; what it took the place of is
// not any more, however far that had come.
TEST_F(DatabaseMarkTest, ACopyThatWasTakenUpIsTheLatest) {
  Run(&engine_, 1);
  const auto backup = CopyOf(engine_);
  Run(&engine_, 1000);
  ASSERT_NE(DoubtOf(backup.get()), "");
  ASSERT_THAT(Open(backup.get())->Advance(0), IsOk());
  EXPECT_EQ(DoubtOf(backup.get()), "");
  EXPECT_THAT(DoubtOf(&engine_), HasSubstr("an older copy"));
}

TEST_F(DatabaseMarkTest, ACopyFromBeforeThereWereMarksIsNoticed) {
  MemoryEngine unmarked;
  Run(&engine_, 1);
  EXPECT_THAT(DoubtOf(&unmarked),
              AllOf(HasSubstr("an older copy"), HasSubstr("has no mark")));
}

TEST_F(DatabaseMarkTest, AnotherDatabaseIsNoticed) {
  Run(&engine_, 1);
  const std::string mark = folder_.Read("mark");
  folder_.Remove("mark");
  MemoryEngine other;
  Run(&other, 100);
  EXPECT_EQ(DoubtOf(&other), "");
  folder_.Write("mark", mark);
  EXPECT_THAT(DoubtOf(&other), HasSubstr("another one is in its place"));
}

TEST_F(DatabaseMarkTest, NothingIsWrittenUnlessSomethingWasCommitted) {
  Run(&engine_, 1);
  const auto mark = Open(&engine_);
  base::ScopedFault fault("engine.commit", absl::UnavailableError("no"));
  folder_.Remove("mark");
  ASSERT_THAT(mark->Advance(0), IsOk());
  EXPECT_FALSE(folder_.Exists("mark"));
  EXPECT_THAT(mark->Advance(1), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(DatabaseMarkTest, AFileThatIsGoneOrNotWholeIsADoubt) {
  Run(&engine_, 1);
  const std::string whole = folder_.Read("mark");
  folder_.Remove("mark");
  EXPECT_THAT(DoubtOf(&engine_),
              AllOf(HasSubstr("the file mark of"), HasSubstr("gone")));
  for (size_t size = 0; size < whole.size(); ++size) {
    folder_.Write("mark", whole.substr(0, size));
    ASSERT_THAT(DoubtOf(&engine_),
                AllOf(HasSubstr("the mark of the database mark"),
                      HasSubstr("not whole")))
        << size;
    std::string torn = whole;
    torn[size] ^= 1;
    folder_.Write("mark", torn);
    ASSERT_THAT(DoubtOf(&engine_), HasSubstr("not whole")) << size;
  }
  folder_.Write("mark", whole + "x");
  EXPECT_THAT(DoubtOf(&engine_), HasSubstr("not whole"));
  folder_.Remove("mark");
  ASSERT_EQ(mkdir(path().c_str(), 0700), 0);
  EXPECT_THAT(DoubtOf(&engine_), HasSubstr("cannot read the mark"));
  ASSERT_EQ(rmdir(path().c_str()), 0);
  ASSERT_THAT(Open(&engine_)->Advance(0), IsOk());
  EXPECT_EQ(DoubtOf(&engine_), "") << "the doubt was recorded";
}

// After each write in turn everything ends, and nobody is accused.
TEST_F(DatabaseMarkTest, ACrashBetweenTheTwoIsNoDoubt) {
  {
    base::ScopedFault fault("engine.commit", absl::UnavailableError("no"));
    EXPECT_THAT(Open(&engine_)->Advance(1),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_TRUE(folder_.Exists("mark"));
  EXPECT_EQ(DoubtOf(&engine_), "") << "the file before the database has any";
  // A folder in the way of the new file: the database alone gets the number.
  ASSERT_EQ(mkdir((path() + ".new").c_str(), 0700), 0);
  EXPECT_FALSE(Open(&engine_)->Advance(1).ok());
  EXPECT_EQ(DoubtOf(&engine_), "") << "the first number, not in the file";
  ASSERT_EQ(rmdir((path() + ".new").c_str()), 0);
  Run(&engine_, 3);
  ASSERT_EQ(mkdir((path() + ".new").c_str(), 0700), 0);
  const auto mark = Open(&engine_);
  EXPECT_FALSE(mark->Advance(7).ok());
  EXPECT_EQ(DoubtOf(&engine_), "") << "a number that is not in the file";
  ASSERT_EQ(rmdir((path() + ".new").c_str()), 0);
  const auto backup = CopyOf(engine_);
  // The number is there already: the file alone is written.
  base::ScopedFault fault("engine.commit", absl::UnavailableError("no"));
  ASSERT_THAT(mark->Advance(7), IsOk());
  EXPECT_EQ(DoubtOf(&engine_), "");
  EXPECT_EQ(DoubtOf(backup.get()), "");
}

}  // namespace
}  // namespace reclaim::index
