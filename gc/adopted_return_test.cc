// The database is lost while something lies in quarantine; then it is named.

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using index::NodeState;
using ::reclaim::base::IsOk;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

class AdoptedReturnTest : public CollectorFixture {
 protected:
  // Each in a run of its own.
  void LoseDatabaseWith(const std::vector<std::string>& images) {
    tree_.Image("app", "keep", {"base", "new"});
    Open(store::StoreKind::kRegistry);
    Scan();
    for (const std::string& image : images) {
      std::vector<std::string> layers = {absl::StrCat("config of ", image),
                                         image};
      if (repository_ != "app") layers.push_back("base");
      manifests_.push_back(tree_.Image(repository_, "", layers));
      text_ = folder_.Read(tree_.BlobPath(manifests_.back()));
      Age();
      Scan();
      Prune();
      ASSERT_FALSE(folder_.Exists(tree_.BlobPath(manifests_.back())));
    }
    options_.earlier_database = "there was one";
    collector_.reset();
    graph_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
    Scan();
    ASSERT_EQ(StateOf(manifests_[0]), NodeState::kAbsent);
  }
  bool IsHere(const oci::Digest& digest) const {
    return folder_.Exists(tree_.BlobPath(digest));
  }
  void ExpectWhole(const oci::Digest& manifest, const std::string& image) {
    for (const oci::Digest& digest :
         {manifest, D(absl::StrCat("config of ", image)), D(image)}) {
      EXPECT_TRUE(IsHere(digest)) << digest.ToString();
      EXPECT_EQ(StateOf(digest), NodeState::kPresent);
    }
    for (const std::string& layer :
         {image, absl::StrCat("config of ", image)}) {
      EXPECT_TRUE(folder_.Exists(tree_.LayerLink(repository_, D(layer))))
          << layer;
    }
  }
  // A writer of ours names it, and so does the store, which no scan has read.
  void NameUnseen(const oci::Digest& manifest) {
    tree_.Tag(repository_, "late", manifest);
    index::PutTag tag;
    tag.store = "s";
    tag.repository = repository_;
    tag.tag = "late";
    tag.digest = manifest;
    ASSERT_THAT(Record({tag}), IsOk());
  }

  store::RegistryTree tree_{&folder_};
  std::string repository_ = "app";  // any other one shares a layer with it
  std::vector<oci::Digest> manifests_;
  std::string text_;  // of the last one
};

TEST_F(AdoptedReturnTest, AnIndexThatNamesAManifestBringsItBackWhole) {
  LoseDatabaseWith({"old"});
  tree_.Tag("app", "late",
            tree_.Manifest("app", store::IndexText({manifests_[0]})));
  Scan();
  ExpectWhole(manifests_[0], "old");
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  ASSERT_THAT(PurgeNow(), IsOk());
  ExpectWhole(manifests_[0], "old");
  EXPECT_EQ(QuarantineCount(), 0u);
}

TEST_F(AdoptedReturnTest, AManifestBringsTheLayerBackThatItShares) {
  LoseDatabaseWith({"old"});
  tree_.Blob("another config");
  tree_.Layer("app", "another config");
  tree_.Tag(
      "app", "late",
      tree_.Manifest("app", store::ImageText({D("another config"), D("old")})));
  Scan();
  EXPECT_TRUE(IsHere(D("old")));
  EXPECT_EQ(StateOf(D("old")), NodeState::kPresent);
  EXPECT_EQ(StateOf(manifests_[0]), NodeState::kAbsent) << "nothing names it";
  EXPECT_FALSE(IsHere(manifests_[0]));
}

// It stays in quarantine for as long, and the scan does not begin again for it.
TEST_F(AdoptedReturnTest, AScanEndsWhereSomethingLiesInTheWay) {
  LoseDatabaseWith({"old"});
  tree_.Tag("app", "late",
            tree_.Manifest("app", store::IndexText({manifests_[0]})));
  const std::string path = tree_.BlobPath(manifests_[0]);
  folder_.Write(path + "/in/the/way", "x");
  std::atomic<int> polls{0};
  RunControl control;
  control.is_cancelled = [&polls] { return ++polls > 10'000; };
  ASSERT_THAT(collector_->Scan("s", false, "test", control), IsOk());
  ASSERT_LE(polls, 10'000) << "it went on and on";
  EXPECT_TRUE(folder_.Exists(path + "/in/the/way"));
  EXPECT_EQ(StateOf(manifests_[0]), NodeState::kAbsent);
  EXPECT_GT(QuarantineCount(), 0u);
  // The folder of the blob is what goes and comes back.
  folder_.Remove(tree_.BlobFolder(manifests_[0]));
  Scan();
  ExpectWhole(manifests_[0], "old");
}

TEST_F(AdoptedReturnTest, APurgeBringsBackWhatItsOwnScanFindsNamed) {
  writers_.write_duration_max = absl::Minutes(1);
  LoseDatabaseWith({"old", "older"});
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  clock_.Advance(absl::Minutes(2));  // the scans so far prove nothing
  tree_.Tag("app", "late",
            tree_.Manifest("app", store::IndexText({manifests_[0]})));
  ASSERT_THAT(PurgeNow(), IsOk());
  ExpectWhole(manifests_[0], "old");
  EXPECT_FALSE(IsHere(manifests_[1]));
  EXPECT_EQ(QuarantineCount(), 0u);
}

// A writer of ours names one while the purge is at work: what that is made of
// nobody knows yet, so the rest of its place stays.
TEST_F(AdoptedReturnTest, WhatIsNamedDuringAPurgeStaysWhole) {
  LoseDatabaseWith({"old", "older"});
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  std::string left;
  RunControl control;
  control.on_progress = [&](const gc::Run& run) {
    if (run.progress.step != "purging" || run.progress.done_count == 0 ||
        !left.empty()) {
      return;
    }
    const std::string snapshot = folder_.Snapshot();
    for (const char* image : {"old", "older"}) {
      if (snapshot.find(D(image).hex()) != std::string::npos) left = image;
    }
    if (left.empty()) return;
    index::PutTag tag;
    tag.store = "s";
    tag.repository = "app";
    tag.tag = "late";
    tag.digest = manifests_[left == "old" ? 0 : 1];
    EXPECT_THAT(Record({tag}), IsOk());
  };
  PurgeRequest request;
  request.store = "s";
  request.before_period_ends = true;
  request.actor = "test";
  ASSERT_THAT(collector_->Purge(request, control), IsOk());
  ASSERT_FALSE(left.empty()) << "each run is a batch of its own";
  // The store tells of no such tag, so it is told once more.
  const oci::Digest manifest = manifests_[left == "old" ? 0 : 1];
  tree_.Tag("app", "late", tree_.Manifest("app", store::IndexText({manifest})));
  Scan();
  ExpectWhole(manifest, left);
}

// Somebody pushed it again: the store's own copy has to be read like one that
// comes back.
TEST_F(AdoptedReturnTest, APurgeReadsTheStoresOwnCopyOfWhatIsNamed) {
  LoseDatabaseWith({"old"});
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  ASSERT_EQ(tree_.Manifest("app", text_), manifests_[0]);
  NameUnseen(manifests_[0]);
  ASSERT_THAT(PurgeNow(), IsOk());
  ExpectWhole(manifests_[0], "old");
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
}

// The layer never went, so only the manifest's bytes say that its repository
// needs the link.
TEST_F(AdoptedReturnTest, APurgeBringsBackTheLinksOfWhatItBringsBack) {
  repository_ = "lib";
  LoseDatabaseWith({"old"});
  const std::string link = tree_.LayerLink("lib", D("base"));
  ASSERT_FALSE(folder_.Exists(link));
  ASSERT_TRUE(IsHere(D("base")));
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  NameUnseen(manifests_[0]);
  ASSERT_THAT(PurgeNow(), IsOk());
  ExpectWhole(manifests_[0], "old");
  EXPECT_TRUE(folder_.Exists(link));
  EXPECT_EQ(QuarantineCount(), 0u);
}

// It was pushed again before the database was lost, and a power cut tore it.
TEST_F(AdoptedReturnTest, OtherBytesInItsPlaceFreeNothing) {
  LoseDatabaseWith({"old"});
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  tree_.Image("app", "late", {"config of old", "old"});
  const std::string path = tree_.BlobPath(D("old"));
  folder_.Write(path, "odd");
  Age();
  Scan();
  ASSERT_EQ(StateOf(D("old")), NodeState::kPresent);
  for (int i = 0; i < 2; ++i) {
    const auto purged = PurgeNow();
    ASSERT_THAT(purged, IsOk());
    EXPECT_EQ(purged->phase, RunPhase::kPartial);
    EXPECT_THAT(
        purged->problems,
        testing::ElementsAre(testing::HasSubstr("stays in quarantine")));
    EXPECT_EQ(QuarantineCount(), 1u);
  }
  folder_.Remove(tree_.BlobFolder(D("old")));
  Scan();
  ExpectWhole(manifests_[0], "old");
  EXPECT_EQ(folder_.Read(path), "old");
  EXPECT_EQ(QuarantineCount(), 0u);
}

// Pushed anew, and garbage once more: what lies in quarantine with a node is
// what a reference gives back, and what was found there is a second copy of it.
class AdoptedBesideTheFirstTest : public AdoptedReturnTest {
 protected:
  // Until what was found is due, and the other one is not.
  void CollectAnew(const std::string& bytes) {
    LoseDatabaseWith({"old"});
    ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
    clock_.Advance(absl::Hours(12));
    ASSERT_EQ(tree_.Image("app", "late", {"config of old", "old"}),
              manifests_[0]);
    folder_.Write(tree_.BlobPath(D("old")), bytes);
    Age();
    Scan();
    ASSERT_EQ(StateOf(D("old")), NodeState::kPresent);
    folder_.Remove("docker/registry/v2/repositories/app/_manifests/tags/late");
    Scan();
    Prune();
    ASSERT_EQ(StateOf(D("old")), NodeState::kQuarantined);
    ASSERT_EQ(CopyCount(), 2u);
    clock_.Advance(absl::Hours(13));
  }
  gc::Run PurgeWhatIsDue() {
    PurgeRequest request;
    request.store = "s";
    request.actor = "test";
    const auto purged = collector_->Purge(request, {});
    EXPECT_THAT(purged, IsOk());
    ExpectExact();
    return purged.ok() ? *purged : gc::Run();
  }
  size_t CopyCount() const {
    const auto entries = collector_->FindQuarantined("s", "", D("old"));
    EXPECT_THAT(entries, IsOk());
    if (!entries.ok()) return 0;
    size_t count = 0;
    for (const QuarantineEntry& entry : *entries) {
      if (entry.item.removal->kind == store::RemovalKind::kBlob) ++count;
    }
    return count;
  }
};

TEST_F(AdoptedBesideTheFirstTest, ItGoesOnceThatOneIsRead) {
  CollectAnew("old");
  EXPECT_EQ(PurgeWhatIsDue().phase, RunPhase::kSucceeded);
  EXPECT_EQ(CopyCount(), 1u);
  EXPECT_EQ(StateOf(D("old")), NodeState::kQuarantined);
  tree_.Tag("app", "late", tree_.Manifest("app", text_));
  Scan();
  ExpectWhole(manifests_[0], "old");
}

// A power cut tore the later one, and nobody has read it since.
TEST_F(AdoptedBesideTheFirstTest, ItStaysBesideOneThatIsTorn) {
  CollectAnew("odd");
  for (int i = 0; i < 2; ++i) {
    const gc::Run purged = PurgeWhatIsDue();
    ASSERT_EQ(purged.skipped.size(), 1u);
    EXPECT_EQ(purged.skipped[0].reason, SkipReason::kProofMissing);
    EXPECT_THAT(purged.skipped[0].detail, testing::HasSubstr("holds sha256:"));
    EXPECT_EQ(CopyCount(), 2u);
  }
  // The torn one goes in its time, and this one is the only one.
  clock_.Advance(absl::Hours(12));
  PurgeWhatIsDue();
  EXPECT_EQ(StateOf(D("old")), NodeState::kAbsent);
  EXPECT_EQ(CopyCount(), 1u);
  tree_.Blob("another config");
  tree_.Layer("app", "another config");
  tree_.Tag(
      "app", "late",
      tree_.Manifest("app", store::ImageText({D("another config"), D("old")})));
  Scan();
  EXPECT_EQ(folder_.Read(tree_.BlobPath(D("old"))), "old");
  EXPECT_EQ(StateOf(D("old")), NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// A layout at the root, whose place is "", as that of who holds content
// wherever it is; in it another one, whose copy of the same image lies in
// quarantine.
class AdoptedBesideTheRootTest : public CollectorFixture {
 protected:
  void SetUp() override {
    image_ = root_.Image({"held"});
    root_.Entry(image_, "v1");
    inner_.Entry(inner_.Image({"named"}), "v1");
    ASSERT_EQ(inner_.Image({"held"}), image_);
    Open(store::StoreKind::kImageLayout);
    Scan();
    Prune();
    ASSERT_EQ(StateOf(image_, "b"), NodeState::kQuarantined);
    options_.earlier_database = "there was one";
    collector_.reset();
    graph_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
    Scan();
    ASSERT_EQ(StateOf(image_), NodeState::kPresent);
  }
  index::Target Anywhere() const {
    index::Target target;
    target.content = index::ContentName{"s", "", image_};
    return target;
  }
  void ExpectAway() {
    Scan();
    EXPECT_NE(StateOf(image_, "b"), NodeState::kPresent);
    EXPECT_EQ(QuarantineCount(), count_);
  }
  void ExpectBack() {
    Scan();
    for (const oci::Digest& digest : {image_, D("held")}) {
      EXPECT_EQ(StateOf(digest, "b"), NodeState::kPresent);
      EXPECT_TRUE(folder_.Exists("b/blobs/sha256/" + digest.hex()));
    }
    EXPECT_EQ(QuarantineCount(), 0u);
  }

  store::LayoutTree root_{&folder_, ""};
  store::LayoutTree inner_{&folder_, "b"};
  oci::Digest image_;
  size_t count_ = 3;  // manifest, config, layer
};

TEST_F(AdoptedBesideTheRootTest, APinOfAnyCopyBringsItBack) {
  index::PutPin pin;
  pin.store = "s";
  pin.id = "p";
  pin.target = Anywhere();
  ASSERT_THAT(Record({pin}), IsOk());
  ExpectBack();
}

TEST_F(AdoptedBesideTheRootTest, ALeaseOfAnyCopyBringsItBack) {
  index::PutLease lease;
  lease.store = "s";
  lease.id = "l";
  lease.targets.push_back(Anywhere());
  ASSERT_THAT(Record({lease}), IsOk());
  ExpectBack();
}

TEST_F(AdoptedBesideTheRootTest, AContainerOfAnyCopyBringsItBack) {
  index::PutContainer container;
  container.store = "s";
  container.id = "c";
  container.image = image_;
  ASSERT_THAT(Record({container}), IsOk());
  ExpectBack();
}

// The root's own names mean the root's own copy.
TEST_F(AdoptedBesideTheRootTest, WhoNamesTheRootsCopyLeavesItWhereItIs) {
  ASSERT_NO_FATAL_FAILURE(ExpectAway());
  root_.Entry(image_, "v2");
  root_.Entry(root_.Blob(store::IndexText({image_})), "all");
  ASSERT_NO_FATAL_FAILURE(ExpectAway());
}

TEST_F(AdoptedBesideTheRootTest, WhoHeldItOnceLeavesItWhereItIs) {
  index::PutPin pin;
  pin.store = "s";
  pin.id = "p";
  pin.target = Anywhere();
  ASSERT_THAT(Record({pin}), IsOk());
  ASSERT_THAT(Record({index::RemoveNamed{"s", index::NodeKind::kPin, "", "p"}}),
              IsOk());
  ExpectAway();
}

}  // namespace
}  // namespace reclaim::gc
