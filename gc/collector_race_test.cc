// Writers beside collection: whatever the interleaving, what a writer was told
// stands (I1, I4), and the counters stay exact (I6).

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;

constexpr int kImageCount = 8;
constexpr int kWriterCount = 3;
constexpr int kRoundCount = 60;

class CollectorRaceTest : public CollectorFixture {
 protected:
  CollectorRaceTest() {
    store::RegistryTree tree(&folder_);
    for (int i = 0; i < kImageCount; ++i) {
      images_.push_back(
          tree.Image("app", "", {"base", absl::StrCat("own", i)}));
    }
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  // All that a tag on the image promises is on the disk.
  bool IsWhole(int image) const {
    for (const oci::Digest& digest :
         {images_[image], oci::Digest::Sha256Of("base"),
          oci::Digest::Sha256Of(absl::StrCat("own", image))}) {
      if (!store_->Stat("", digest).ok()) return false;
    }
    return true;
  }

  // Puts a tag, looks, takes it away; images that went for good are passed by.
  void Write(int writer, uint32_t seed) {
    std::mt19937 random(seed);
    for (int round = 0; round < kRoundCount; ++round) {
      const int image = static_cast<int>(random() % kImageCount);
      const auto here =
          graph_->CheckExists({"s", "", images_[image]}, "writer");
      ASSERT_THAT(here, IsOk());
      if (!*here) continue;
      index::PutTag tag;
      tag.store = "s";
      tag.repository = "app";
      tag.tag = absl::StrCat("w", writer);
      tag.digest = images_[image];
      ASSERT_THAT(Record({tag}), IsOk());
      ASSERT_TRUE(IsWhole(image)) << "image " << image << ", round " << round;
      if (random() % 2 == 0) {
        ASSERT_THAT(
            Record({index::RemoveTag{"s", "app", absl::StrCat("w", writer)}}),
            IsOk());
      }
    }
  }

  std::vector<oci::Digest> images_;
};

TEST_F(CollectorRaceTest, WhatATagNamesIsWhole) {
  const uint32_t seed = 20260102;
  RecordProperty("seed", static_cast<int>(seed));
  std::atomic<int> running{kWriterCount};
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriterCount; ++i) {
    writers.emplace_back([this, i, &running] {
      Write(i, seed + static_cast<uint32_t>(i));
      --running;
    });
  }
  PruneRequest request = Request();
  request.policy.batch_item_count = 3;
  int runs = 0;
  while (running > 0 || runs == 0) {
    const auto plan = collector_->MakePlan(request, {});
    ASSERT_THAT(plan, IsOk());
    const auto run = Apply(*plan);
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kSucceeded)
        << (run->problems.empty() ? "" : run->problems[0]);
    ++runs;
  }
  for (std::thread& writer : writers) writer.join();
  ExpectExact();
  // Nothing was purged: every image can still be had.
  for (int i = 0; i < kImageCount; ++i) {
    ASSERT_THAT(graph_->CheckExists({"s", "", images_[i]}, "end"),
                base::IsOkAndHolds(true));
  }
}

}  // namespace
}  // namespace reclaim::gc
