// What comes back with what (gc/restore.h), and what lies in its way.

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/fault_point.h"
#include "gc/audit.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/run.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using index::NodeState;
using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class RestoreTest : public CollectorFixture {
 protected:
  // An image without a name, of a config and two layers.
  RestoreTest() {
    image_ = tree_.Image("app", "", {"base", "own"});
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  absl::Status HoldLayer() {
    index::PutLease lease;
    lease.store = "s";
    lease.id = "hold";
    index::Target target;
    target.content = index::ContentName{"s", "", layer_};
    lease.targets.push_back(target);
    return Record({lease});
  }
  absl::Status LetGo() {
    return Record(
        {index::RemoveNamed{"s", index::NodeKind::kLease, "", "hold"}});
  }

  // What came back goes again, with a run of its own.
  void TakeLayerAgain() {
    ASSERT_THAT(HoldLayer(), IsOk());
    ASSERT_EQ(StateOf(layer_), NodeState::kPresent)
        << "a reference restores (I4)";
    ASSERT_THAT(LetGo(), IsOk());
    ASSERT_EQ(Prune().blob_count, 1u);
    ASSERT_EQ(StateOf(layer_), NodeState::kQuarantined);
  }
  absl::Status PinImage() {
    index::PutPin pin;
    pin.store = "s";
    pin.id = "p";
    pin.target.content = index::ContentName{"s", "", image_};
    return Record({pin});
  }
  // Where a blob's file belongs, something else.
  void PutInTheWay(const oci::Digest& digest, const std::string& bytes) {
    folder_.Write(tree_.BlobPath(digest), bytes);
  }
  void ClearTheWay(const oci::Digest& digest) {
    folder_.Remove(tree_.BlobFolder(digest));
  }
  // That it stays where it is until the way is free, whatever comes.
  void ExpectKept(const oci::Digest& digest, const std::string& run,
                  const std::string& bytes) {
    const auto restored = RestoreRun(run);
    ASSERT_THAT(restored, IsOk());
    EXPECT_EQ(restored->problems.size(), 1u);
    EXPECT_THAT(restored->problems,
                testing::Contains(HasSubstr("is no copy of it")));
    EXPECT_EQ(StateOf(digest), NodeState::kQuarantined);
    // Twice, for the second could rely on the first.
    Scan();
    Scan();
    EXPECT_THAT(collector_->KeptScopes("s"), SizeIs(1));
    EXPECT_EQ(StateOf(digest), NodeState::kQuarantined);
    clock_.Advance(absl::Hours(48));
    ASSERT_THAT(PurgeNow(), IsOk());
    EXPECT_EQ(StateOf(digest), NodeState::kQuarantined);
    ClearTheWay(digest);
    ASSERT_THAT(RestoreRun(run), IsOk());
    EXPECT_EQ(StateOf(digest), NodeState::kPresent);
    EXPECT_EQ(folder_.Read(tree_.BlobPath(digest)), bytes);
    Scan();
    EXPECT_THAT(collector_->KeptScopes("s"), IsEmpty());
    EXPECT_EQ(QuarantineCount(), 0u);
  }

  // Of the layer, in "app".
  std::string Link() const { return tree_.LayerLink("app", layer_); }
  std::string LinkFolder() const {
    return std::filesystem::path(Link()).parent_path().string();
  }
  // Where the layer's link belongs, something that is none.  A scan does not
  // mind it: a folder without a link is what a deletion leaves.
  void PutInTheWayOfLink() { folder_.Write(LinkFolder() + "/what", "?"); }
  bool IsLinked() const {
    const index::NodeId layer = Find(layer_);
    const auto reader = graph_->Read();
    const index::GraphView& view = reader->view();
    const index::NodeId repository =
        view.FindNamed({index::NodeKind::kRepository, id_, "", "app"});
    return view.LinkedAt(repository, layer, store::MembershipKind::kLayer)
        .has_value();
  }

  const store::RegistryTree tree_{&folder_};
  oci::Digest image_;
  const oci::Digest layer_ = oci::Digest::Sha256Of("base");
  const oci::Digest own_ = oci::Digest::Sha256Of("own");
};

// A layer that came back was taken by another run: half an image would be of no
// use, so the layer comes with it.
TEST_F(RestoreTest, ARunComesBackWithWhatItsImagesAreMadeOf) {
  const gc::Run first = Prune();
  ASSERT_EQ(StateOf(layer_), NodeState::kQuarantined);
  TakeLayerAgain();
  ASSERT_THAT(RestoreRun(first.id), IsOk());
  EXPECT_EQ(StateOf(image_), NodeState::kPresent);
  EXPECT_EQ(StateOf(layer_), NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
}

TEST_F(RestoreTest, ARunComesBackWithoutTheRestOfAnother) {
  const oci::Digest stray = oci::Digest::Sha256Of("stray");
  const gc::Run first = Prune();
  tree_.Blob("stray");
  Age();
  Scan();
  Prune();
  ASSERT_EQ(StateOf(stray), NodeState::kQuarantined);
  ASSERT_THAT(RestoreRun(first.id), IsOk());
  EXPECT_EQ(StateOf(image_), NodeState::kPresent);
  EXPECT_EQ(StateOf(stray), NodeState::kQuarantined);
}

// A signature of a later run stays, and so does the link to it, which would
// lead nowhere.
TEST_F(RestoreTest, ALinkStaysWhereItsContentStays) {
  const gc::Run first = Prune();
  ASSERT_EQ(StateOf(image_), NodeState::kQuarantined);
  const oci::Digest signature = tree_.Image("app", "", {"signature"}, image_);
  Age();
  Scan();
  Prune();
  ASSERT_EQ(StateOf(signature), NodeState::kQuarantined);
  ASSERT_THAT(RestoreRun(first.id), IsOk());
  const size_t left = QuarantineCount();
  Scan();
  EXPECT_EQ(StateOf(image_), NodeState::kPresent);
  EXPECT_EQ(StateOf(signature), NodeState::kQuarantined);
  EXPECT_EQ(QuarantineCount(), left);
  EXPECT_FALSE(folder_.Exists(tree_.RevisionLink("app", signature)));
}

// A purge judges the link of what it must not free as that: else the content
// would come back and be served by nobody.
TEST_F(RestoreTest, APurgeLeavesTheLinkOfWhatItLeaves) {
  const gc::Run first = Prune();
  const oci::Digest signature = tree_.Image("app", "", {"signature"}, image_);
  Age();
  Scan();
  const gc::Run second = Prune();
  ASSERT_EQ(StateOf(signature), NodeState::kQuarantined);
  ASSERT_THAT(RestoreRun(first.id), IsOk());
  ASSERT_THAT(PinImage(), IsOk());
  ASSERT_THAT(PurgeNow(), IsOk());
  const auto restored = RestoreRun(second.id);
  EXPECT_TRUE(restored.ok() || absl::IsNotFound(restored.status()))
      << restored.status();
  Scan();
  EXPECT_EQ(StateOf(signature), NodeState::kPresent);
  EXPECT_TRUE(folder_.Exists(tree_.RevisionLink("app", signature)));
}

// A power cut leaves such files: a writer who did not wait for the disk.
TEST_F(RestoreTest, ATruncatedFileInItsPlaceIsNoCopy) {
  const gc::Run run = Prune();
  PutInTheWay(layer_, "ba");
  ExpectKept(layer_, run.id, "base");
}

TEST_F(RestoreTest, OtherBytesOfTheSameSizeAreNoCopy) {
  const gc::Run run = Prune();
  PutInTheWay(layer_, "bass");
  ExpectKept(layer_, run.id, "base");
}

TEST_F(RestoreTest, OfALargeFileTheSizeTells) {
  const std::string large(1 << 20, 'x');
  const oci::Digest digest = tree_.Blob(large);
  Age();
  Scan();
  const gc::Run run = Prune();
  ASSERT_EQ(StateOf(digest), NodeState::kQuarantined);
  PutInTheWay(digest, large.substr(0, large.size() / 2));
  ExpectKept(digest, run.id, large);
}

// A power cut tore the one that was collected, and somebody pushed it anew.
TEST_F(RestoreTest, AWholeFileStandsForATornOneInQuarantine) {
  const std::string large(1 << 20, 'x');
  const oci::Digest digest = tree_.Blob(large);
  folder_.Write(tree_.BlobPath(digest), large.substr(0, large.size() / 2));
  Age();
  Scan();
  const gc::Run run = Prune();
  ASSERT_EQ(StateOf(digest), NodeState::kQuarantined);
  PutInTheWay(digest, large);
  const auto restored = RestoreRun(run.id);
  ASSERT_THAT(restored, IsOk());
  EXPECT_THAT(restored->problems, IsEmpty());
  EXPECT_EQ(StateOf(digest), NodeState::kPresent);
  EXPECT_EQ(folder_.Read(tree_.BlobPath(digest)), large);
}

// The size alone frees nothing: before the copy in quarantine goes, the other
// one is read.  What lies in its way is moved away by hand, and it comes back.
TEST_F(RestoreTest, OtherBytesOfALargeSizeFreeNothing) {
  const std::string large(1 << 20, 'x');
  const oci::Digest digest = oci::Digest::Sha256Of(large);
  tree_.Image("app", "", {"base", large});
  Age();
  Scan();
  const gc::Run run = Prune();
  ASSERT_EQ(StateOf(digest), NodeState::kQuarantined);
  PutInTheWay(digest, std::string(large.size(), 'y'));
  ASSERT_THAT(RestoreRun(run.id), IsOk());
  EXPECT_EQ(QuarantineCount(), 1u) << "a second copy";
  for (int i = 0; i < 2; ++i) {
    const auto purged = PurgeNow();
    ASSERT_THAT(purged, IsOk());
    EXPECT_EQ(purged->phase, RunPhase::kPartial);
    EXPECT_THAT(purged->problems,
                testing::ElementsAre(HasSubstr("stays in quarantine")));
    EXPECT_EQ(QuarantineCount(), 1u);
  }
  ClearTheWay(digest);
  Scan();
  EXPECT_EQ(StateOf(digest), NodeState::kPresent);
  EXPECT_EQ(folder_.Read(tree_.BlobPath(digest)), large);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// The first one has become garbage in its turn.
TEST_F(RestoreTest, ASecondCopyGoesBeforeTheFirst) {
  const gc::Run run = Prune();
  PutInTheWay(layer_, "base");
  ASSERT_THAT(RestoreRun(run.id), IsOk());
  ASSERT_EQ(QuarantineCount(), 1u);
  Age();
  Scan();
  Prune();
  ASSERT_EQ(StateOf(layer_), NodeState::kQuarantined);
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->phase, RunPhase::kSucceeded);
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_EQ(StateOf(layer_), NodeState::kAbsent);
}

// The first one was collected in its turn, and may come back for as long as its
// own period says.
class SecondCopyTest : public RestoreTest {
 public:
  // Until the second copy alone is due.
  void CollectBoth() {
    const gc::Run run = Prune();
    clock_.Advance(absl::Hours(12));
    PutInTheWay(layer_, "base");
    ASSERT_THAT(RestoreRun(run.id), IsOk());
    ASSERT_EQ(QuarantineCount(), 1u);
    Age();
    Scan();
    later_ = Prune().id;
    ASSERT_EQ(StateOf(layer_), NodeState::kQuarantined);
    clock_.Advance(absl::Hours(13));
  }
  std::string PathOfFirst() {
    return absl::StrCat(".reclaim/quarantine/", later_, "/tree/",
                        tree_.BlobPath(layer_));
  }
  gc::Run PurgeWhatIsDue() {
    PurgeRequest request;
    request.store = "s";
    request.actor = "test";
    const auto purged = collector_->Purge(request, {});
    EXPECT_THAT(purged, IsOk());
    return purged.value_or(gc::Run());
  }
  // What is there of the layer, in quarantine and in the store, is whole.
  void ExpectFirstComesBack() {
    ASSERT_THAT(RestoreRun(later_), IsOk());
    EXPECT_EQ(StateOf(layer_), NodeState::kPresent);
    EXPECT_EQ(folder_.Read(tree_.BlobPath(layer_)), "base");
    ExpectExact();
  }

  std::string later_;
};

TEST_F(SecondCopyTest, GoesOnceTheFirstIsReadInQuarantine) {
  CollectBoth();
  const size_t count = QuarantineCount();
  const gc::Run purged = PurgeWhatIsDue();
  EXPECT_EQ(purged.phase, RunPhase::kSucceeded);
  EXPECT_THAT(purged.skipped, IsEmpty());
  EXPECT_EQ(QuarantineCount(), count - 1);
  EXPECT_EQ(StateOf(layer_), NodeState::kQuarantined);
  ExpectExact();
  ExpectFirstComesBack();
}

TEST_F(SecondCopyTest, StaysBesideAFirstThatIsTorn) {
  CollectBoth();
  const size_t count = QuarantineCount();
  folder_.Write(PathOfFirst(), "bas");
  const gc::Run purged = PurgeWhatIsDue();
  ASSERT_THAT(purged.skipped, SizeIs(1));
  EXPECT_EQ(purged.skipped[0].reason, SkipReason::kProofMissing);
  EXPECT_THAT(purged.skipped[0].detail, HasSubstr("holds sha256:"));
  EXPECT_EQ(QuarantineCount(), count);
  // Both are due by then, of two runs: the torn one goes, and this one is the
  // only one, with a period of its own.
  clock_.Advance(absl::Hours(12));
  PurgeWhatIsDue();
  EXPECT_EQ(StateOf(layer_), NodeState::kAbsent);
  EXPECT_EQ(QuarantineCount(), 1u);
  PurgeWhatIsDue();
  EXPECT_EQ(QuarantineCount(), 1u);
  ExpectExact();
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(PurgeWhatIsDue().phase, RunPhase::kSucceeded);
  EXPECT_EQ(QuarantineCount(), 0u);
}

class FullAudit final : public DeletionAudit {
 public:
  absl::Status Record(const DeletionRecord&) override {
    return absl::ResourceExhaustedError("the audit log is full");
  }
};

// A purge of it that breaks off has freed nothing, and leaves it what it was:
// what is named comes back as the first, so that one is read once more.
class BrokenOffPurgeTest : public SecondCopyTest {
 public:
  void ExpectStillSecond() {
    const size_t count = QuarantineCount();
    ExpectExact();
    folder_.Write(PathOfFirst(), "bas");
    const gc::Run purged = PurgeWhatIsDue();
    ASSERT_THAT(purged.skipped, SizeIs(1));
    EXPECT_EQ(purged.skipped[0].reason, SkipReason::kProofMissing);
    EXPECT_EQ(QuarantineCount(), count);
    folder_.Write(PathOfFirst(), "base");
    EXPECT_EQ(PurgeWhatIsDue().phase, RunPhase::kSucceeded);
    EXPECT_EQ(QuarantineCount(), count - 1);
    EXPECT_EQ(StateOf(layer_), NodeState::kQuarantined);
    ExpectExact();
    ExpectFirstComesBack();
    EXPECT_EQ(QuarantineCount(), 0u);
  }
};

TEST_F(BrokenOffPurgeTest, ItDies) {
  CollectBoth();
  const size_t count = QuarantineCount();
  {
    base::ScopedFault death("purge.after_intent", absl::AbortedError("death"));
    EXPECT_EQ(PurgeWhatIsDue().phase, RunPhase::kFailed);
    EXPECT_EQ(death.hit_count(), 1);
  }
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  EXPECT_EQ(QuarantineCount(), count);
  ExpectStillSecond();
}

TEST_F(BrokenOffPurgeTest, TheStoreIsNotAskedForIt) {
  CollectBoth();
  const size_t count = QuarantineCount();
  FullAudit audit;
  collector_->SetAudit(&audit);
  EXPECT_EQ(PurgeWhatIsDue().phase, RunPhase::kFailed);
  collector_->SetAudit(nullptr);
  EXPECT_EQ(QuarantineCount(), count);
  ExpectStillSecond();
}

// It is the only one then, to be judged and proven as such.
TEST_F(RestoreTest, ASecondCopyOutlivesTheFirst) {
  const gc::Run run = Prune();
  PutInTheWay(layer_, "base");
  ASSERT_THAT(RestoreRun(run.id), IsOk());
  ASSERT_EQ(QuarantineCount(), 1u);
  ClearTheWay(layer_);
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->item_count, 0u);
  EXPECT_EQ(QuarantineCount(), 1u);
  ExpectExact();
  Scan();
  EXPECT_EQ(StateOf(layer_), NodeState::kPresent);
  EXPECT_EQ(folder_.Read(tree_.BlobPath(layer_)), "base");
  EXPECT_EQ(QuarantineCount(), 0u);
}

TEST_F(RestoreTest, ACopyInItsPlaceStands) {
  const std::string large(1 << 20, 'x');
  const oci::Digest digest = tree_.Blob(large);
  Age();
  Scan();
  const gc::Run run = Prune();
  PutInTheWay(digest, large);
  PutInTheWay(layer_, "base");
  const auto restored = RestoreRun(run.id);
  ASSERT_THAT(restored, IsOk());
  EXPECT_THAT(restored->problems, IsEmpty());
  EXPECT_EQ(StateOf(digest), NodeState::kPresent);
  EXPECT_EQ(StateOf(layer_), NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 2u) << "second copies, until they are purged";
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_EQ(folder_.Read(tree_.BlobPath(layer_)), "base");
}

// A writer who names it is not told that it is here.
TEST_F(RestoreTest, AReferenceToWhatCannotComeBackIsRefused) {
  Prune();
  PutInTheWay(layer_, "");
  const absl::Status named = PinImage();
  EXPECT_THAT(named, StatusIs(absl::StatusCode::kAlreadyExists,
                              HasSubstr("stays in quarantine")));
  ClearTheWay(layer_);
  EXPECT_THAT(PinImage(), IsOk());
  EXPECT_EQ(StateOf(layer_), NodeState::kPresent);
}

// A scan is told of the same, keeps all that may be meant, and ends.
TEST_F(RestoreTest, AScanKeepsWhatCannotComeBackAndWhatNamesIt) {
  Prune();
  PutInTheWay(layer_, "");
  const oci::Digest other = tree_.Image("other", "", {"garbage"});
  tree_.Tag("app", "late", image_);
  Age();
  Scan();
  EXPECT_EQ(StateOf(layer_), NodeState::kQuarantined);
  EXPECT_EQ(StateOf(image_), NodeState::kPresent) << "the rest came back";
  EXPECT_THAT(collector_->KeptScopes("s"), Not(IsEmpty()));
  EXPECT_THAT(MakePlan(Request()).items, IsEmpty());
  ClearTheWay(layer_);
  Scan();
  EXPECT_EQ(StateOf(layer_), NodeState::kPresent);
  EXPECT_TRUE(HasTag("app", "late"));
  EXPECT_THAT(collector_->KeptScopes("s"), IsEmpty());
  Prune();
  EXPECT_EQ(StateOf(image_), NodeState::kPresent);
  EXPECT_EQ(StateOf(other), NodeState::kQuarantined);
}

// It is needed and can't come back, and holds up nothing else.
TEST_F(RestoreTest, WhatNamesNothingIsNoLink) {
  const gc::Run run = Prune();
  ASSERT_EQ(StateOf(layer_), NodeState::kQuarantined);
  PutInTheWayOfLink();
  const auto restored = RestoreRun(run.id);
  ASSERT_THAT(restored, IsOk());
  EXPECT_THAT(restored->problems,
              testing::ElementsAre(HasSubstr("it names nothing")));
  EXPECT_EQ(StateOf(layer_), NodeState::kPresent) << "its bytes are back";
  tree_.Tag("app", "v1", image_);
  const oci::Digest stray = tree_.Blob("stray");
  Age();
  Scan();
  ASSERT_THAT(collector_->KeptScopes("s"), IsEmpty());
  Prune();
  ASSERT_EQ(StateOf(stray), NodeState::kQuarantined);
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->phase, RunPhase::kPartial);
  EXPECT_EQ(purged->blob_count, 1u);
  EXPECT_EQ(StateOf(stray), NodeState::kAbsent);
  EXPECT_THAT(purged->problems,
              testing::ElementsAre(HasSubstr("needs this link")));
  ASSERT_THAT(purged->skipped, SizeIs(1));
  EXPECT_EQ(purged->skipped[0].reason, SkipReason::kFailed);
  EXPECT_EQ(QuarantineCount(), 1u);
  folder_.Remove(LinkFolder());
  Scan();
  EXPECT_EQ(folder_.Read(Link()), layer_.ToString());
  EXPECT_TRUE(IsLinked());
  EXPECT_EQ(QuarantineCount(), 0u);
}

// What a registry leaves that dies between a folder and the file in it, or
// between the file and the first byte of it.
TEST_F(RestoreTest, ARuinIsInTheWayOfNothing) {
  for (const bool has_file : {false, true}) {
    SCOPED_TRACE(has_file);
    const gc::Run run = Prune();
    ASSERT_EQ(StateOf(layer_), NodeState::kQuarantined);
    for (const std::string& path : {LinkFolder(), tree_.BlobFolder(layer_)}) {
      std::filesystem::create_directories(folder_.path() + "/" + path);
    }
    if (has_file) folder_.Write(Link(), "");
    const auto restored = RestoreRun(run.id);
    ASSERT_THAT(restored, IsOk());
    EXPECT_THAT(restored->problems, IsEmpty());
    EXPECT_EQ(folder_.Read(Link()), layer_.ToString());
    EXPECT_EQ(folder_.Read(tree_.BlobPath(layer_)), "base");
    Scan();
    EXPECT_TRUE(IsLinked());
    EXPECT_EQ(QuarantineCount(), 0u);
  }
}

// The graph knows the empty one, and no client can use it.
TEST_F(RestoreTest, ALinkComesBackForAnEmptyOneThatIsNeeded) {
  tree_.Image("lib", "v1", {"base", "lib"});
  Age();
  Scan();
  Prune();
  ASSERT_FALSE(folder_.Exists(LinkFolder()));
  ASSERT_EQ(StateOf(layer_), NodeState::kPresent) << "lib needs it";
  tree_.Image("app", "v1", {"base", "late"});
  folder_.Write(Link(), "");
  Age();
  Scan();
  EXPECT_EQ(folder_.Read(Link()), layer_.ToString());
  EXPECT_TRUE(IsLinked());
  Scan();
  EXPECT_TRUE(IsLinked());
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(folder_.Read(Link()), layer_.ToString());
}

// Bytes without the link would be on record no more, and never ask for it.
TEST_F(RestoreTest, AReferenceIsRefusedForALinkThatCannotComeBack) {
  Prune();
  PutInTheWayOfLink();
  EXPECT_THAT(PinImage(), StatusIs(absl::StatusCode::kAlreadyExists,
                                   HasSubstr("stays in quarantine")));
  EXPECT_EQ(StateOf(layer_), NodeState::kQuarantined);
  EXPECT_EQ(StateOf(own_), NodeState::kPresent);
  ExpectExact();
  folder_.Remove(LinkFolder());
  ASSERT_THAT(PinImage(), IsOk());
  EXPECT_EQ(StateOf(layer_), NodeState::kPresent);
  EXPECT_TRUE(IsLinked());
  EXPECT_EQ(folder_.Read(Link()), layer_.ToString());
}

// What lies in the way of one run's is no other run's business, whichever of
// the two comes first: a reference brings back all that can come.
TEST_F(RestoreTest, OfTwoRunsWhatLiesInTheWayOfOneHoldsUpNoOther) {
  for (const oci::Digest& obstructed : {own_, layer_}) {
    Prune();
    ASSERT_EQ(StateOf(own_), NodeState::kQuarantined);
    TakeLayerAgain();
    PutInTheWay(obstructed, "");
    EXPECT_THAT(PinImage(), StatusIs(absl::StatusCode::kAlreadyExists));
    const oci::Digest& other = obstructed == own_ ? layer_ : own_;
    EXPECT_EQ(StateOf(other), NodeState::kPresent);
    EXPECT_EQ(StateOf(image_), NodeState::kPresent);
    EXPECT_EQ(StateOf(obstructed), NodeState::kQuarantined);
    ExpectExact();
    ClearTheWay(obstructed);
    EXPECT_THAT(PinImage(), IsOk());
    EXPECT_EQ(StateOf(obstructed), NodeState::kPresent);
    EXPECT_EQ(QuarantineCount(), 0u);
    ASSERT_THAT(
        Record({index::RemoveNamed{"s", index::NodeKind::kPin, "", "p"}}),
        IsOk());
  }
}

}  // namespace
}  // namespace reclaim::gc
