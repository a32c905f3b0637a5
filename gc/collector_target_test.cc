// Targets, as far as they reach beyond one plan: the quarantine that goes
// first, the file system that is asked, and what is remembered.

#include <string>

#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/space_target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using index::NodeState;

class CollectorTargetTest : public CollectorFixture {
 protected:
  CollectorTargetTest() {
    tree_.Image("app", "v1", {"base"});
    first_ = tree_.Blob("the first that nothing names");
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  // A blob that nothing names, old enough to go.
  oci::Digest AddBlob(const std::string& bytes) {
    const oci::Digest digest = tree_.Blob(bytes);
    Age();
    Scan();
    return digest;
  }

  PruneRequest Free(uint64_t bytes) {
    PruneRequest request = Request(PruneVerb::kImages);
    request.target.kind = TargetKind::kFree;
    request.target.bytes = bytes;
    return request;
  }

  size_t HeldBy(const std::string& run_id) {
    const auto entries = collector_->ListQuarantine("s", 0, 1'000'000);
    EXPECT_THAT(entries, IsOk());
    size_t count = 0;
    for (const QuarantineEntry& entry : *entries) {
      count += entry.run_id == run_id;
    }
    return count;
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest first_;
};

TEST_F(CollectorTargetTest, PressurePurgesTheQuarantineFirstOldestFirst) {
  const gc::Run first = Prune();
  clock_.Advance(absl::Hours(1));
  const oci::Digest second_blob = AddBlob("the second");
  const gc::Run second = Prune();
  clock_.Advance(absl::Hours(1));
  const oci::Digest third = AddBlob("the third");
  ASSERT_EQ(HeldBy(first.id), 1u);
  ASSERT_EQ(HeldBy(second.id), 1u);

  const WholePlan plan = MakePlan(Free(1));
  EXPECT_THAT(plan.items, IsEmpty()) << "the quarantine is enough";
  EXPECT_EQ(plan.target_outcome.purge_bytes, 1u);
  EXPECT_EQ(HeldBy(first.id), 1u) << "a preview changes nothing (I8)";
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_THAT(run->problems, IsEmpty());
  EXPECT_EQ(HeldBy(first.id), 0u);
  EXPECT_EQ(HeldBy(second.id), 1u);
  EXPECT_EQ(StateOf(first_), NodeState::kAbsent);
  EXPECT_EQ(StateOf(second_blob), NodeState::kQuarantined);
  EXPECT_EQ(StateOf(third), NodeState::kPresent);
  ExpectExact();
}

TEST_F(CollectorTargetTest, WhatTheQuarantineLacksIsChosen) {
  Prune();
  const oci::Digest third = AddBlob("the third");
  const uint64_t held =
      MakePlan(Free(uint64_t{1} << 40)).target_outcome.purge_bytes;
  ASSERT_GT(held, 0u);
  const WholePlan plan = MakePlan(Free(held + 1));
  EXPECT_EQ(plan.target_outcome.purge_bytes, held);
  ASSERT_EQ(plan.items.size(), 1u);
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  EXPECT_EQ(StateOf(first_), NodeState::kAbsent);
  EXPECT_EQ(StateOf(third), NodeState::kQuarantined)
      << "what goes now can be restored";
  EXPECT_EQ(HeldBy(run->id), 1u);
  ExpectExact();
}

TEST_F(CollectorTargetTest, TheOutcomeIsRemembered) {
  const WholePlan made = MakePlan(Free(uint64_t{1} << 40));
  EXPECT_EQ(made.items.size(), 1u);
  EXPECT_GT(made.target_outcome.short_by_bytes, 0u);
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  const auto page = collector_->GetPlan(made.id, 0, 10);
  ASSERT_THAT(page, IsOk());
  const Plan& plan = page->plan;
  EXPECT_EQ(plan.request.target.kind, TargetKind::kFree);
  EXPECT_EQ(plan.request.target.bytes, uint64_t{1} << 40);
  EXPECT_EQ(plan.target_outcome.needed_bytes, uint64_t{1} << 40);
  EXPECT_EQ(plan.target_outcome.short_by_bytes,
            made.target_outcome.short_by_bytes);
}

TEST_F(CollectorTargetTest, WarningsAreRemembered) {
  PruneRequest request = Request(PruneVerb::kImages);
  request.target.kind = TargetKind::kKeepUnder;
  request.target.bytes = 1;
  request.target.reserved_bytes = 2;
  const Plan made = MakePlan(request);
  const auto page = collector_->GetPlan(made.id, 0, 10);
  ASSERT_THAT(page, IsOk());
  EXPECT_THAT(page->plan.target_outcome.warnings,
              ElementsAre(HasSubstr("reserved")));
  EXPECT_EQ(page->plan.request.target.reserved_bytes, 2u);
}

TEST_F(CollectorTargetTest, MarksAreThoseOfTheFileSystem) {
  PruneRequest request = Request(PruneVerb::kImages);
  request.target.kind = TargetKind::kMarks;
  request.target.high_percent = 100;
  request.target.low_percent = 100;
  EXPECT_THAT(MakePlan(request).items, IsEmpty());
  request.target.high_percent = 1;
  request.target.low_percent = 1;
  const auto capacity = store_->GetCapacity();
  ASSERT_THAT(capacity, IsOk());
  const WholePlan plan = MakePlan(request);
  const uint64_t used = capacity->capacity_bytes - capacity->available_bytes;
  // Others use the disk meanwhile.
  if (used > capacity->capacity_bytes / 50) {
    EXPECT_GT(plan.target_outcome.needed_bytes, 0u);
    EXPECT_EQ(plan.items.size(), 1u);
  }
}

TEST_F(CollectorTargetTest, WhatATargetCannotBeAboutIsRefused) {
  PruneRequest request = Free(1);
  request.verb = PruneVerb::kVolumes;
  const auto refused =
      base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("target"));
  EXPECT_THAT(collector_->MakePlan(request, {}), refused);
  request = Free(1);
  request.only_references = {"app:v1"};
  EXPECT_THAT(collector_->MakePlan(request, {}), refused);
  request = Free(0);
  EXPECT_THAT(collector_->MakePlan(request, {}), refused);
}

}  // namespace
}  // namespace reclaim::gc
