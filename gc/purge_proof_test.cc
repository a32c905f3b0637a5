// What must be proven before bytes are freed: that the writers who may have
// seen them are done, and that no registry remembers them.

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/hints.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::HasSubstr;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

// A registry over a tree, with or without a memory, as distribution 2 has it.
class RememberingRegistry final : public RegistryWitness {
 public:
  explicit RememberingRegistry(const store::TempFolder* folder)
      : folder_(*folder) {}

  absl::StatusOr<std::unique_ptr<RegistryConversation>> Open(
      const std::string& url) override {
    EXPECT_EQ(url, "http://127.0.0.1:5000");
    if (!is_up) return absl::UnavailableError("nobody listens");
    return std::unique_ptr<RegistryConversation>(
        std::make_unique<Conversation>(this, process_));
  }

  bool HasBlob(const std::string& repository, const oci::Digest& digest) {
    ++question_count;
    const std::string name = absl::StrCat(repository, "@", digest.ToString());
    if (has_cache && remembered_.count(name) > 0) return true;
    const bool is_there = folder_.Exists(
        absl::StrCat("docker/registry/v2/repositories/", repository,
                     "/_layers/sha256/", digest.hex(), "/link"));
    if (is_there) remembered_.insert(name);
    return is_there;
  }
  void Restart() {
    remembered_.clear();
    ++process_;
  }

  bool has_cache = false;
  bool is_up = true;
  int question_count = 0;

 private:
  class Conversation final : public RegistryConversation {
   public:
    Conversation(RememberingRegistry* registry, int process)
        : registry_(*registry), process_(process) {}
    absl::StatusOr<bool> HasBlob(const std::string& repository,
                                 const oci::Digest& digest) override {
      if (process_ != registry_.process_ || !registry_.is_up) {
        return absl::UnavailableError("the connection broke");
      }
      return registry_.HasBlob(repository, digest);
    }

   private:
    RememberingRegistry& registry_;
    const int process_;
  };

  const store::TempFolder& folder_;
  std::set<std::string> remembered_;
  int process_ = 1;
};

class PurgeProofTest : public CollectorFixture {
 protected:
  PurgeProofTest() {
    live_ = tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", "old"});
    orphan_ = tree_.Blob("nothing names me");
  }

  void Begin(index::WriterTerms writers) {
    writers_ = std::move(writers);
    Open(store::StoreKind::kRegistry);
    collector_.reset();
    auto collector =
        Collector::Create(graph_.get(), &clock_, &random_, nullptr);
    ASSERT_THAT(collector, IsOk());
    collector_ = *std::move(collector);
    collector_->SetRegistryWitness(&registry_);
    ASSERT_THAT(collector_->AttachStore("s", store_.get()), IsOk());
    Scan();
  }
  void BeginWithCache(index::DescriptorCache cache, bool has_cache) {
    registry_.has_cache = has_cache;
    Begin({absl::ZeroDuration(), cache, "http://127.0.0.1:5000"});
  }

  // The number of items that a purge frees.
  uint64_t Purge(const RunControl& control = {}) {
    PurgeRequest request;
    request.store = "s";
    request.before_period_ends = true;
    request.actor = "test";
    const auto purged = collector_->Purge(request, control);
    EXPECT_THAT(purged, IsOk());
    if (!purged.ok()) return 0;
    why_ = purged->skipped.empty() ? "" : purged->skipped[0].detail;
    ExpectExact();
    return purged->item_count;
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest live_, old_, orphan_;
  RememberingRegistry registry_{&folder_};
  std::string why_;
};

TEST_F(PurgeProofTest, NothingIsFreedBeforeTheWritersAreDone) {
  Begin({absl::Minutes(1), index::DescriptorCache::kNone, ""});
  Prune();
  clock_.Advance(absl::Seconds(59));
  EXPECT_EQ(Purge(), 0u);
  EXPECT_THAT(why_, HasSubstr("no scan began after"));
  // That scan began too early: another is needed, and is made.
  clock_.Advance(absl::Seconds(1));
  EXPECT_GT(Purge(), 0u);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// The registry has looked at the blobs, we move them, a scan that comes too
// early sees nothing of the manifest, which is written only then.
TEST_F(PurgeProofTest, AManifestThatIsWrittenAfterAnEarlyScanIsWhole) {
  Begin({absl::Minutes(1), index::DescriptorCache::kNone, ""});
  Prune();
  ASSERT_FALSE(folder_.Exists(tree_.BlobPath(D("old"))));
  Scan();
  ASSERT_EQ(Purge(), 0u);
  const oci::Digest manifest =
      tree_.Manifest("app", store::ImageText({D("base"), D("old")}));
  tree_.Tag("app", "late", manifest);
  clock_.Advance(absl::Minutes(1));
  Purge();
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(D("old"))));
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(manifest)));
  EXPECT_TRUE(HasTag("app", "late"));
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kAbsent);
}

TEST_F(PurgeProofTest, AHintRestoresAtOnce) {
  Begin({absl::Minutes(1), index::DescriptorCache::kNone, ""});
  Prune();
  const oci::Digest manifest =
      tree_.Manifest("app", store::ImageText({D("base"), D("old")}));
  tree_.Tag("app", "late", manifest);
  index::Hint hint;
  hint.repository = "app";
  hint.tag = "late";
  hint.digest = manifest;
  const auto left = collector_->FollowHints("s", {hint}, "registry");
  ASSERT_THAT(left, IsOk());
  EXPECT_TRUE(left->empty());
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(D("old"))));
  EXPECT_EQ(StateOf(D("old")), index::NodeState::kPresent);
  ExpectExact();
}

// As does a pull, if the word of the push was lost.
TEST_F(PurgeProofTest, APullOfAnUnknownImageRestores) {
  Begin({absl::Minutes(1), index::DescriptorCache::kNone, ""});
  Prune();
  index::Hint hint;
  hint.repository = "app";
  hint.digest = tree_.Manifest("app", store::ImageText({D("base"), D("old")}));
  hint.pulled = clock_.Now();
  const auto looks = collector_->FollowHints("s", {hint}, "registry");
  ASSERT_THAT(looks, IsOk());
  ASSERT_EQ(looks->size(), 1u);
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(D("old"))));
  ASSERT_THAT(collector_->FollowHints("s", *looks, "registry"), IsOk());
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(D("old"))));
  EXPECT_EQ(StateOf(D("old")), index::NodeState::kPresent);
  ExpectExact();
}

// One that is told of late, of what was taken since.
TEST_F(PurgeProofTest, APullOfWhatWasTakenGivesNothingBack) {
  Begin({absl::Minutes(1), index::DescriptorCache::kNone, ""});
  Prune();
  const size_t count = QuarantineCount();
  index::Hint hint;
  hint.repository = "app";
  hint.digest = orphan_;
  hint.pulled = clock_.Now() - absl::Hours(1);
  const auto looks = collector_->FollowHints("s", {hint}, "registry");
  ASSERT_THAT(looks, IsOk());
  ASSERT_THAT(collector_->FollowHints("s", *looks, "registry"), IsOk());
  EXPECT_EQ(QuarantineCount(), count);
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kQuarantined);
  ExpectExact();
}

// Another repository keeps the content; this one loses its link to it, while a
// manifest that names it here is being written.
class SharedLinkTest : public PurgeProofTest {
 protected:
  SharedLinkTest() {
    tree_.Image("web", "v1", {"shared"});
    tree_.Layer("app", "shared");
    Begin(writers_);
    run_id_ = Prune().id;
    EXPECT_FALSE(folder_.Exists(link_));
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(D("shared"))));
    manifest_ =
        tree_.Manifest("app", store::ImageText({D("base"), D("shared")}));
    tree_.Tag("app", "late", manifest_);
  }
  const std::string link_ =
      absl::StrCat("docker/registry/v2/repositories/app/_layers/sha256/",
                   D("shared").hex(), "/link");
  oci::Digest manifest_;
  std::string run_id_;
};

// A power cut has taken it, who had not come to sync it.
TEST_F(SharedLinkTest, OneThatWasMadeAnewAndIsLostComesBack) {
  tree_.Layer("app", "shared");
  Scan();
  ASSERT_THAT(RestoreRun(run_id_), IsOk());
  ASSERT_EQ(QuarantineCount(), 1u) << "a second one";
  folder_.Remove(std::filesystem::path(link_).parent_path());
  Purge();
  EXPECT_TRUE(folder_.Exists(link_));
  EXPECT_EQ(QuarantineCount(), 0u);
}

TEST_F(SharedLinkTest, OneThatWasMadeAnewStands) {
  tree_.Layer("app", "shared");
  Scan();
  ASSERT_THAT(RestoreRun(run_id_), IsOk());
  EXPECT_EQ(Purge(), 1u);
  EXPECT_TRUE(folder_.Exists(link_));
  EXPECT_EQ(QuarantineCount(), 0u);
}

TEST_F(SharedLinkTest, AHintBringsItBack) {
  index::Hint hint;
  hint.repository = "app";
  hint.tag = "late";
  hint.digest = manifest_;
  ASSERT_THAT(collector_->FollowHints("s", {hint}, "registry"), IsOk());
  EXPECT_TRUE(folder_.Exists(link_));
  ExpectExact();
}

TEST_F(SharedLinkTest, AScanBringsItBack) {
  Scan();
  EXPECT_TRUE(folder_.Exists(link_));
}

TEST_F(SharedLinkTest, APurgeBringsItBack) {
  EXPECT_GT(Purge(), 0u);
  EXPECT_TRUE(folder_.Exists(link_));
  EXPECT_EQ(QuarantineCount(), 0u);
}

// A client is sent away with "it is there" between plan and sweep: the registry
// writes the link anew, and nothing else.
TEST_F(PurgeProofTest, ALinkThatIsWrittenAnewAfterThePlanKeeps) {
  Begin(writers_);
  const Plan plan = MakePlan(Request());
  clock_.Advance(absl::Hours(1));
  tree_.Layer("app", "old");  // now, as file times say
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(D("old"))));
  EXPECT_EQ(StateOf(D("old")), index::NodeState::kPresent);
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kQuarantined);
  ExpectExact();
}

TEST_F(PurgeProofTest, AnUnknownCacheKeepsEverything) {
  Begin({absl::ZeroDuration(), index::DescriptorCache::kUnknown, ""});
  Prune();
  EXPECT_EQ(Purge(), 0u);
  EXPECT_THAT(why_, HasSubstr("may remember"));
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kQuarantined);
}

// A registry knows an upload by its files alone.
TEST_F(PurgeProofTest, NoCacheRemembersAnUpload) {
  tree_.Upload("app", "abandoned", "half of it");
  Begin({absl::ZeroDuration(), index::DescriptorCache::kUnknown, ""});
  Prune();
  const size_t held_count = QuarantineCount();
  EXPECT_EQ(Purge(), 1u);
  EXPECT_EQ(QuarantineCount(), held_count - 1);
  EXPECT_THAT(why_, HasSubstr("may remember"));
}

TEST_F(PurgeProofTest, ARegistryThatForgetsAtOnceProvesThatItHasNoCache) {
  BeginWithCache(index::DescriptorCache::kUnknown, false);
  Prune();
  EXPECT_GT(registry_.question_count, 1);
  clock_.Advance(absl::Seconds(1));
  EXPECT_GT(Purge(), 0u);
  EXPECT_EQ(QuarantineCount(), 0u);
}

TEST_F(PurgeProofTest, WhatARegistryRemembersStaysUntilItIsRestarted) {
  BeginWithCache(index::DescriptorCache::kMemory, true);
  Prune();
  clock_.Advance(absl::Hours(100));
  EXPECT_EQ(Purge(), 0u);
  EXPECT_THAT(why_, HasSubstr("may remember"));
  registry_.Restart();
  clock_.Advance(absl::Hours(1));
  EXPECT_GT(Purge(), 0u);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// The registry accepts a manifest over what it remembers, after the scan that
// began late enough, and nobody is told; then it is restarted.
class AcceptedFromMemoryTest : public PurgeProofTest {
 protected:
  void SweepAndAccept(index::DescriptorCache cache) {
    BeginWithCache(cache, true);
    Prune();
    tree_.Layer("app", "swept later");
    Age();
    clock_.Advance(absl::Hours(1));
    EXPECT_EQ(Purge(), 0u);
    EXPECT_THAT(why_, HasSubstr("may remember"));
    later_ = MakePlan(Request());
    manifest_ = tree_.Manifest("app", store::ImageText({D("base"), D("old")}));
    tree_.Tag("app", "late", manifest_);
    clock_.Advance(absl::Minutes(1));
    registry_.Restart();
  }
  void ExpectWhole() const {
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(D("old"))));
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(manifest_)));
    EXPECT_EQ(StateOf(D("old")), index::NodeState::kPresent);
  }
  Plan later_;
  oci::Digest manifest_;
};

TEST_F(AcceptedFromMemoryTest, ItIsFoundBeforeTheLossCounts) {
  SweepAndAccept(index::DescriptorCache::kMemory);
  EXPECT_GT(Purge(), 0u);
  ExpectWhole();
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kAbsent);
}

TEST_F(AcceptedFromMemoryTest, ASweepThatFindsNoCacheAnyMoreProvesNoLess) {
  SweepAndAccept(index::DescriptorCache::kUnknown);
  registry_.has_cache = false;
  ASSERT_THAT(Apply(later_), IsOk());
  EXPECT_EQ(StateOf(D("swept later")), index::NodeState::kQuarantined);
  clock_.Advance(absl::Minutes(1));
  EXPECT_GT(Purge(), 0u);
  ExpectWhole();
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kAbsent);
}

// It is not forgotten that the memory was lost while nothing was old enough.
TEST_F(PurgeProofTest, ALossIsRecordedForWhatGoesLater) {
  BeginWithCache(index::DescriptorCache::kMemory, true);
  Prune();
  registry_.Restart();
  PurgeRequest request;
  request.store = "s";
  const auto early = collector_->Purge(request, {});
  ASSERT_THAT(early, IsOk());
  EXPECT_EQ(early->item_count, 0u) << "the period has not ended";
  registry_.is_up = false;
  EXPECT_GT(Purge(), 0u);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// A cache that evicts may forget the canary and remember the rest.
TEST_F(PurgeProofTest, WhoMayForgetInPartProvesNothing) {
  BeginWithCache(index::DescriptorCache::kUnknown, true);
  Prune();
  registry_.Restart();
  EXPECT_EQ(Purge(), 0u);
  EXPECT_EQ(Purge(), 0u);
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kQuarantined);
}

// Two answers of two processes prove nothing: the second may have a cache that
// has only just been lost, and what moved after that may be in it.
TEST_F(PurgeProofTest, ARestartWithinTheSweepProvesNothing) {
  BeginWithCache(index::DescriptorCache::kMemory, true);
  PruneRequest request = Request();
  request.policy.batch_item_count = 1;
  const Plan plan = MakePlan(request);
  RunControl control;
  control.on_progress = [&](const gc::Run& run) {
    if (run.progress.step == "blobs") registry_.Restart();
  };
  ASSERT_THAT(Apply(plan, control), IsOk());
  EXPECT_EQ(Purge(), 0u);
}

TEST_F(PurgeProofTest, ARegistryThatIsDownProvesNothing) {
  BeginWithCache(index::DescriptorCache::kMemory, true);
  registry_.is_up = false;
  Prune();
  EXPECT_EQ(Purge(), 0u);
  registry_.is_up = true;
  EXPECT_EQ(Purge(), 0u) << "no canary was put out";
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kQuarantined);
}

// Where writers take their time.
class SlowWritersTest : public PurgeProofTest {
 protected:
  void BeginWith(absl::Duration write, bool has_cache) {
    registry_.has_cache = has_cache;
    Begin({write,
           has_cache ? index::DescriptorCache::kMemory
                     : index::DescriptorCache::kUnknown,
           "http://127.0.0.1:5000"});
  }
  // What is garbage besides.
  void SweepLayer(const std::string& bytes) {
    tree_.Layer("app", bytes);
    Age();
    Scan();
    clock_.Advance(absl::Seconds(1));
    last_ = Prune().id;
    ASSERT_EQ(StateOf(D(bytes)), index::NodeState::kQuarantined);
  }
  // Time passes while a purge waits for writers.
  RunControl Patience(absl::Duration wait) {
    RunControl control;
    control.on_progress = [this, wait](const gc::Run& run) {
      if (run.phase != RunPhase::kRunning ||
          run.progress.step != "waiting for writers") {
        return;
      }
      clock_.Advance(wait);
      ++wait_count_;
    };
    return control;
  }
  std::string last_;
  int wait_count_ = 0;
};

// What was accepted over a memory, while the sweep went on, is not written yet.
TEST_F(SlowWritersTest, AScanProvesOnceTheyAreDoneSinceTheAnswer) {
  BeginWith(absl::Minutes(1), false);
  bool has_passed = false;
  RunControl control;
  control.on_progress = [&](const gc::Run& run) {
    if (run.progress.step != "blobs" || has_passed) return;
    has_passed = true;
    clock_.Advance(absl::Minutes(10));
  };
  ASSERT_THAT(Apply(MakePlan(Request()), control), IsOk());
  ASSERT_TRUE(has_passed);
  EXPECT_EQ(Purge(), 0u);
  EXPECT_THAT(why_, HasSubstr("no scan began after"));
  clock_.Advance(absl::Minutes(1));
  EXPECT_GT(Purge(), 0u);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// Every sweep finds anew that there is no cache.  None of that takes from what
// an earlier one found, or nothing would ever be freed.
TEST_F(SlowWritersTest, SweepsThatComeAsOftenPutOffNoProof) {
  BeginWith(absl::Hours(1), false);
  uint64_t freed_count = 0;
  for (int hour = 0; hour < 5; ++hour) {
    SweepLayer(absl::StrCat("of hour ", hour));
    freed_count += Purge();
    clock_.Advance(absl::Hours(1) - absl::Seconds(1));
  }
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kAbsent);
  EXPECT_EQ(StateOf(D("of hour 3")), index::NodeState::kAbsent);
  EXPECT_EQ(StateOf(D("of hour 4")), index::NodeState::kQuarantined);
  EXPECT_GT(freed_count, 5u);
}

// A purge after each sweep of the night, and no scan between the two.
TEST_F(SlowWritersTest, ASweepRightBeforeEachPurgePutsOffNoProof) {
  BeginWith(absl::Minutes(1), false);
  SweepLayer("of the first night");
  EXPECT_EQ(Purge(), 0u);
  clock_.Advance(absl::Hours(24));
  SweepLayer("of the second night");
  EXPECT_GT(Purge(), 0u);
  EXPECT_EQ(StateOf(D("of the first night")), index::NodeState::kAbsent);
  EXPECT_EQ(StateOf(D("of the second night")), index::NodeState::kQuarantined);
}

// A registry that has lost its memory, and may still write: the purge waits,
// whatever it was asked, and a scan that began earlier proves no loss.
TEST_F(SlowWritersTest, ALossCountsFromAScanAfterTheWait) {
  BeginWith(absl::Milliseconds(1), true);
  Prune();
  clock_.Advance(absl::Hours(1));
  registry_.Restart();
  EXPECT_EQ(Purge(Patience(absl::Microseconds(999))), 0u);
  EXPECT_EQ(wait_count_, 1);
  EXPECT_THAT(why_, HasSubstr("may remember"));
  EXPECT_GT(Purge(Patience(absl::Milliseconds(1))), 0u);
  EXPECT_EQ(wait_count_, 2);
  EXPECT_EQ(QuarantineCount(), 0u);
}

TEST_F(SlowWritersTest, APurgeThatIsCancelledWhileItWaitsRecordsNoLoss) {
  BeginWith(absl::Hours(1), true);
  Prune();
  const size_t count = QuarantineCount();
  clock_.Advance(absl::Hours(2));
  registry_.Restart();
  RunControl control = Patience(absl::ZeroDuration());
  control.is_cancelled = [this] { return wait_count_ > 0; };
  EXPECT_EQ(Purge(control), 0u);
  EXPECT_EQ(wait_count_, 1);
  EXPECT_EQ(QuarantineCount(), count);
  // It would free what is older than the loss, were that on record.
  registry_.is_up = false;
  EXPECT_EQ(Purge(), 0u);
  EXPECT_THAT(why_, HasSubstr("may remember"));
}

// Nothing depends on a later loss, so no scan follows it: what an earlier one
// has proven is proven still.
TEST_F(SlowWritersTest, ALaterLossTakesNoProofBack) {
  BeginWith(absl::Milliseconds(1), true);
  Prune();
  clock_.Advance(absl::Hours(1));
  registry_.Restart();
  PurgeRequest early;
  early.store = "s";
  ASSERT_THAT(collector_->Purge(early, Patience(absl::Milliseconds(1))),
              IsOk());
  ASSERT_EQ(wait_count_, 1) << "the loss is on record";
  clock_.Advance(absl::Hours(1));
  SweepLayer("swept later");
  // It comes back, and a client deletes it.
  ASSERT_THAT(RestoreRun(last_), IsOk());
  folder_.Remove(
      absl::StrCat("docker/registry/v2/repositories/app/_layers/sha256/",
                   D("swept later").hex()));
  registry_.Restart();
  EXPECT_GT(Purge(Patience(absl::ZeroDuration())), 0u);
  EXPECT_EQ(wait_count_, 1) << "nor was there one to wait for";
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kAbsent);
}

// Evidence outlives the daemon.
TEST_F(PurgeProofTest, CanariesAreDurable) {
  BeginWithCache(index::DescriptorCache::kMemory, true);
  Prune();
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Purge(), 0u);
  Restart();
  collector_.reset();
  auto collector = Collector::Create(graph_.get(), &clock_, &random_, nullptr);
  ASSERT_THAT(collector, IsOk());
  collector_ = *std::move(collector);
  collector_->SetRegistryWitness(&registry_);
  ASSERT_THAT(collector_->AttachStore("s", store_.get()), IsOk());
  ASSERT_THAT(collector_->Recover(), IsOk());
  registry_.Restart();
  EXPECT_GT(Purge(), 0u);
}

// The registry had the tag's link open when its folder was moved.
TEST_F(PurgeProofTest, ATagThatWasWrittenWhileItMovedComesBack) {
  tree_.Tag("app", "stale", old_);
  Begin(writers_);
  PruneRequest request = Request(PruneVerb::kAllImages);
  request.only_references = {"app:stale"};
  const auto run = Apply(MakePlan(request));
  ASSERT_THAT(run, IsOk());
  ASSERT_FALSE(HasTag("app", "stale"));
  const std::string moved = absl::StrCat(
      ".reclaim/quarantine/", run->id,
      "/tree/docker/registry/v2/repositories/app/_manifests/tags/stale/",
      "current/link");
  ASSERT_TRUE(folder_.Exists(moved));
  folder_.Write(moved, live_.ToString());
  Purge();
  EXPECT_TRUE(HasTag("app", "stale"));
  EXPECT_EQ(folder_.Read("docker/registry/v2/repositories/app/_manifests/tags/"
                         "stale/current/link"),
            live_.ToString());
  // What else was in quarantine had no proof in that run; now it has.
  EXPECT_GT(Purge(), 0u);
  EXPECT_EQ(QuarantineCount(), 0u);
}

}  // namespace
}  // namespace reclaim::gc
