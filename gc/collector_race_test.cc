// Writers beside collection: whatever the interleaving, what a writer was told
// stands (I1, I4), and the counters stay exact (I6).

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/audit.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
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

// A client pushes what it has pushed before, after the plan and before the
// deed.
class RepushTest : public CollectorFixture {
 protected:
  RepushTest() : tree_(&folder_) {
    for (int i = 0; i < kImageCount; ++i) {
      images_.push_back(
          tree_.Image("app", absl::StrCat("v", i), {absl::StrCat("own", i)}));
    }
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  // Everything goes, a tag long before its image.
  PruneRequest Everything() const {
    PruneRequest request = Request(PruneVerb::kAllImages);
    request.containers_are_complete = true;
    request.policy.batch_item_count = 3;
    return request;
  }
  void ExpectWhole(int image, const std::string& tag) {
    EXPECT_TRUE(HasTag("app", tag));
    EXPECT_TRUE(
        folder_.Exists("docker/registry/v2/repositories/app/"
                       "_manifests/tags/" +
                       tag + "/current/link"));
    for (const oci::Digest& digest :
         {images_[image], oci::Digest::Sha256Of(absl::StrCat("own", image))}) {
      EXPECT_EQ(StateOf(digest), index::NodeState::kPresent);
      EXPECT_THAT(store_->Stat("", digest), IsOk());
    }
    ExpectExact();
  }

  static index::PutTag PutOf(const std::string& tag,
                             const oci::Digest& digest) {
    index::PutTag put;
    put.store = "s";
    put.repository = "app";
    put.tag = tag;
    put.digest = digest;
    return put;
  }
  oci::Digest TargetOf(const std::string& tag) const {
    const auto reader = graph_->Read();
    const index::GraphView& view = reader->view();
    const index::NodeId id =
        view.FindNamed({index::NodeKind::kTag, id_, "app", tag});
    return id == index::kNoNode ? oci::Digest() : view.digest(view.Kept(id)[0]);
  }

  store::RegistryTree tree_;
  std::vector<oci::Digest> images_;
};

// A writer who comes between the intent of a batch and its move.
class WriterBetween final : public DeletionAudit {
 public:
  // Of the batch that holds `subject`.
  WriterBetween(std::string subject, std::function<void()> write)
      : subject_(std::move(subject)), write_(std::move(write)) {}
  absl::Status Record(const DeletionRecord& record) override {
    const bool is_meant =
        std::any_of(record.items.begin(), record.items.end(),
                    [this](const DeletionRecord::Item& item) {
                      return absl::StrContains(item.subject, subject_);
                    });
    if (record.step == DeletionStep::kQuarantine && is_meant) write_();
    has_written_ |= is_meant;
    return absl::OkStatus();
  }
  bool has_written() const { return has_written_; }

 private:
  const std::string subject_;
  const std::function<void()> write_;
  bool has_written_ = false;
};

TEST_F(RepushTest, ATagThatNamesTheSameAgainStays) {
  const Plan plan = MakePlan(Everything());
  tree_.Tag("app", "v3", images_[3]);
  ASSERT_THAT(Apply(plan), IsOk());
  ExpectWhole(3, "v3");
  EXPECT_FALSE(HasTag("app", "v4"));
  EXPECT_EQ(StateOf(images_[4]), index::NodeState::kQuarantined);
}

// The scan had read the tag already, and the plan came an hour later.
TEST_F(RepushTest, ATagPushedWhileTheScanWentOnStays) {
  const absl::Time during = clock_.Now() + absl::Minutes(1);
  clock_.Advance(absl::Hours(1));
  tree_.Tag("app", "v3", images_[3]);
  SetTimes("docker/registry/v2/repositories/app/_manifests/tags/v3", during);
  const Plan plan = MakePlan(Everything());
  ASSERT_THAT(Apply(plan), IsOk());
  ExpectWhole(3, "v3");
  EXPECT_FALSE(HasTag("app", "v4"));
}

// The file server's clock is behind: its times say nothing, but they differ.
TEST_F(RepushTest, ATagPushedByAClockThatIsBehindStays) {
  const Plan plan = MakePlan(Everything());
  tree_.Tag("app", "v3", images_[3]);
  SetTimes("docker/registry/v2/repositories/app/_manifests/tags/v3",
           clock_.Now() - absl::Hours(2));
  ASSERT_THAT(Apply(plan), IsOk());
  ExpectWhole(3, "v3");
  EXPECT_FALSE(HasTag("app", "v4"));
}

TEST_F(RepushTest, ATagThatNamesAnotherDoomedImageKeepsThat) {
  const Plan plan = MakePlan(Everything());
  tree_.Tag("app", "v3", images_[5]);
  ASSERT_THAT(Apply(plan), IsOk());
  ExpectWhole(5, "v3");
  EXPECT_EQ(StateOf(images_[3]), index::NodeState::kQuarantined);
}

// The store refuses the old one, which must not come back in place of the new.
TEST_F(RepushTest, ATagThatIsMovedAfterTheIntentNamesWhatItsWriterSaid) {
  const Plan plan = MakePlan(Everything());
  WriterBetween writer("v3", [this] {
    tree_.Tag("app", "v3", images_[5]);
    ASSERT_THAT(Record({PutOf("v3", images_[5])}), IsOk());
  });
  collector_->SetAudit(&writer);
  const auto run = Apply(plan);
  collector_->SetAudit(nullptr);
  ASSERT_THAT(run, IsOk());
  ASSERT_TRUE(writer.has_written());
  EXPECT_GE(run->skipped_count, 1u);
  EXPECT_EQ(TargetOf("v3"), images_[5]);
  ExpectWhole(5, "v3");
  EXPECT_EQ(StateOf(images_[3]), index::NodeState::kQuarantined);
}

// Nothing undoes such an intent: what it moved, if anything, is purged with the
// rest, and keeps nothing from being forgotten.
TEST_F(RepushTest, AnIntentOnANameThatAWriterTakesIsSettled) {
  const Plan plan = MakePlan(Everything());
  WriterBetween writer(
      "v3", [this] { ASSERT_THAT(Record({PutOf("v3", images_[5])}), IsOk()); });
  collector_->SetAudit(&writer);
  {
    const base::ScopedFault fault("rooted_dir.move",
                                  absl::UnavailableError("the disk is full"));
    Apply(plan).IgnoreError();  // nothing could be moved
  }
  collector_->SetAudit(nullptr);
  ASSERT_TRUE(writer.has_written());
  EXPECT_EQ(TargetOf("v3"), images_[5]);
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  ExpectExact();
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_THAT(collector_->DetachStore("s"), IsOk());
}

TEST_F(RepushTest, AnIntentOnANameThatIsTakenInTheStoreIsSettled) {
  const Plan plan = MakePlan(Everything());
  std::optional<base::ScopedFault> death;
  WriterBetween crash("v3", [&] {
    death.emplace("engine.commit", absl::UnavailableError("crash"));
  });
  collector_->SetAudit(&crash);
  Apply(plan).IgnoreError();  // it died
  collector_->SetAudit(nullptr);
  ASSERT_TRUE(crash.has_written());
  death.reset();
  tree_.Tag("app", "v3", images_[5]);
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  ExpectWhole(5, "v3");
  EXPECT_EQ(TargetOf("v3"), images_[5]);
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectWhole(5, "v3");
  EXPECT_THAT(collector_->DetachStore("s"), IsOk());
}

}  // namespace
}  // namespace reclaim::gc
