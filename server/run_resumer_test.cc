#include "server/run_resumer.h"

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/mutex.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/run_board.h"
#include "store/testing/store_tree.h"

namespace reclaim::server {
namespace {

using ::reclaim::base::IsOk;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunResumerTest : public gc::CollectorFixture {
 protected:
  void SetUp() override {
    const store::RegistryTree tree(&folder_);
    tree.Image("app", "v1", {"base", "new"});
    tree.Image("app", "", {"base", "old"});
    tree.Image("lib", "", {"old", "other"});
    Open(store::StoreKind::kRegistry);
    Scan();
    gc::PruneRequest request = Request();
    request.policy.batch_item_count = 2;
    const gc::Plan plan = MakePlan(request);
    {
      const base::ScopedFault fault("engine.commit",
                                    absl::UnavailableError("crash"), 3);
      ASSERT_FALSE(Apply(plan).ok());
    }
    Restart();
    board_ = std::make_unique<rpc::RunBoard>();
    resumer_ = std::make_unique<RunResumer>(collector_.get(), board_.get(),
                                            [this](absl::string_view line) {
                                              base::MutexLock lock(&mutex_);
                                              said_.emplace_back(line);
                                            });
  }
  void TearDown() override { board_->Shutdown(); }

  // Waits for the run, and returns how it is then.
  gc::Run Ended(const std::string& id) {
    while (true) {
      const auto now = board_->WaitForChange(id, UINT64_MAX, absl::Seconds(60));
      if (!now || now->has_ended) break;
    }
    const auto run = collector_->GetRun(id);
    EXPECT_THAT(run, IsOk());
    return run.ok() ? *run : gc::Run();
  }
  std::vector<std::string> Said() {
    base::MutexLock lock(&mutex_);
    return said_;
  }

  base::Mutex mutex_;
  std::vector<std::string> said_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<rpc::RunBoard> board_;
  std::unique_ptr<RunResumer> resumer_;
};

TEST_F(RunResumerTest, WhatCannotGoOnIsTriedAgain) {
  const std::vector<std::string> runs =
      collector_->BeginRecovery().unfinished_runs;
  ASSERT_EQ(runs.size(), 1u);
  {
    const base::ScopedFault away("scan.before_removals",
                                 absl::UnavailableError("the disk is away"));
    resumer_->Begin(runs, absl::Hours(1));
    const gc::Run run = Ended(runs[0]);
    EXPECT_EQ(run.phase, gc::RunPhase::kInterrupted);
    EXPECT_EQ(run.ended, absl::InfiniteFuture());
    EXPECT_THAT(run.problems, ElementsAre(HasSubstr("the disk is away")));
    EXPECT_THAT(Said(), Contains(AllOf(HasSubstr(runs[0]),
                                       HasSubstr("the disk is away"),
                                       HasSubstr("tried again"))));
  }
  resumer_->TryAgain();
  EXPECT_EQ(Ended(runs[0]).phase, gc::RunPhase::kSucceeded);
  // Once.
  const size_t count = Said().size();
  resumer_->TryAgain();
  EXPECT_EQ(Said().size(), count);
}

// The disk was away at the start, and is back: its sweep goes on as well.
TEST_F(RunResumerTest, AStoreThatCouldNotBeRecoveredIsTriedAgain) {
  const auto runs = collector_->ListRuns("", 1);
  ASSERT_THAT(runs, IsOk());
  const std::string id = runs->front().id;
  {
    const base::ScopedErrno away(EIO, 0, /*is_lasting=*/true);
    const gc::Recovery recovery = collector_->BeginRecovery();
    ASSERT_THAT(recovery.unfinished_runs, IsEmpty());
    resumer_->Begin(recovery.unfinished_runs, absl::Hours(1));
    resumer_->TryAgain();
    EXPECT_THAT(Said(), ElementsAre(AllOf(HasSubstr("recovery is not complete"),
                                          HasSubstr("tried again"))));
    EXPECT_EQ(collector_->UnrecoveredStores().size(), 1u);
  }
  resumer_->TryAgain();
  EXPECT_THAT(collector_->UnrecoveredStores(), IsEmpty());
  EXPECT_EQ(Ended(id).phase, gc::RunPhase::kSucceeded);
  EXPECT_THAT(Said(), Contains(HasSubstr("store s: it is recovered")));
  // Once.
  const size_t count = Said().size();
  resumer_->TryAgain();
  EXPECT_EQ(Said().size(), count);
}

// Who follows an engine was there first.
TEST_F(RunResumerTest, WhatAnotherHasRecoveredSinceGoesOnAsWell) {
  const auto runs = collector_->ListRuns("", 1);
  ASSERT_THAT(runs, IsOk());
  const std::string id = runs->front().id;
  {
    const base::ScopedErrno away(EIO, 0, /*is_lasting=*/true);
    resumer_->Begin(collector_->BeginRecovery().unfinished_runs,
                    absl::Hours(1));
  }
  ASSERT_THAT(collector_->RecoverStore("s"), IsOk());
  resumer_->TryAgain();
  EXPECT_EQ(Ended(id).phase, gc::RunPhase::kSucceeded);
}

TEST_F(RunResumerTest, WhatHasEndedMeanwhileIsNotTriedAgain) {
  const std::vector<std::string> runs =
      collector_->BeginRecovery().unfinished_runs;
  ASSERT_EQ(runs.size(), 1u);
  ASSERT_THAT(collector_->Resume(runs[0], {}), IsOk());
  resumer_->Begin(runs, absl::Hours(1));
  Ended(runs[0]);
  const size_t count = Said().size();
  resumer_->TryAgain();
  EXPECT_EQ(Said().size(), count);
}

}  // namespace
}  // namespace reclaim::server
