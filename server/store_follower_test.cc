#include "server/store_follower.h"

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/engine_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/change_source.h"
#include "store/testing/fake_engine.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::server {
namespace {

using ::reclaim::base::IsOk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// An event stream that says what the test tells it to, and then nothing more.
class ScriptedChanges final : public store::ChangeSource {
 public:
  absl::Status AwaitChange(absl::Duration) override {
    std::unique_lock<std::mutex> lock(mutex_);
    ++await_count_;
    is_waiting_ = true;
    changed_.notify_all();
    changed_.wait(lock,
                  [this] { return interrupt_count_ > 0 || !script_.empty(); });
    is_waiting_ = false;
    if (interrupt_count_ > 0) return absl::CancelledError("interrupted");
    absl::Status said = std::move(script_.front());
    script_.pop_front();
    changed_.notify_all();
    return said;
  }
  void Interrupt() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++interrupt_count_;
    changed_.notify_all();
  }

  void Say(absl::Status status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    script_.push_back(std::move(status));
    changed_.notify_all();
  }
  // Until the last word has been heard; and until all that it led to is done.
  void AwaitHeard() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return script_.empty(); });
  }
  void AwaitDone() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return is_waiting_ && script_.empty(); });
  }
  int await_count() const { return await_count_; }
  int interrupt_count() const { return interrupt_count_; }

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<absl::Status> script_;
  bool is_waiting_ = false;
  int await_count_ = 0;
  int interrupt_count_ = 0;
};

class StoreFollowerTest : public gc::EngineFixture {
 protected:
  void OpenStore() {
    OpenEngine(/*deletes_for_good=*/false);
    node_->stream = &changes_;
  }
  // Ends before what it follows.
  std::unique_ptr<StoreFollower> MakeFollower() {
    return std::make_unique<StoreFollower>(
        collector_.get(), &clock_,
        [this](const std::string& line) { Hear(line); });
  }
  void Run(const std::string& id) {
    AddContainer(id, store::ContainerState::kRunning, image_);
  }
  bool Knows(const std::string& id) const {
    return Has(index::NodeKind::kContainer, id);
  }
  void Hear(const std::string& line) {
    const std::lock_guard<std::mutex> lock(mutex_);
    said_.push_back(line);
    if (on_line_) on_line_(line);
    heard_.notify_all();
  }
  std::vector<std::string> Said() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return said_;
  }
  void AwaitLine() {
    std::unique_lock<std::mutex> lock(mutex_);
    heard_.wait(lock, [this] { return !said_.empty(); });
  }

  const oci::Digest image_ = oci::Digest::Sha256Of("image");
  ScriptedChanges changes_;
  std::function<void(const std::string&)> on_line_;  // on the follower's thread
  std::mutex mutex_;
  std::condition_variable heard_;
  std::vector<std::string> said_;
};

TEST_F(StoreFollowerTest, AChangeIsASyncAndSilenceIsNone) {
  OpenStore();
  Run("one");
  changes_.Say(absl::OkStatus());
  const auto follower = MakeFollower();
  follower->Follow("s", store_.get());
  changes_.AwaitDone();
  EXPECT_TRUE(Knows("one"));
  Run("two");
  changes_.Say(absl::DeadlineExceededError("nothing"));
  changes_.AwaitDone();
  EXPECT_FALSE(Knows("two"));
  changes_.Say(absl::OkStatus());
  changes_.AwaitDone();
  EXPECT_TRUE(Knows("two"));
  EXPECT_THAT(Said(), IsEmpty());
}

TEST_F(StoreFollowerTest, AStreamIsFollowedOnceAndNotAfterTheEnd) {
  OpenStore();
  store::FakeEngine silent(/*deletes_for_good=*/true);
  store::FakeEngine late(/*deletes_for_good=*/true);
  ScriptedChanges late_changes;
  late.stream = &late_changes;
  const auto follower = MakeFollower();
  follower->Follow("silent", &silent);
  follower->Follow("s", store_.get());
  follower->Follow("s", store_.get());
  changes_.AwaitDone();
  follower->Stop();
  EXPECT_EQ(changes_.interrupt_count(), 1) << "as often as it was followed";
  follower->Follow("late", &late);
  follower->Stop();
  EXPECT_EQ(late_changes.await_count(), 0);
  EXPECT_EQ(late_changes.interrupt_count(), 0);
}

TEST_F(StoreFollowerTest, AStreamThatIsLostIsSaidOnceAndSoIsItsReturn) {
  OpenStore();
  Run("one");
  for (int i = 0; i < 2; ++i) changes_.Say(absl::UnavailableError("no socket"));
  changes_.Say(absl::OkStatus());
  const auto follower = MakeFollower();
  follower->Follow("s", store_.get());
  changes_.AwaitDone();
  EXPECT_TRUE(Knows("one"));
  EXPECT_THAT(Said(), ElementsAre("store s: no socket",
                                  "store s: it is back and in step"));
}

TEST_F(StoreFollowerTest, ASyncThatFailsIsTriedAgain) {
  OpenStore();
  Run("one");
  node_->is_away = true;
  on_line_ = [this](const std::string&) { node_->is_away = false; };
  changes_.Say(absl::OkStatus());
  const auto follower = MakeFollower();
  follower->Follow("s", store_.get());
  changes_.AwaitDone();
  EXPECT_TRUE(Knows("one"));
  EXPECT_THAT(Said(), ElementsAre(HasSubstr("the engine is away"),
                                  "store s: it is back and in step"));
}

TEST_F(StoreFollowerTest, TheEndDoesNotWaitForTheNextTry) {
  OpenStore();
  node_->is_away = true;
  changes_.Say(absl::OkStatus());
  const auto follower = MakeFollower();
  follower->Follow("s", store_.get());
  AwaitLine();
  follower->Stop();
  EXPECT_EQ(changes_.await_count(), 1);
  EXPECT_THAT(Said(), SizeIs(1));
}

TEST_F(StoreFollowerTest, AStoreThatIsCollectedNoMoreIsLeftAlone) {
  OpenStore();
  ASSERT_THAT(collector_->DetachStore("s"), IsOk());
  changes_.Say(absl::OkStatus());
  const auto follower = MakeFollower();
  follower->Follow("s", store_.get());
  changes_.AwaitHeard();
  follower->Stop();
  EXPECT_EQ(changes_.await_count(), 1);
  EXPECT_THAT(Said(), IsEmpty());
}

// A sweep died in its midst, and something lies where a link was: that is said,
// and all else is in step.
TEST_F(StoreFollowerTest, WhatLiesInTheWayIsSaidAndHoldsUpNoSync) {
  const store::RegistryTree tree(&folder_);
  tree.Image("app", "v1", {"base", "new"});
  tree.Image("app", "", {"base", "old"});
  Open(store::StoreKind::kRegistry);
  Scan();
  gc::PruneRequest request = Request();
  request.policy.batch_item_count = 2;
  const gc::Plan plan = MakePlan(request);
  {
    const base::ScopedFault fault("engine.commit",
                                  absl::UnavailableError("crash"), 2);
    ASSERT_FALSE(Apply(plan).ok());
  }
  Restart();
  std::string moved;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           folder_.path() + "/.reclaim")) {
    const std::string path = entry.path().string();
    const size_t begin = path.find("docker/registry");
    if (begin == std::string::npos || !absl::EndsWith(path, "/link")) continue;
    moved = path.substr(begin, path.rfind('/') - begin);
  }
  ASSERT_NE(moved, "");
  folder_.Write(moved + "/in/the/way", "x");
  tree.Tag("app", "late", tree.Image("app", "v2", {"base", "late"}));
  store::FakeEngine source(/*deletes_for_good=*/false);
  source.stream = &changes_;
  changes_.Say(absl::OkStatus());
  const auto follower = MakeFollower();
  follower->Follow("s", &source);
  changes_.AwaitDone();
  EXPECT_THAT(Said(), ElementsAre(HasSubstr("stays in quarantine")));
  EXPECT_TRUE(HasTag("app", "late"));
  EXPECT_TRUE(folder_.Exists(moved + "/in/the/way"));
}

}  // namespace
}  // namespace reclaim::server
