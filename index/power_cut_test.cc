// The power fails again and again, and the disk loses or spoils what was not
// synced: what was acknowledged as durable is there each time, and what is
// there is a prefix of the commits without a hole (index/engine.h).
//
// RECLAIM_POWER_CUTS sets how often.  The seed is in each failure.

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "index/power_cut_disk.h"
#include "index/rocksdb_engine.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;

constexpr int kDefaultCuts = 150;
constexpr int kCommitsMax = 40;
// Then a new database begins: each cut checks all that its database holds.
constexpr int kCutsOfOne = 25;
constexpr size_t kValueBytesMax = 20'000;

int Cuts() {
  const char* const asked = std::getenv("RECLAIM_POWER_CUTS");
  return asked == nullptr ? kDefaultCuts : std::atoi(asked);
}

// In memory where the kernel has it: every commit is synced.
std::string MakeFolder() {
  const std::string base = std::filesystem::is_directory("/dev/shm")
                               ? std::string("/dev/shm")
                               : ::testing::TempDir();
  std::string name = base + "/reclaim-power-XXXXXX";
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  return name;
}

class PowerCutTest : public ::testing::Test {
 protected:
  ~PowerCutTest() override { std::filesystem::remove_all(folder_); }

  // Also of a test that has ended early.
  void TearDown() override {
    RecordProperty("figure_power_cuts", cut_count_);
    RecordProperty("figure_lost_to_power_cuts", HasFailure() ? 1 : 0);
  }

  std::string Path(int cut) const { return absl::StrCat(folder_, "/", cut); }
  std::string ValueOf(uint64_t number) {
    return std::string(number % 7 == 0 ? random_() % kValueBytesMax : 10,
                       static_cast<char>('a' + number % 26));
  }
  void Open(int cut) {
    disk_ = std::make_unique<PowerCutDisk>();
    auto engine = OpenRocksDb({Path(cut), 8 << 20, disk_->env()});
    ASSERT_THAT(engine, IsOk());
    engine_ = *std::move(engine);
  }

  // Commits some batches of two families each.
  void Write() {
    const int count = 1 + static_cast<int>(random_() % kCommitsMax);
    for (int i = 0; i < count; ++i) {
      ++written_;
      Batch batch;
      const std::string key = absl::StrCat(written_);
      batch.Put(Family::kContent, key, ValueOf(written_));
      batch.Put(Family::kEvent, key, key);
      if (written_ > 5) {
        batch.Delete(Family::kRequest, absl::StrCat(written_ - 5));
      }
      batch.Put(Family::kRequest, key, key);
      batch.Put(Family::kMeta, "last", key);
      const bool is_durable = random_() % 4 == 0;
      ASSERT_THAT(engine_->Commit(batch, is_durable ? Durability::kDurable
                                                    : Durability::kBuffered),
                  IsOk());
      if (is_durable) acknowledged_ = written_;
      if (random_() % 10 == 0) {
        ASSERT_THAT(engine_->Sync(), IsOk());
        acknowledged_ = written_;
      }
    }
  }

  bool Has(Family family, uint64_t number) const {
    const auto value = engine_->Get(family, absl::StrCat(number));
    EXPECT_THAT(value, IsOk());
    return value.ok() && value->has_value();
  }

  // Takes what the cut has left as the truth from now on.
  void Check() {
    const auto last = engine_->Get(Family::kMeta, "last");
    ASSERT_THAT(last, IsOk());
    const uint64_t survived = last->has_value() ? std::stoull(**last) : 0;
    ASSERT_GE(survived, acknowledged_) << "an acknowledged commit is lost";
    ASSERT_LE(survived, written_);
    for (uint64_t i = 1; i <= written_; ++i) {
      const bool expected = i <= survived;
      ASSERT_EQ(Has(Family::kContent, i), expected) << i << " of " << survived;
      ASSERT_EQ(Has(Family::kEvent, i), expected) << i << " of " << survived;
      ASSERT_EQ(Has(Family::kRequest, i), expected && i + 5 > survived) << i;
    }
    unacknowledged_lost_ += written_ - survived;
    written_ = survived;
    acknowledged_ = survived;
  }

  const std::string folder_ = MakeFolder();
  const uint64_t seed_ = std::random_device()();
  std::mt19937_64 random_{seed_};
  std::unique_ptr<PowerCutDisk> disk_;
  std::unique_ptr<Engine> engine_;
  uint64_t written_ = 0;
  uint64_t acknowledged_ = 0;
  uint64_t unacknowledged_lost_ = 0;
  int cut_count_ = 0;
};

TEST_F(PowerCutTest, WhatWasAcknowledgedIsThere) {
  RecordProperty("seed", absl::StrCat(seed_));
  uint64_t lost_bytes = 0;
  for (int cut = 0; cut < Cuts(); ++cut) {
    SCOPED_TRACE(absl::StrCat("seed ", seed_, ", cut ", cut));
    ASSERT_NO_FATAL_FAILURE(Open(cut));
    if (cut % kCutsOfOne > 0) {
      ASSERT_NO_FATAL_FAILURE(Check());
    }
    ASSERT_NO_FATAL_FAILURE(Write());
    disk_->Cut(Path(cut), Path(cut + 1), &random_);
    ++cut_count_;
    lost_bytes += disk_->lost_bytes();
    engine_.reset();
    std::filesystem::remove_all(Path(cut));
    if ((cut + 1) % kCutsOfOne > 0) continue;
    ASSERT_NO_FATAL_FAILURE(Open(cut + 1));
    ASSERT_NO_FATAL_FAILURE(Check());
    engine_.reset();
    std::filesystem::remove_all(Path(cut + 1));
    written_ = 0;
    acknowledged_ = 0;
  }
  EXPECT_GT(lost_bytes, 0u) << "a disk that loses nothing shows nothing";
  EXPECT_GT(unacknowledged_lost_, 0u);
}

}  // namespace
}  // namespace reclaim::index
