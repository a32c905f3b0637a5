// A purge that fails or dies: what it has not freed is in quarantine as before,
// and what somebody names since comes back.

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using index::NodeState;
using ::reclaim::base::IsOk;

constexpr int kCallMax = 2000;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

class PurgeWorld : public CollectorFixture {
 public:
  void TestBody() override {}

  // An image that nothing names, in quarantine.
  void Begin() {
    tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"config", "old"});
    Open(store::StoreKind::kRegistry);
    Scan();
    run_id_ = Prune().id;
    ASSERT_EQ(StateOf(old_), NodeState::kQuarantined);
  }
  absl::Status PurgeAll() { return PurgeNow().status(); }
  void RecoverAnew() {
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
  }
  size_t Held() const { return QuarantineCount(); }
  // As a backup with hard links does.
  void LinkElsewhere() {
    const std::filesystem::path top =
        folder_.path() + "/.reclaim/quarantine/" + run_id_;
    int count = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(top)) {
      if (entry.path().filename() != "data") continue;
      std::filesystem::create_hard_link(
          entry.path(), absl::StrCat(elsewhere_.path(), "/", ++count));
    }
    ASSERT_EQ(count, 4) << "manifest, config, two layers";
  }

  // What is on the disk is in quarantine, counted, and comes back to whoever
  // asks for it; what is not is known not to be.
  void ExpectNothingForgotten() {
    ExpectExact();
    uint64_t held_count = 0;
    std::map<std::string, bool> are_held;
    for (const oci::Digest& digest : {old_, D("config"), D("old")}) {
      SCOPED_TRACE(digest.ToString());
      const bool is_held = folder_.Exists(absl::StrCat(
          ".reclaim/quarantine/", run_id_, "/tree/", tree_.BlobPath(digest)));
      EXPECT_EQ(StateOf(digest),
                is_held ? NodeState::kQuarantined : NodeState::kAbsent);
      are_held[digest.ToString()] = is_held;
      held_count += is_held ? 1 : 0;
    }
    // What is left of one that is partly gone is counted as well.
    EXPECT_GE(graph_->Read()->totals(id_).quarantined.count, held_count);
    for (const oci::Digest& digest : {old_, D("config"), D("old")}) {
      SCOPED_TRACE(digest.ToString());
      const bool is_held = are_held[digest.ToString()];
      const auto is_here = graph_->CheckExists({"s", "", digest}, "writer");
      ASSERT_THAT(is_here, IsOk());
      EXPECT_EQ(*is_here, is_held);
      EXPECT_EQ(folder_.Exists(tree_.BlobPath(digest)), is_held);
    }
    // Those that were asked for are spared, and the rest goes.  What could not
    // be read may be read by now.
    Scan();
    ASSERT_THAT(PurgeAll(), IsOk());
    EXPECT_EQ(QuarantineCount(), 0u);
    ExpectExact();
  }

 private:
  store::TempFolder elsewhere_;
  store::RegistryTree tree_{&folder_};
  oci::Digest old_;
  std::string run_id_;
};

// Each system call of a purge alone.
TEST(PurgeFailureTest, WhatWasNotFreedIsInQuarantine) {
  int call = 0;
  for (bool has_failed = true; has_failed; ++call) {
    ASSERT_LT(call, kCallMax);
    SCOPED_TRACE(absl::StrCat("call ", call));
    PurgeWorld world;
    world.Begin();
    {
      base::ScopedErrno fault(EROFS, call, false);
      world.PurgeAll().IgnoreError();  // whatever it says of it
      has_failed = !fault.failed().empty();
    }
    world.ExpectNothingForgotten();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(call, 20) << "a purge makes more calls than that";
}

TEST(PurgeFailureTest, NothingWorksForAWhile) {
  PurgeWorld world;
  world.Begin();
  const size_t held = world.Held();
  {
    base::ScopedErrno fault(EIO, 0, true);
    world.PurgeAll().IgnoreError();  // whatever it says of it
    EXPECT_FALSE(fault.failed().empty());
  }
  EXPECT_EQ(world.Held(), held);
  world.ExpectNothingForgotten();
}

// A start does not know what has come since: it frees nothing that is whole.
TEST(PurgeFailureTest, ADeathBeforeTheFirstByteFreesNothing) {
  PurgeWorld world;
  world.Begin();
  const size_t held = world.Held();
  {
    base::ScopedFault death("purge.after_intent", absl::AbortedError("death"));
    world.PurgeAll().IgnoreError();  // it died
    EXPECT_EQ(death.hit_count(), 1);
  }
  world.RecoverAnew();
  EXPECT_EQ(world.Held(), held);
  world.ExpectNothingForgotten();
}

// It is whole, though freeing it would give nothing.
TEST(PurgeFailureTest, SoDoesOneOfFilesThatHaveOtherNames) {
  PurgeWorld world;
  world.Begin();
  const size_t held = world.Held();
  world.LinkElsewhere();
  {
    base::ScopedFault death("purge.after_intent", absl::AbortedError("death"));
    world.PurgeAll().IgnoreError();  // it died
    EXPECT_EQ(death.hit_count(), 1);
  }
  world.RecoverAnew();
  EXPECT_EQ(world.Held(), held);
  world.ExpectNothingForgotten();
}

TEST(PurgeFailureTest, ADeathAfterTheLastByteIsFinished) {
  PurgeWorld world;
  world.Begin();
  {
    base::ScopedFault death("purge.after_free", absl::AbortedError("death"));
    world.PurgeAll().IgnoreError();  // it died
    EXPECT_EQ(death.hit_count(), 1);
  }
  world.RecoverAnew();
  EXPECT_EQ(world.Held(), 0u);
  world.ExpectNothingForgotten();
}

}  // namespace
}  // namespace reclaim::gc
