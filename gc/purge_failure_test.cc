// A purge that fails or dies: what it has not freed is in quarantine as before,
// and what somebody names since comes back.

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/run.h"
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

// Trees in memory, where the kernel has it: hundreds of them are made, with an
// fsync for each step.
class TreesInMemory final : public ::testing::Environment {
 public:
  void SetUp() override {
    if (access("/dev/shm", W_OK) == 0) setenv("TEST_TMPDIR", "/dev/shm", 1);
  }
};
const ::testing::Environment* const kTreesInMemory =
    ::testing::AddGlobalTestEnvironment(new TreesInMemory);

constexpr int kCallMax = 2000;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

class PurgeWorld : public CollectorFixture {
 public:
  void TestBody() override {}

  // An image that nothing names, in quarantine.  `has_backup`: a backup with
  // hard links was made before, so that the plan frees nothing of it.
  void Begin(bool has_backup = false) {
    tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"config", "old"});
    if (has_backup) LinkBelow("docker/registry/v2/blobs", 8);
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
  void LinkElsewhere() { LinkBelow(".reclaim/quarantine/" + run_id_, 4); }
  // Somebody empties the quarantine by hand.
  void TakeAway() {
    std::filesystem::remove_all(folder_.path() + "/.reclaim/quarantine/" +
                                run_id_);
  }
  absl::StatusOr<gc::Run> PurgeRun() { return PurgeNow(); }
  uint64_t QuarantinedBytes() const {
    return graph_->Read()->totals(id_).quarantined.bytes.logical_bytes;
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
  // As a backup with hard links does.
  void LinkBelow(const std::string& below, int expected_count) {
    const std::filesystem::path top = folder_.path();
    int count = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(top / below)) {
      if (entry.path().filename() != "data") continue;
      std::filesystem::create_hard_link(
          entry.path(), absl::StrCat(elsewhere_.path(), "/", ++count));
    }
    ASSERT_EQ(count, expected_count) << "manifests, configs, layers";
  }

  store::TempFolder elsewhere_;
  store::RegistryTree tree_{&folder_};
  oci::Digest old_;
  std::string run_id_;
};

// Each system call of a purge alone.
void FailEachCall(bool has_backup) {
  int call = 0;
  for (bool has_failed = true; has_failed; ++call) {
    ASSERT_LT(call, kCallMax);
    SCOPED_TRACE(absl::StrCat("call ", call));
    PurgeWorld world;
    world.Begin(has_backup);
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

TEST(PurgeFailureTest, WhatWasNotFreedIsInQuarantine) { FailEachCall(false); }

// The plan charged nothing for what a backup holds: so says the record, whether
// the file is here or not.
TEST(PurgeFailureTest, OfFilesThatHadOtherNamesAsWell) { FailEachCall(true); }

// What a purge of ours has not freed is no figure of ours.
TEST(PurgeFailureTest, WhatSomebodyTookAwayFreesNothing) {
  PurgeWorld world;
  world.Begin();
  EXPECT_GT(world.QuarantinedBytes(), 0u);
  world.TakeAway();
  const auto run = world.PurgeRun();
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->bytes.total(), store::Bytes());
  EXPECT_EQ(world.QuarantinedBytes(), 0u);
  EXPECT_EQ(world.Held(), 0u);
  world.ExpectNothingForgotten();
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
