// Concurrent writers share syncs, and no power cut loses what one was told.

#include <atomic>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "index/testing/lossy_engine.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::reclaim::base::StatusIs;

oci::Digest D(const std::string& text) { return oci::Digest::Sha256Of(text); }

class GroupCommitTest : public ::testing::Test {
 protected:
  GroupCommitTest() {
    options_.grace_period = absl::ZeroDuration();
    graph_ = Open(&engine_);
    StoreRecord store;
    store.name = "s";
    EXPECT_THAT(graph_->RegisterStore(store), IsOk());
  }

  std::unique_ptr<ReferenceGraph> Open(Engine* engine) {
    auto opened = ReferenceGraph::Open(engine, &clock_, options_);
    EXPECT_THAT(opened, IsOk());
    return *std::move(opened);
  }

  absl::Status Put(const std::string& text,
                   Durability durability = Durability::kDurable,
                   const std::string& request_id = "") {
    PutBlob op;
    op.name = {"s", "", D(text)};
    op.bytes = {10, 10};
    Mutation mutation;
    mutation.operations.push_back(op);
    mutation.actor = "test";
    mutation.request_id = request_id;
    return graph_->Apply(mutation, durability).status();
  }

  static bool Has(const ReferenceGraph& graph, const std::string& text) {
    const auto reader = graph.Read();
    const NodeId id = reader->view().FindContent(0, D(text));
    return id != kNoNode && reader->view().state(id) == NodeState::kPresent;
  }

  base::SimulatedClock clock_;
  LossyEngine engine_;
  GraphOptions options_;
  std::unique_ptr<ReferenceGraph> graph_;
};

// Holds every sync until a number of writers wait for one.
class Gate {
 public:
  void Arrive() {
    base::MutexLock lock(&mutex_);
    ++count_;
    changed_.NotifyAll();
  }
  void AwaitArrivals(int count) {
    base::MutexLock lock(&mutex_);
    while (count_ < count) changed_.Wait(&mutex_);
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST_F(GroupCommitTest, WritersThatComeDuringASyncShareTheNextOne) {
  constexpr int kWriterCount = 16;
  const size_t commits_before = engine_.commit_count();
  const size_t syncs_before = engine_.sync_count();
  Gate first_sync;
  // The first sync lasts until all others have committed.
  std::atomic<int> sync_number{0};
  engine_.SetOnSync([&] {
    if (sync_number++ > 0) return;
    first_sync.Arrive();
    while (engine_.commit_count() < commits_before + kWriterCount) {
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> writers;
  writers.emplace_back([&] { EXPECT_THAT(Put("0"), IsOk()); });
  first_sync.AwaitArrivals(1);
  for (int i = 1; i < kWriterCount; ++i) {
    writers.emplace_back([&, i] { EXPECT_THAT(Put(absl::StrCat(i)), IsOk()); });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(engine_.commit_count() - commits_before, kWriterCount);
  // Two, and one more for who was between his commit and his wait just then.
  EXPECT_LT(engine_.sync_count() - syncs_before, kWriterCount / 2);
  EXPECT_EQ(engine_.unsynced_count(), 0);
}

TEST_F(GroupCommitTest, AWriterIsAnsweredAfterTheSyncAndReadersAreNotHeldUp) {
  const size_t commits_before = engine_.commit_count();
  std::atomic<bool> may_sync{false};
  std::atomic<bool> was_answered{false};
  engine_.SetOnSync([&] {
    while (!may_sync) std::this_thread::yield();
  });
  std::thread writer([&] {
    EXPECT_THAT(Put("a"), IsOk());
    was_answered = true;
  });
  while (engine_.commit_count() == commits_before) std::this_thread::yield();
  while (!Has(*graph_, "a")) std::this_thread::yield();
  EXPECT_FALSE(was_answered);
  EXPECT_EQ(engine_.unsynced_count(), 1);
  // The order is free: another writer, who does not ask for a sync, comes
  // through.
  EXPECT_THAT(Put("b", Durability::kBuffered), IsOk());
  EXPECT_TRUE(Has(*graph_, "b"));
  may_sync = true;
  writer.join();
  EXPECT_TRUE(was_answered);
}

// Whoever relies on what another one wrote without a sync gets it synced.
TEST_F(GroupCommitTest, APromiseOnWhatIsNotSyncedYetSyncsIt) {
  ASSERT_THAT(Put("a", Durability::kBuffered), IsOk());
  ASSERT_EQ(engine_.unsynced_count(), 1);
  ASSERT_THAT(Put("a"), IsOk());  // changes nothing
  EXPECT_EQ(engine_.unsynced_count(), 0);

  ASSERT_THAT(Put("b", Durability::kBuffered, "request"), IsOk());
  ASSERT_EQ(engine_.unsynced_count(), 1);
  ASSERT_THAT(Put("b", Durability::kDurable, "request"), IsOk());  // a replay
  EXPECT_EQ(engine_.unsynced_count(), 0);

  ASSERT_THAT(Put("c", Durability::kBuffered), IsOk());
  EXPECT_THAT(graph_->CheckExists({"s", "", D("c")}, "test"),
              IsOkAndHolds(true));
  EXPECT_EQ(engine_.unsynced_count(), 0);

  ASSERT_THAT(Put("d", Durability::kBuffered), IsOk());
  ASSERT_EQ(engine_.unsynced_count(), 1);
  ASSERT_THAT(graph_->ListEvents(0, 100), IsOk());
  EXPECT_EQ(engine_.unsynced_count(), 0);
}

TEST_F(GroupCommitTest, TheRecordOfADeletionIsDurableBeforeItsDeed) {
  ASSERT_THAT(Put("a"), IsOk());
  StateChange change;
  change.node = graph_->Read()->view().FindContent(0, D("a"));
  change.to = NodeState::kQuarantined;
  ASSERT_THAT(graph_->HoldWriteOrder()->Commit({change}, {}, {}, "gc"), IsOk());
  const auto left = engine_.AfterPowerCut(0);
  const auto graph = Open(left.get());
  EXPECT_FALSE(Has(*graph, "a"));
}

TEST_F(GroupCommitTest, AFailedSyncMakesTheGraphReadOnly) {
  ASSERT_THAT(Put("a"), IsOk());
  {
    base::ScopedFault fault("engine.sync",
                            absl::ResourceExhaustedError("disk full"));
    // Not "nothing changed": what the disk holds is in doubt.
    EXPECT_THAT(Put("b"), StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_THAT(Put("c"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(Has(*graph_, "a"));
}

// Writers with and without sync; now and then the power goes.  Whatever prefix
// of the unsynced commits survives: what was acknowledged is there, and the
// counters are those of a graph that was counted anew.
TEST_F(GroupCommitTest, NoPowerCutLosesWhatWasAcknowledged) {
  const unsigned seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  constexpr int kWriterCount = 8;
  constexpr int kPutCount = 200;
  std::vector<std::atomic<int>> acknowledged(kWriterCount);
  std::atomic<bool> is_over{false};
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriterCount; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < kPutCount; ++i) {
        const bool is_durable = (w + i) % 3 != 0;
        EXPECT_THAT(
            Put(absl::StrCat(w, "/", i),
                is_durable ? Durability::kDurable : Durability::kBuffered),
            IsOk());
        if (is_durable) acknowledged[w] = i + 1;
      }
    });
  }
  std::thread power([&] {
    std::mt19937 random(seed);
    while (!is_over) {
      std::vector<int> told;
      for (const auto& count : acknowledged) told.push_back(count);
      const auto left = engine_.AfterPowerCut(random() % 4);
      const auto graph = Open(left.get());
      for (int w = 0; w < kWriterCount; ++w) {
        for (int i = 0; i < told[w]; ++i) {
          EXPECT_TRUE(Has(*graph, absl::StrCat(w, "/", i))) << w << "/" << i;
        }
      }
      const auto reader = graph->Read();
      const RecountInputs inputs{0, clock_.Now(), options_.grace_period, {}};
      EXPECT_EQ(ToString(reader->totals(0)),
                ToString(Recount(reader->view(), inputs)));
    }
  });
  for (std::thread& writer : writers) writer.join();
  is_over = true;
  power.join();
  EXPECT_LT(engine_.sync_count(), engine_.commit_count());
}

}  // namespace
}  // namespace reclaim::index
