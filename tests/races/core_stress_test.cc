// Eight threads on one store: writers, a scanner, a planner that applies, a
// restorer, a purger and two readers.  No thread waits for another; each does
// its rounds.  Under ThreadSanitizer this is the proof that the core has no
// data race (TRUST D.3); under any compiler, that promises hold (I1, I4), that
// counters stay exact (I6) and that nothing aborts.

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "accounting/disk_usage.h"
#include "accounting/image_usage.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;

constexpr int kImageCount = 12;
constexpr int kRoundCount = 30;
constexpr uint32_t kDefaultSeed = 20260102;

// tools/races asks for more rounds, with one seed after the other.
int Rounds() {
  const char* const asked = std::getenv("RECLAIM_STRESS_ROUNDS");
  return asked == nullptr ? kRoundCount : std::atoi(asked);
}
uint32_t Seed() {
  const char* const asked = std::getenv("RECLAIM_SEED");
  return asked == nullptr ? kDefaultSeed
                          : static_cast<uint32_t>(std::atoi(asked));
}

class CoreStressTest : public CollectorFixture {
 protected:
  CoreStressTest() {
    store::RegistryTree tree(&folder_);
    for (int i = 0; i < kImageCount; ++i) {
      images_.push_back(
          tree.Image("app", "", {"base", absl::StrCat("own", i)}));
    }
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  // Runs are refused while another is at work (ABORTED), and a plan that took
  // too long is refused; both are answers, not faults.
  static void ExpectAnswer(const absl::Status& status) {
    EXPECT_THAT(
        status.code(),
        testing::AnyOf(absl::StatusCode::kOk, absl::StatusCode::kAborted,
                       absl::StatusCode::kNotFound,
                       absl::StatusCode::kFailedPrecondition))
        << status;
  }

  // What an existence check has promised and a tag names is on the disk.
  void Write(std::mt19937* random, const std::string& tag) {
    const auto& image = images_[(*random)() % images_.size()];
    const auto here = graph_->CheckExists({"s", "", image}, "writer");
    ASSERT_THAT(here, IsOk());
    if (!*here) return;  // purged before
    index::PutTag put;
    put.store = "s";
    put.repository = "app";
    put.tag = tag;
    put.digest = image;
    ASSERT_THAT(Record({put}), IsOk());
    ASSERT_THAT(store_->Stat("", image), IsOk());
    if ((*random)() % 2 == 0) {
      ASSERT_THAT(Record({index::RemoveTag{"s", "app", tag}}), IsOk());
    }
  }

  void Lease(std::mt19937* random) {
    index::PutLease put;
    put.store = "s";
    put.id = absl::StrCat("lease", (*random)() % 3);
    put.expires = clock_.Now() + absl::Hours(1);
    index::Target target;
    target.content =
        index::ContentName{"s", "", images_[(*random)() % images_.size()]};
    put.targets.push_back(target);
    ExpectAnswer(Record({put}));
    ExpectAnswer(
        Record({index::RemoveNamed{"s", index::NodeKind::kLease, "", put.id}}));
  }

  void PlanAndApply() {
    PruneRequest request = Request();
    request.policy.batch_item_count = 3;
    auto plan = collector_->MakePlan(request, {});
    // While a scan is at work; the scanner ends some time.
    while (absl::IsAborted(plan.status())) {
      std::this_thread::yield();
      plan = collector_->MakePlan(request, {});
    }
    ASSERT_THAT(plan, IsOk());
    ExpectAnswer(Apply(*plan).status());
  }

  void RestoreSomething() {
    const auto runs = collector_->ListRuns("", 5);
    ASSERT_THAT(runs, IsOk());
    for (const gc::Run& run : *runs) {
      if (run.kind == RunKind::kApply) {
        ExpectAnswer(RestoreRun(run.id).status());
        return;
      }
    }
  }

  void ReadTotals() {
    ExpectExact();
    const auto reader = graph_->Read();
    accounting::MakeDiskUsage(reader->totals(id_), false);
    accounting::ListImageUsage(reader->view(), id_, true);
  }

  void ExplainSomething(std::mt19937* random) {
    const index::NodeId node = Find(images_[(*random)() % images_.size()]);
    if (node == index::kNoNode) return;
    ExpectAnswer(collector_->Explain(node, NoGrace(), 3).status());
  }

  std::vector<oci::Digest> images_;
};

TEST_F(CoreStressTest, EightThreads) {
  const uint32_t seed = Seed();
  RecordProperty("seed", static_cast<int>(seed));
  const int rounds = Rounds();
  std::vector<std::thread> threads;
  const auto start = [&](auto round) {
    threads.emplace_back([=, number = threads.size()] {
      std::mt19937 random(seed + static_cast<uint32_t>(number));
      for (int i = 0; i < rounds; ++i) round(&random);
    });
  };
  start([this](std::mt19937* random) { Write(random, "one"); });
  start([this](std::mt19937* random) { Write(random, "two"); });
  start([this](std::mt19937* random) { Lease(random); });
  start([this](std::mt19937*) {
    ExpectAnswer(collector_->Scan("s", false, "test", {}).status());
  });
  start([this](std::mt19937*) { PlanAndApply(); });
  start([this](std::mt19937* random) {
    RestoreSomething();
    ExplainSomething(random);
  });
  start([this](std::mt19937* random) {
    // Rarely: purged images make the writers idle.
    if ((*random)() % 8 == 0) ExpectAnswer(PurgeNow().status());
  });
  start([this](std::mt19937*) { ReadTotals(); });
  for (std::thread& thread : threads) thread.join();
  ExpectExact();
}

}  // namespace
}  // namespace reclaim::gc
