// What a push is held up by is measured (I10): the holds of the write order by
// batches, and the waits of those whose word needs what lies in quarantine.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/audit.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/observer.h"
#include "gc/plan.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::testing::Each;
using ::testing::Ge;
using ::testing::SizeIs;

class Listener final : public CollectorObserver {
 public:
  void OnBatchHeld(const std::string& store, absl::Duration took) override {
    EXPECT_EQ(store, "s");
    base::MutexLock lock(&mutex_);
    held_.push_back(took);
  }
  void OnWriterWaited(const std::string& store, absl::Duration took) override {
    EXPECT_EQ(store, "s");
    base::MutexLock lock(&mutex_);
    waited_.push_back(took);
  }
  std::vector<absl::Duration> TakeHeld() {
    base::MutexLock lock(&mutex_);
    return std::exchange(held_, {});
  }
  std::vector<absl::Duration> waited() {
    base::MutexLock lock(&mutex_);
    return waited_;
  }

 private:
  base::Mutex mutex_;
  std::vector<absl::Duration> held_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Duration> waited_ ABSL_GUARDED_BY(mutex_);
};

// The collector's own, so that only what it measures is told of.
class ToldClock final : public base::Clock {
 public:
  explicit ToldClock(base::SimulatedClock* below) : below_(below) {}
  absl::Time Now() const override { return below_->Now(); }
  absl::Duration Monotonic() const override {
    const absl::Duration now = below_->Monotonic();
    if (step_ > absl::ZeroDuration()) below_->Advance(step_);
    if (std::this_thread::get_id() != owner_) was_asked_ = true;
    return now;
  }
  // Moves with each question from now on.
  void SetStep(absl::Duration step) { step_ = step; }
  // Until another thread than the one that made it has asked; false if none
  // does in a minute.
  bool WaitForAnother() const {
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (!was_asked_ && absl::Now() < end) std::this_thread::yield();
    return was_asked_;
  }

 private:
  base::SimulatedClock* below_;
  absl::Duration step_;
  const std::thread::id owner_ = std::this_thread::get_id();
  mutable std::atomic<bool> was_asked_{false};
};

// Between the intent of the batch that holds `subject` and its move.
class Between final : public DeletionAudit {
 public:
  Between(std::string subject, std::function<void()> act)
      : subject_(std::move(subject)), act_(std::move(act)) {}
  absl::Status Record(const DeletionRecord& record) override {
    for (const DeletionRecord::Item& item : record.items) {
      if (!absl::StrContains(item.subject, subject_)) continue;
      if (count_++ == 0) act_();
      break;
    }
    return absl::OkStatus();
  }
  int count() const { return count_; }

 private:
  const std::string subject_;
  const std::function<void()> act_;
  int count_ = 0;
};

class WriterWaitTest : public CollectorFixture {
 protected:
  WriterWaitTest() {
    store::RegistryTree tree(&folder_);
    image_ = tree.Image("app", "", {"base", "own"});
    Open(store::StoreKind::kRegistry);
    Scan();
    collector_.reset();
    auto collector =
        Collector::Create(graph_.get(), &told_, &random_, &listener_);
    EXPECT_THAT(collector, IsOk());
    collector_ = *std::move(collector);
    EXPECT_THAT(collector_->AttachStore("s", store_.get()), IsOk());
    EXPECT_THAT(collector_->Recover(), IsOk());
  }
  ~WriterWaitTest() override { collector_.reset(); }

  ToldClock told_{&clock_};
  Listener listener_;
  oci::Digest image_;
};

TEST_F(WriterWaitTest, EachHoldOfABatchOfAPurgeIsTold) {
  Prune();
  EXPECT_FALSE(listener_.TakeHeld().empty());
  told_.SetStep(absl::Milliseconds(1));
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(QuarantineCount(), 0u);
  // One batch: its intent, and its outcome.
  const std::vector<absl::Duration> held = listener_.TakeHeld();
  EXPECT_THAT(held, SizeIs(2));
  EXPECT_THAT(held, Each(Ge(absl::Milliseconds(1))));
}

TEST_F(WriterWaitTest, AWaitForABatchAndForTheWayBackIsTold) {
  std::thread writer;
  Between between("blob " + image_.ToString(), [&] {
    writer = std::thread([this] {
      EXPECT_THAT(graph_->CheckExists({"s", "", image_}, "writer"),
                  IsOkAndHolds(true));
    });
    ASSERT_TRUE(told_.WaitForAnother());
    clock_.Advance(absl::Seconds(5));
  });
  collector_->SetAudit(&between);
  const auto run = Apply(MakePlan(Request()));
  collector_->SetAudit(nullptr);
  if (writer.joinable()) writer.join();
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(between.count(), 1);
  EXPECT_EQ(StateOf(image_), index::NodeState::kPresent);
  EXPECT_THAT(listener_.waited(), SizeIs(1));
  EXPECT_THAT(listener_.waited(), Each(Ge(absl::Seconds(5))));
}

TEST_F(WriterWaitTest, WhoNamesNothingThatIsQuarantinedIsNotCounted) {
  ASSERT_THAT(graph_->CheckExists({"s", "", image_}, "writer"),
              IsOkAndHolds(true));
  EXPECT_THAT(listener_.waited(), SizeIs(0));
}

}  // namespace
}  // namespace reclaim::gc
