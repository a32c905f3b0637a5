// SEMANTICS.md 2.6, case 148: a disk without a free byte.

#include <memory>
#include <optional>
#include <string>

#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/ballast.h"
#include "index/engine.h"
#include "store/testing/store_tree.h"

namespace reclaim::tests {
namespace {

using base::IsOk;

constexpr uint64_t kBallastBytes = 1 << 20;

// Commits nothing on a full disk while somebody holds the last of its space.
class FullDisk final : public index::Engine {
 public:
  FullDisk(index::Engine* below, const index::Ballast* ballast)
      : below_(below), ballast_(ballast) {}

  absl::StatusOr<std::optional<std::string>> Get(
      index::Family family, absl::string_view key) const override {
    return below_->Get(family, key);
  }
  absl::Status Scan(index::Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    return below_->Scan(family, prefix, from, visit);
  }
  absl::Status ScanBackwards(index::Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override {
    return below_->ScanBackwards(family, prefix, before, visit);
  }
  absl::Status Commit(const index::Batch& batch,
                      index::Durability durability) override {
    if (is_full && (ballast_->is_held() || !has_reserve)) {
      return absl::ResourceExhaustedError("no space left on device");
    }
    return below_->Commit(batch, durability);
  }
  absl::Status Sync() override { return below_->Sync(); }
  uint64_t ApproximateBytes() const override {
    return below_->ApproximateBytes();
  }

  bool is_full = false;
  bool has_reserve = true;  // what the ballast gives back is enough

 private:
  index::Engine* below_;
  const index::Ballast* ballast_;
};

class FullDiskTest : public gc::CollectorFixture {
 protected:
  FullDiskTest() {
    tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", std::string(300'000, 'x')});
    Open(store::StoreKind::kRegistry);
    Scan();
    Remount();
  }

  // The graph and the collector once more, with the ballast below them.
  void Remount() {
    collector_.reset();
    graph_.reset();
    auto graph =
        index::ReferenceGraph::Open(ballasted_.get(), &clock_, options_);
    ASSERT_THAT(graph, IsOk());
    graph_ = *std::move(graph);
    auto collector =
        gc::Collector::Create(graph_.get(), &clock_, &random_, nullptr);
    ASSERT_THAT(collector, IsOk());
    collector_ = *std::move(collector);
    ASSERT_THAT(collector_->AttachStore("s", store_.get()), IsOk());
    ASSERT_THAT(collector_->Recover(), IsOk());
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest old_;
  store::TempFolder data_;
  index::Ballast ballast_{data_.path() + "/ballast", kBallastBytes};
  FullDisk disk_{engine_.get(), &ballast_};
  std::unique_ptr<index::Engine> ballasted_ =
      index::MakeBallastedEngine(&disk_, &ballast_);
};

TEST_F(FullDiskTest, Case148_ASweepBeginsOnAFullDiskAndGrowsNothing) {
  ASSERT_THAT(ballast_.Refill(), IsOk());
  disk_.is_full = true;
  const uint64_t before = folder_.DiskBytes();
  const gc::Plan plan = MakePlan(Request());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, gc::RunPhase::kSucceeded);
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  EXPECT_FALSE(ballast_.is_held()) << "it was let go for the journal";
  // Moving into quarantine takes less than what was let go.
  EXPECT_LT(folder_.DiskBytes(), before + kBallastBytes);
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_LT(folder_.DiskBytes(), before);
  ExpectExact();
  disk_.is_full = false;
  EXPECT_THAT(ballast_.Refill(), IsOk()) << "for the next time";
}

TEST_F(FullDiskTest, Case148_WithoutAReserveNothingIsLost) {
  const std::string before = folder_.Snapshot();
  const gc::Plan plan = MakePlan(Request());
  disk_.is_full = true;
  disk_.has_reserve = false;
  EXPECT_THAT(Apply(plan),
              base::StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(folder_.Snapshot(), before);
  disk_.is_full = false;
  ASSERT_THAT(Apply(MakePlan(Request())), IsOk());
  EXPECT_EQ(StateOf(old_), index::NodeState::kQuarantined);
}

}  // namespace
}  // namespace reclaim::tests
