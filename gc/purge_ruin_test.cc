// A purge gives back a link that a name needs, in the place of what a registry
// left that was killed before it wrote: whatever fails then, the link is in the
// store or in quarantine, and whether a later purge may free it is asked of the
// disk.

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/store_scanner.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
constexpr char kLayers[] =
    "docker/registry/v2/repositories/app/_layers/sha256/";

class RuinWorld : public CollectorFixture {
 public:
  void TestBody() override {}

  // The link of a repository to a layer that another one has as well is in
  // quarantine.  Then a client named the layer there anew: the graph knows the
  // name and the new link, and has proof of all that was moved.
  void Begin(const std::string& new_link) {
    tree_.Image("app", "", {"base", "own"});
    tree_.Image("lib", "v1", {"base", "lib"});
    Open(store::StoreKind::kRegistry);
    Scan();
    run_id_ = Prune().id;
    ASSERT_FALSE(folder_.Exists(LinkFolder()));
    ASSERT_EQ(StateOf(layer_), index::NodeState::kPresent) << "lib needs it";
    ASSERT_TRUE(IsQuarantined());
    image_ = tree_.Image("app", "v1", {"base", "late"});
    folder_.Write(LinkFolder() + "/link", new_link);
    Age();
    // Not the collector's, which gives links back itself.
    index::ScanOptions options;
    options.is_proof = true;
    options.actor = "test";
    ASSERT_THAT(index::ScanStore(graph_.get(), "s", *store_, clock_, options),
                IsOk());
    ASSERT_TRUE(IsKnown());
  }
  // What a crash leaves that came between the ruin and the link.
  void TakeRuinAway() { folder_.Remove(LinkFolder()); }
  // A client deletes the image, with its tag, and the link by the registry's
  // API.
  void DeleteByApi() {
    folder_.Remove("docker/registry/v2/repositories/app/_manifests/tags/v1");
    folder_.Remove(RevisionFolder());
    folder_.Remove(LinkFolder());
  }
  // Nobody knows what the repository links.
  void TearLink() { folder_.Write(TornFolder() + "/link", "torn"); }
  void MendLink() { folder_.Remove(TornFolder()); }

  absl::StatusOr<gc::Run> Purge(bool before_period_ends = true) {
    PurgeRequest request;
    request.store = "s";
    request.before_period_ends = before_period_ends;
    request.actor = "test";
    return collector_->Purge(request, {});
  }
  void RecoverAnew() {
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
  }

  bool IsLinked() const { return SaysLayer(LinkFolder()); }
  bool IsQuarantined() const {
    return SaysLayer(
        absl::StrCat(".reclaim/quarantine/", run_id_, "/tree/", LinkFolder()));
  }
  // Whether the graph takes it for linked.
  bool IsKnown() const {
    const index::NodeId layer = Find(layer_);
    const auto reader = graph_->Read();
    const index::GraphView& view = reader->view();
    const index::NodeId repository =
        view.FindNamed({index::NodeKind::kRepository, id_, "", "app"});
    return view.LinkedAt(repository, layer, store::MembershipKind::kLayer)
        .has_value();
  }
  index::Epoch LastScan() const {
    return graph_->Stores().at(0).last_scan_epoch;
  }
  size_t Held() const { return QuarantineCount(); }

  // A client gets the tag's manifest and each layer of it.
  void ExpectPullable() {
    EXPECT_TRUE(IsLinked());
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(layer_)));
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(image_)));
    EXPECT_TRUE(folder_.Exists(RevisionFolder() + "/link"));
    EXPECT_EQ(
        folder_.Read("docker/registry/v2/repositories/app/_manifests/tags/v1/"
                     "current/link"),
        image_.ToString());
    ExpectExact();
  }

 private:
  std::string LinkFolder() const { return kLayers + layer_.hex(); }
  std::string RevisionFolder() const {
    return absl::StrCat(
        "docker/registry/v2/repositories/app/_manifests/revisions/sha256/",
        image_.hex());
  }
  static std::string TornFolder() {
    return kLayers + oci::Digest::Sha256Of("torn").hex();
  }
  bool SaysLayer(const std::string& folder) const {
    return folder_.Exists(folder + "/link") &&
           folder_.Read(folder + "/link") == layer_.ToString();
  }

  const store::RegistryTree tree_{&folder_};
  const oci::Digest layer_ = oci::Digest::Sha256Of("base");
  oci::Digest image_;
  std::string run_id_;
};

// Has each call of a purge fail and restarts.  `dies_at_move`: the store can't
// have two names change places, and the purge dies when the ruin is gone.
// Returns how often it came to the exchange.
int FailEach(int error, bool is_lasting, bool dies_at_move) {
  int exchange_count = 0;
  bool has_failed = true;
  for (int call = 0; has_failed; ++call) {
    EXPECT_LT(call, kCallMax);
    SCOPED_TRACE(absl::StrCat("call ", call));
    RuinWorld world;
    world.Begin("");
    {
      base::ScopedErrno fault(error, call, is_lasting);
      base::ScopedFault death("rooted_dir.move", absl::AbortedError("death"),
                              dies_at_move ? 1 : kCallMax);
      world.Purge().IgnoreError();  // whatever it says of it
      has_failed = !fault.failed().empty();
      exchange_count += fault.failed().count("exchange.renameat2") > 0 ? 1 : 0;
    }
    EXPECT_TRUE(world.IsLinked() || world.IsQuarantined());
    world.RecoverAnew();
    EXPECT_TRUE(world.IsLinked() || world.IsQuarantined());
    EXPECT_THAT(world.Purge(), IsOk());
    world.ExpectPullable();
    EXPECT_EQ(world.Held(), 0u);
    if (::testing::Test::HasFailure() || call == kCallMax) break;
  }
  return exchange_count;
}

TEST(PurgeRuinTest, OneCallThatFailsLosesNoLink) {
  for (const int error : {EIO, EINVAL}) {
    EXPECT_GT(FailEach(error, false, false), 0) << error;
  }
}

TEST(PurgeRuinTest, NorDoesADeathAtAnyCall) {
  EXPECT_GT(FailEach(EIO, true, false), 0);
}

TEST(PurgeRuinTest, NorDoesOneWithoutAStepThatExchanges) {
  EXPECT_GT(FailEach(EINVAL, false, true), 0);
}

// The graph takes it for linked, and it is not there.
TEST(PurgeRuinTest, OneThatIsNowhereButInQuarantineComesBack) {
  for (const bool is_ruin : {false, true}) {
    SCOPED_TRACE(is_ruin);
    RuinWorld world;
    world.Begin(is_ruin ? "" : oci::Digest::Sha256Of("base").ToString());
    world.TakeRuinAway();
    const auto purged = world.Purge();
    ASSERT_THAT(purged, IsOk());
    EXPECT_THAT(purged->skipped, IsEmpty());
    world.ExpectPullable();
    EXPECT_TRUE(world.IsKnown());
    EXPECT_EQ(world.Held(), 0u);
  }
}

TEST(PurgeRuinTest, OneThatAClientDeletedDoesNot) {
  RuinWorld world;
  world.Begin(oci::Digest::Sha256Of("base").ToString());
  world.DeleteByApi();
  const auto purged = world.Purge();
  ASSERT_THAT(purged, IsOk());
  EXPECT_THAT(purged->skipped, IsEmpty());
  EXPECT_FALSE(world.IsLinked());
  EXPECT_FALSE(world.IsQuarantined());
  EXPECT_FALSE(world.IsKnown());
}

// A scan that can't tell frees none.
TEST(PurgeRuinTest, OneThatStaysInDoubtStaysInQuarantine) {
  RuinWorld world;
  world.Begin("");
  world.TakeRuinAway();
  world.TearLink();
  for (int round = 0; round < 2; ++round) {
    const auto purged = world.Purge();
    ASSERT_THAT(purged, IsOk());
    int told_count = 0;
    for (const SkippedItem& skipped : purged->skipped) {
      if (!absl::StrContains(skipped.detail, "is not there")) continue;
      ++told_count;
      EXPECT_EQ(skipped.reason, SkipReason::kProofMissing);
      EXPECT_THAT(skipped.detail, HasSubstr("scan the store"));
    }
    EXPECT_EQ(told_count, 1);
    EXPECT_TRUE(world.IsKnown());
    EXPECT_TRUE(world.IsQuarantined());
    EXPECT_FALSE(world.IsLinked());
  }
  world.MendLink();
  ASSERT_THAT(world.Purge(), IsOk());
  world.ExpectPullable();
  EXPECT_EQ(world.Held(), 0u);
}

// Not for what stays anyway.
TEST(PurgeRuinTest, OneThatIsNotMeantAsksForNoScan) {
  RuinWorld world;
  world.Begin("");
  world.TakeRuinAway();
  const index::Epoch last_scan = world.LastScan();
  const auto purged = world.Purge(/*before_period_ends=*/false);
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(world.LastScan(), last_scan);
  EXPECT_TRUE(world.IsQuarantined());
  ASSERT_THAT(world.Purge(), IsOk());
  EXPECT_NE(world.LastScan(), last_scan);
  world.ExpectPullable();
}

}  // namespace
}  // namespace reclaim::gc
