// Clients that go on with an upload which a plan takes (I1).

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/audit.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;

// Comes between the intent of a batch and its move.
class WriterBetween final : public DeletionAudit {
 public:
  explicit WriterBetween(std::function<void()> write)
      : write_(std::move(write)) {}
  absl::Status Record(const DeletionRecord& record) override {
    EXPECT_EQ(record.items.size(), 2u) << "of one batch";
    write_();
    return absl::OkStatus();
  }

 private:
  const std::function<void()> write_;
};

// A client goes on with an upload that a plan takes.
class ResumedUploadTest : public CollectorFixture {
 protected:
  ResumedUploadTest() {
    store::RegistryTree tree(&folder_);
    tree.Upload("app", "resumed", "half of it");
    tree.Upload("app", "given-up", "half of another");
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  static std::string DataOf(const std::string& id) {
    return "docker/registry/v2/repositories/app/_uploads/" + id + "/data";
  }
  int OpenData(const std::string& id) const {
    const std::string path = folder_.path() + "/" + DataOf(id);
    const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    EXPECT_GE(file, 0);
    return file;
  }
  void Resume(const std::string& id) const {
    const int file = OpenData(id);
    EXPECT_EQ(write(file, ", and more", 10), 10);
    close(file);
  }
  bool HasUpload(const std::string& id) const {
    return graph_->Read()->view().FindNamed(
               {index::NodeKind::kUpload, id_, "app", id}) != index::kNoNode;
  }
  // The one that nobody went on with is taken alone.
  void ExpectResumedStays(const absl::StatusOr<gc::Run>& run,
                          const std::string& text) {
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kPartial);
    ASSERT_EQ(run->skipped.size(), 1u);
    EXPECT_EQ(run->skipped[0].reason, SkipReason::kChanged);
    EXPECT_TRUE(absl::StrContains(run->skipped[0].detail,
                                  "resumed was written to by its client"))
        << run->skipped[0].detail;
    EXPECT_EQ(folder_.Read(DataOf("resumed")), text);
    EXPECT_TRUE(HasUpload("resumed"));
    EXPECT_FALSE(folder_.Exists(DataOf("given-up")));
    EXPECT_FALSE(HasUpload("given-up"));
    EXPECT_EQ(QuarantineCount(), 1u);
    ExpectExact();
  }
};

TEST_F(ResumedUploadTest, AfterThePlanItStays) {
  const Plan plan = MakePlan(Request());
  ASSERT_EQ(plan.totals.item_count, 2u);
  Resume("resumed");
  ExpectResumedStays(Apply(plan), "half of it, and more");
  // To the next scan it is young.
  Scan();
  EXPECT_EQ(MakePlan(Request()).totals.item_count, 0u);
}

// The file server's clock is behind by more than a month.
TEST_F(ResumedUploadTest, ByAClockThatIsBehindItStays) {
  const Plan plan = MakePlan(Request());
  SetTime(DataOf("resumed"), clock_.Now() - absl::Hours(900));
  ExpectResumedStays(Apply(plan), "half of it");
}

TEST_F(ResumedUploadTest, BetweenTheIntentAndTheMoveItStays) {
  const Plan plan = MakePlan(Request());
  WriterBetween writer([this] { Resume("resumed"); });
  collector_->SetAudit(&writer);
  const auto run = Apply(plan);
  collector_->SetAudit(nullptr);
  ExpectResumedStays(run, "half of it, and more");
}

// The registry had opened it, and wrote when it had been moved.
TEST_F(ResumedUploadTest, WithAnOpenFileAtTheMoveItComesBackInsteadOfGoing) {
  const int file = OpenData("resumed");
  const auto run = Apply(MakePlan(Request()));
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->skipped_count, 0u);
  ASSERT_FALSE(folder_.Exists(DataOf("resumed")));
  EXPECT_EQ(write(file, ", and more", 10), 10);
  close(file);
  clock_.Advance(absl::Hours(1));
  Scan();
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->item_count, 1u) << "the one that was given up";
  EXPECT_EQ(purged->skipped_count, 1u);
  EXPECT_EQ(folder_.Read(DataOf("resumed")), "half of it, and more");
  EXPECT_EQ(QuarantineCount(), 0u);
  Scan();
  EXPECT_TRUE(HasUpload("resumed"));
  EXPECT_EQ(MakePlan(Request()).totals.item_count, 0u);
}

}  // namespace
}  // namespace reclaim::gc
